//! Law-C of each module: measured convergence times and the fitted lines, one for each rank.

use super::{
    axis::{Axis, Scale},
    chart::{Chart, Key, nothing, series},
    data::ReportData,
    number::{fixed, plain},
    svg::{Shape, escape},
};
use mars_laws::Form;
use mars_search::ModuleLaw;

/// One chart for each module.
pub(crate) fn figures(data: &ReportData) -> String {
    let Some(laws) = &data.decision.laws else {
        return nothing("Law-C", &format!("No law was fitted. {}", data.decision.reason));
    };
    let mut html = String::new();
    for (m, module) in data.space.modules.iter().enumerate() {
        let title = format!("Law-C of {module}");
        html += &match (laws.law_c.get(module), laws.unfitted.get(module)) {
            (Some(law), _) => figure(&format!("law-{m}"), &title, law, data.budget.samples),
            (None, Some(why)) => nothing(&title, &format!("Not fitted: {why}.")),
            (None, None) => nothing(&title, "Not calibrated."),
        };
    }
    html
}

/// Law-P in a line of text, or why there is none.
pub(crate) fn law_p(data: &ReportData) -> String {
    let Some(laws) = &data.decision.laws else { return String::new() };
    let Some(fit) = &laws.law_p else {
        let why =
            laws.unfitted_law_p.as_ref().map(|why| format!("<p>Law-P: not fitted, {}.</p>", escape(why)));
        return why.unwrap_or_default();
    };
    let parameter = |(name, value): (&String, &f64)| {
        let interval =
            fit.interval.get(name).filter(|interval| interval.lo.is_finite() && interval.hi.is_finite());
        let interval = interval.map(|interval| format!(" [{}, {}]", plain(interval.lo), plain(interval.hi)));
        format!("{name} = {}{}", plain(*value), interval.unwrap_or_default())
    };
    let parameters: Vec<_> = fit.parameters.iter().map(parameter).collect();
    let text = format!(
        "Law-P, form {}, 95 % intervals in brackets: {}; rms {} in perplexity; fit {}.{}{}",
        fit.law.form,
        parameters.join(", "),
        plain(fit.rms),
        fit.reason.as_str(),
        laws.law_p_loss.map_or_else(String::new, |loss| format!(" It is about {loss}.")),
        if fit.law.form == Form::Tied {
            " The ranks that raced rise together, so that they do not tell the modules apart: alpha is the exponent of the \
             product of all ranks."
        } else {
            ""
        }
    );
    format!("<p>{}</p>", escape(&text))
}

fn figure(id: &str, title: &str, law: &ModuleLaw, samples: usize) -> String {
    let formula = law.summary.law;
    let measured: Vec<_> = law.points.iter().filter_map(|point| Some((point, point.steps?))).collect();
    let mut sizes: Vec<usize> = law.points.iter().map(|point| point.samples).collect();
    let mut ranks: Vec<usize> = law.points.iter().map(|point| point.rank).collect();
    for list in [&mut sizes, &mut ranks] {
        list.sort_unstable();
        list.dedup();
    }
    let (Some(&least), Some(&most)) = (sizes.first(), sizes.last()) else {
        return nothing(title, "There is no point.");
    };
    if least == most {
        return by_rank(id, title, law, least, &ranks);
    }
    let line = |rank: usize| {
        let (from, to) = (least as f64, samples.max(most) as f64);
        (0..=48)
            .map(move |i| from * (to / from).powf(f64::from(i) / 48.0))
            .map(move |d| (d, formula.predict(rank as f64, d)))
    };
    let ticks = sizes.iter().copied().chain([samples]).map(|size| size as f64);
    let x = Axis::over("samples of the training subset", Scale::Log, ticks.clone());
    let times = measured.iter().map(|(_, steps)| *steps);
    let lines = ranks.iter().flat_map(|rank| line(*rank)).map(|(_, steps)| steps);
    let y = Axis::over("convergence time (steps)", Scale::Log, times.chain(lines));
    let (Some(x), Some(y)) = (x, y) else {
        return nothing(title, "No run of this module has a convergence time.");
    };
    let (_, right) = x.range();
    let (bottom, top) = y.range();
    let mut chart = Chart::new(id, x.ticks_at(ticks), y);
    if samples > most {
        chart.area((most as f64, bottom), (right, top), "beyond");
    }
    let mut legend = Vec::new();
    for (i, rank) in ranks.iter().enumerate() {
        chart.line(line(*rank), &format!("line {}", series(i)));
        for (point, steps) in measured.iter().filter(|(point, _)| point.rank == *rank) {
            let hint = format!(
                "rank {rank}, {} samples, seed {}: {} steps",
                point.samples,
                point.seed,
                plain(*steps)
            );
            let at = (point.samples as f64, *steps);
            chart.mark(Shape::of(i), at, 4.2, &format!("mark {}", series(i)), &hint);
        }
        let (text, class) = (format!("rank {rank}"), series(i));
        legend.push(Key { text, class, shape: Some(Shape::of(i)), line: true });
    }
    let description = format!(
        "Convergence time over dataset size on logarithmic axes: {} measured points of ranks {ranks:?} and the fitted law \
         k = {}, gamma = {}, delta = {}, offset = {}.",
        measured.len(),
        plain(formula.k),
        fixed(formula.gamma, 3),
        fixed(formula.delta, 3),
        plain(formula.offset),
    );
    chart.figure(title, &description, &legend, &caption(law, measured.len(), samples > most))
}

/// The chart of a law at one size: time over rank.
fn by_rank(id: &str, title: &str, law: &ModuleLaw, samples: usize, ranks: &[usize]) -> String {
    let formula = law.summary.law;
    let measured: Vec<_> = law.points.iter().filter_map(|point| Some((point, point.steps?))).collect();
    let (Some(&low), Some(&high)) = (ranks.first(), ranks.last()) else {
        return nothing(title, "There is no point.");
    };
    let (low, high) = (low as f64, high as f64);
    let curve = (0..=48).map(|i| low * (high / low).powf(f64::from(i) / 48.0));
    let line: Vec<(f64, f64)> = curve.map(|rank| (rank, formula.predict(rank, samples as f64))).collect();
    let ticks = ranks.iter().map(|rank| *rank as f64);
    let x = Axis::over("rank", Scale::Log, ticks.clone());
    let times = measured.iter().map(|(_, steps)| *steps).chain(line.iter().map(|(_, steps)| *steps));
    let (Some(x), Some(y)) = (x, Axis::over("convergence time (steps)", Scale::Log, times)) else {
        return nothing(title, "No run of this module has a convergence time.");
    };
    let mut chart = Chart::new(id, x.ticks_at(ticks), y);
    chart.line(line, &format!("line {}", series(0)));
    for (point, steps) in &measured {
        let hint = format!("rank {}, seed {}: {} steps", point.rank, point.seed, plain(*steps));
        chart.mark(Shape::of(0), (point.rank as f64, *steps), 4.2, &format!("mark {}", series(0)), &hint);
    }
    let description = format!(
        "Convergence time over rank on logarithmic axes at {samples} samples: {} points and the fitted law, gamma = {}.",
        measured.len(),
        fixed(formula.gamma, 3)
    );
    let note = format!(" Measured at {samples} samples only: the dependence on the size is unknown.");
    chart.figure(title, &description, &[], &(caption(law, measured.len(), false) + &note))
}

fn caption(law: &ModuleLaw, measured: usize, extrapolated: bool) -> String {
    let formula = law.summary.law;
    // An offset pressed on its bound is none.
    let offset = if formula.offset < 1e-3 { String::new() } else { format!(" + {}", plain(formula.offset)) };
    let gamma =
        law.summary.interval.get("gamma").filter(|gamma| gamma.lo.is_finite() && gamma.hi.is_finite());
    let gamma = gamma.map(|gamma| format!("; 95 % interval of γ [{:.3}, {:.3}]", gamma.lo, gamma.hi));
    format!(
        "<span class=\"equation\">t = {} · r<sup>{}</sup> · D<sup>{}</sup>{offset} steps</span><br>\
         {}{}; {measured} points, {} censored; fit {}.{}",
        plain(formula.k),
        fixed(formula.gamma, 3),
        fixed(formula.delta, 3),
        if law.is_overdetermined() {
            format!("log R² {}", fixed(law.summary.r2_log, 3))
        } else {
            "two ranks, so no R²".to_owned()
        },
        gamma.unwrap_or_default(),
        law.points.len() - measured,
        escape(law.summary.reason.as_str()),
        if extrapolated { " Shaded: extrapolated to the size of the final run." } else { "" },
    )
}
