//! The report as text tables.

use super::output::*;
use crate::{law::LawCSummary, uncertainty::Number};
use std::fmt::{self, Display, Formatter};

fn optional(value: Option<f64>) -> String {
    value.map_or("-".into(), |v| Number(v).to_string())
}

impl Display for FitOutput {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (module, law) in &self.law_c {
            law_c(f, module, law)?;
        }
        for (module, why) in &self.unfitted {
            writeln!(f, "Law-C of {module}: none   ({why})")?;
        }
        if let Some(law) = &self.law_p {
            law_p(f, law)?;
        }
        if let Some(why) = &self.unfitted_law_p {
            writeln!(f, "Law-P: none   ({why})")?;
        }
        if !self.balanced.is_empty() {
            writeln!(f, "Balanced ranks (equal convergence times)")?;
        }
        if let Some(why) = &self.unbalanced {
            writeln!(f, "Balanced ranks: none   ({why})")?;
        }
        for entry in &self.balanced {
            let ranks: Vec<String> =
                entry.ranks.iter().map(|(module, rank)| format!("{module}={rank}")).collect();
            write!(f, "  D={:<7} {:<20} {:<9}", entry.samples, ranks.join(" "), entry.outcome)?;
            write!(f, " raw {}", optional(entry.raw))?;
            if let Some(interval) = &entry.interval {
                write!(f, " in {interval}")?;
            }
            match entry.fallback {
                Some(reason) => writeln!(f, " ({reason})")?,
                None => writeln!(f)?,
            }
        }
        if !self.best_rank_by_size.is_empty() {
            let form = self.law_p.as_ref().map_or("", |p| p.form.as_str());
            writeln!(f, "Best ranks by size ({form} form)")?;
            writeln!(f, "  {:>8}  {:<18} {:<18} {:>6}  right", "D", "measured", "predicted", "prob.")?;
        }
        for best in &self.best_rank_by_size {
            let (measured, predicted) = (best.measured.to_string(), best.predicted.to_string());
            let mark = if best.fitted { ' ' } else { '*' };
            let probability = best.probability.map_or("-".to_string(), |share| format!("{share:.2}"));
            write!(f, "  {:>7}{mark}  {measured:<18} {predicted:<18} {probability:>6}", best.samples)?;
            writeln!(f, "  {}", if best.right { "yes" } else { "no" })?;
        }
        if self.best_rank_by_size.iter().any(|best| !best.fitted) {
            writeln!(f, "  * not fitted")?;
        }
        self.predictions.iter().try_for_each(|prediction| predicted(f, prediction))
    }
}

fn law_c(f: &mut Formatter<'_>, module: &str, output: &LawCOutput) -> fmt::Result {
    let LawCSummary { law, r2_log, interval, reason } = &output.summary;
    writeln!(
        f,
        "Law-C of {module}: t = k r^gamma D^delta + offset   ({} points, {})",
        output.points, reason
    )?;
    let rows = [("k", law.k), ("gamma", law.gamma), ("delta", law.delta), ("offset", law.offset)];
    for (name, value) in rows {
        write!(f, "  {name:<7} {:>10}", Number(value))?;
        match interval.get(name) {
            Some(interval) => writeln!(f, "  {interval}")?,
            None => writeln!(f, "  not fitted")?,
        }
    }
    writeln!(f, "  R^2 of logarithms {:.4}", r2_log)
}

fn law_p(f: &mut Formatter<'_>, law: &LawPOutput) -> fmt::Result {
    writeln!(
        f,
        "Law-P: {} form   ({} points, {}, rms {})",
        law.form,
        law.points,
        law.reason,
        Number(law.rms)
    )?;
    for (name, value) in &law.params {
        write!(f, "  {name:<10} {:>10}", Number(*value))?;
        match law.interval.get(name) {
            Some(interval) => writeln!(f, "  {interval}")?,
            None => writeln!(f)?,
        }
    }
    let columns = ["rms", "larger D", "rolling", "AICc"];
    write!(f, "  {:<10}", "form")?;
    columns.iter().try_for_each(|c| write!(f, " {c:>9}"))?;
    writeln!(f, "  best right")?;
    for score in &law.scores {
        write!(f, "  {:<10}", score.form.as_str())?;
        for value in [score.rms, score.rms_larger, score.rolling_rms, score.aicc] {
            write!(f, " {:>9}", optional(value))?;
        }
        write!(f, "  {} of {}", score.best_right, score.best_of)?;
        match &score.error {
            Some(error) => writeln!(f, "  ({error})")?,
            None => writeln!(f)?,
        }
    }
    Ok(())
}

fn predicted(f: &mut Formatter<'_>, prediction: &PredictionOutput) -> fmt::Result {
    writeln!(f, "Predictions at D = {}", prediction.samples)?;
    for s in &prediction.steps {
        writeln!(
            f,
            "  {:<18} {:>9} steps  {}",
            format!("{}={}", s.module, s.rank),
            Number(s.steps),
            s.interval
        )?;
    }
    for p in &prediction.perplexity {
        write!(f, "  {:<18} perplexity {:>7}  {}", p.ranks.to_string(), Number(p.perplexity), p.interval)?;
        match p.probability.zip(p.regret) {
            Some((share, regret)) => {
                writeln!(f, "  best with probability {share:.2}, regret {:.2} %", 100.0 * regret)?
            }
            None => writeln!(f)?,
        }
    }
    Ok(())
}
