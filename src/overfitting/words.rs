//! The comparison as a sentence.

use super::{Overfitting, Undecided};
use mars_laws::OverfittingVerdict;
use std::fmt;

/// Most times as many samples that are worth naming.
const MOST_DATA: f64 = 100.0;

impl fmt::Display for Overfitting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interval = self.estimate.interval;
        let ranks = &self.ranks;
        let planned = format!("{} steps ({} passes)", self.steps, passes(self.passes(self.steps as f64)));
        let bound = format!("{} steps ({} passes)", about(interval.lo), passes(self.passes(interval.lo)));
        let expected = |time: f64| {
            let high = if interval.hi.is_finite() { about(interval.hi) } else { "open".to_owned() };
            format!(
                "about step {} [{}, {high}] on, {} passes over {} samples,",
                about(time),
                about(interval.lo),
                passes(self.passes(time)),
                self.samples
            )
        };
        match (self.verdict, self.estimate.steps) {
            _ if self.untold > 0
                && self.untold == self.runs
                && self.verdict != OverfittingVerdict::Before =>
            {
                write!(
                    f,
                    "it is unknown whether the planned {planned} will over-fit: validation losses rose before the end, but none are \
                     reported by block of the samples"
                )
            }
            (OverfittingVerdict::Before, Some(time)) => write!(
                f,
                "over-fitting is expected from {} at ranks {ranks}; the planned {planned} end before",
                expected(time)
            ),
            (OverfittingVerdict::Before, None) => write!(
                f,
                "{}; at ranks {ranks} there is no over-fitting for at least {bound}, the planned run takes {planned}",
                self.counted()
            ),
            (OverfittingVerdict::Near | OverfittingVerdict::After, Some(time)) => {
                let ratio = self.steps as f64 / time;
                write!(
                    f,
                    "over-fitting is expected from {} at ranks {ranks}; the planned {planned} ",
                    expected(time)
                )?;
                match self.verdict {
                    OverfittingVerdict::After => write!(f, "are {} times as long", about(ratio))?,
                    _ => write!(f, "may or may not reach that")?,
                }
                let remedies = self.remedies(time);
                if remedies.is_empty() { Ok(()) } else { write!(f, "; try {}", remedies.join(" or ")) }
            }
            _ if interval.lo >= 1.0 => write!(
                f,
                "it is unknown whether the planned {planned} will over-fit: {}, and at ranks {ranks} the runs show no over-fitting for \
                 at least {bound}{}",
                self.counted(),
                self.doubt()
            ),
            _ => write!(
                f,
                "it is unknown whether the planned {planned} will over-fit: {}, and the runs do not show when it begins at ranks \
                 {ranks}{}",
                self.counted(),
                self.doubt()
            ),
        }
    }
}

impl Overfitting {
    /// How many of the runs over-fitted, as a clause.
    fn counted(&self) -> String {
        let told = self.runs.saturating_sub(self.untold);
        let plural = if told == 1 { "" } else { "s" };
        match (told, self.seen) {
            (0, _) => "no run is known to have over-fitted".to_owned(),
            (_, 0) => format!("no over-fitting was detected in {told} run{plural}"),
            (_, seen) => format!("{seen} of {told} run{plural} over-fitted"),
        }
    }

    /// What speaks against it where none could be told.
    fn doubt(&self) -> String {
        let Some(Undecided { lowest, last, rise, resolvable }) = self.undecided else { return String::new() };
        let least = match resolvable {
            None => String::new(),
            // Over-fitting takes a rise that is certain, and this bound is lower.
            Some(least) if rise > least => {
                "; that is more than noise, but not enough to call it over-fitting".to_owned()
            }
            Some(least) => format!("; differences below {least:.4} are within noise on these samples"),
        };
        format!(
            " (a run to step {last} was lowest at step {lowest}, and {rise:.4} nats higher at its end{least})"
        )
    }

    /// What would end before over-fitting.
    fn remedies(&self, time: f64) -> Vec<String> {
        if time >= self.steps as f64 {
            return Vec::new();
        }
        let mut all = vec![format!("{} steps", about(time))];
        let worth = |needed: &usize| (*needed as f64) <= MOST_DATA * self.samples as f64;
        all.extend(
            self.samples_needed.filter(worth).map(|needed| format!("about {} samples", about(needed as f64))),
        );
        all.extend(self.ranks_needed.iter().map(|ranks| format!("ranks {ranks}")));
        all
    }
}

/// Passes over the data: tenths, and below one two significant digits.
fn passes(value: f64) -> String {
    let digits = if value > 0.0 && value < 1.0 { (1.0 - value.log10().floor()).min(9.0) as usize } else { 1 };
    format!("{value:.digits$}")
}

/// Two significant digits, without a fraction from 10 on.
fn about(value: f64) -> String {
    if !value.is_finite() || value <= 0.0 {
        return "0".to_owned();
    }
    let unit = 10f64.powf(value.log10().floor() - 1.0);
    let rounded = (value / unit).round() * unit;
    if rounded >= 10.0 { format!("{rounded:.0}") } else { format!("{rounded:.1}") }
}

#[cfg(test)]
mod tests {
    use super::{Overfitting, Undecided, about, passes};
    use mars_laws::{Interval, OverfittingEstimate, Ranks};

    #[test]
    fn few_passes_are_not_none() {
        let told = [37.52, 1.0, 0.94, 0.0312, 4e-4, 0.0].map(passes);
        assert_eq!(told, ["37.5", "1.0", "0.94", "0.031", "0.00040", "0.0"]);
    }

    fn told(steps: Option<f64>, lo: f64, hi: f64, planned: usize) -> String {
        overfitting(steps, lo, hi, planned).to_string()
    }

    fn overfitting(steps: Option<f64>, lo: f64, hi: f64, planned: usize) -> Overfitting {
        let estimate = OverfittingEstimate { steps, interval: Interval { lo, hi } };
        let verdict = estimate.verdict(planned as f64);
        let ranks = Ranks::new().with("ve", 32).with("llm", 32);
        let seen = usize::from(steps.is_some());
        Overfitting {
            ranks,
            steps: planned,
            samples: 512,
            batch: 16,
            runs: 9,
            seen,
            untold: 0,
            undecided: None,
            estimate,
            verdict,
            samples_needed: Some(51_200),
            ranks_needed: Some(Ranks::new().with("ve", 4).with("llm", 4)),
        }
    }

    #[test]
    fn each_case_has_its_words() {
        let long = told(Some(120.0), 70.0, 205.0, 1200);
        assert!(
            long.starts_with(
                "over-fitting is expected from about step 120 [70, 210] on, 3.8 passes over 512 samples, at"
            ),
            "{long}"
        );
        assert!(
            long.contains("the planned 1200 steps (37.5 passes) are 10 times as long; try 120 steps or"),
            "{long}"
        );
        assert!(long.ends_with("about 51000 samples or ranks llm=4,ve=4"), "{long}");
        let near = told(Some(120.0), 70.0, 205.0, 150);
        assert!(near.contains("may or may not reach that; try 120 steps or"), "{near}");
        let before = told(Some(120.0), 70.0, 205.0, 60);
        assert!(before.ends_with("the planned 60 steps (1.9 passes) end before"), "{before}");
        let bound = told(None, 1600.0, f64::INFINITY, 1600);
        assert!(
            bound.starts_with(
                "no over-fitting was detected in 9 runs; at ranks llm=32,ve=32 there is no over-fitting for at least 1600"
            ),
            "{bound}"
        );
        let unknown = told(None, 112.0, f64::INFINITY, 1600);
        assert!(
            unknown.contains("will over-fit: no over-fitting was detected in 9 runs, and at ranks"),
            "{unknown}"
        );
        assert!(told(None, 0.0, f64::INFINITY, 1600).contains("the runs do not show when it begins"));
    }

    #[test]
    fn what_was_lowest_long_before_the_end_is_told() {
        let run = Undecided { lowest: 450, last: 3000, rise: 0.024, resolvable: Some(0.031) };
        let mut found = overfitting(None, 450.0, f64::INFINITY, 3000);
        found.undecided = Some(run);
        let words = found.to_string();
        let doubt = "at least 450 steps (14.1 passes) (a run to step 3000 was lowest at step 450, and 0.0240 nats higher at its \
                     end; differences below 0.0310 are within noise on these samples)";
        assert!(words.ends_with(doubt), "{words}");
        found.undecided = Some(Undecided { resolvable: None, ..run });
        assert!(found.to_string().ends_with("nats higher at its end)"), "{found}");
        // Above what noise does, and yet not certain.
        found.undecided = Some(Undecided { rise: 0.5, ..run });
        let doubt = "and 0.5000 nats higher at its end; that is more than noise, but not enough to call it over-fitting)";
        assert!(found.to_string().ends_with(doubt), "{found}");
    }

    #[test]
    fn numbers_have_two_digits() {
        for (value, text) in
            [(3.75, "3.8"), (12.4, "12"), (1234.0, "1200"), (51_234.0, "51000"), (9.99, "10")]
        {
            assert_eq!(about(value), text);
        }
        assert_eq!(about(f64::NAN), "0");
    }
}
