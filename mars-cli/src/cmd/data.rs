//! `mars data check`: every sample looked at before anything is trained.

use crate::{
    args::{self, Task},
    cmd::Context,
    escape,
    exit::{self, Exit},
    hub, output,
};
use mars::{
    Error,
    mars_vlm::{
        data::{Bin, CheckOptions, ImageStore, Lengths, Problem, Report, check},
        hub::Need,
    },
    quantity::bytes,
};

/// Characters of the longest bar.
const BAR: usize = 40;

pub(crate) fn run(context: &Context, args: &args::Check) -> Result<Exit, Error> {
    let task = Task {
        model: args.model.clone(),
        data: Some(args.data.clone()),
        images: args.images.clone(),
        ..Task::default()
    };
    let layers = context.layers(&task)?;
    let config = layers.reading()?;
    let store = ImageStore::for_data(&args.data, config.data.images.as_deref())?;
    let model = config.model.dir.as_deref();
    let model = model.map(|model| hub::folder(model, Need::Processor, context.console)).transpose()?;
    let processor = model.map(|model| config.processor(&model)).transpose()?;
    let note = processor.as_ref().and_then(|processor| processor.template.note());
    note.into_iter().for_each(|note| context.console.warn(note));
    for (name, value) in config.data.resolution().set().into_iter().filter(|_| processor.is_none()) {
        let place = layers.origin(&format!("data.{name}"));
        context.console.warn(format!(
            "data.{name} is {value} and {place}, but images are sized for a model: name one with --model"
        ));
    }
    let options = CheckOptions {
        read: config.data.read_options(),
        leave_out: config.data.leave_out(),
        ..CheckOptions::default()
    };
    let stage = context.console.stage("checking", "images and samples", 0);
    let report = check(&args.data, &store, processor.as_ref(), &options, &|done, total| {
        stage.set_total(total as u64);
        stage.at(done as u64, "");
    });
    stage.finish();
    let report = report?;
    if context.common.json {
        output::json(&report)?
    } else {
        output::text(describe(&report, processor.is_some()))?
    }
    if report.ok {
        return Ok(Exit::Done);
    }
    let (file, all, left) = (report.file.display(), report.samples, report.left_out);
    if left == report.bad_samples {
        return Err(Error::input(format!("{file}: all of {all} samples are left out")));
    }
    let count = report.bad_samples - left;
    let remedy = exit::leaving_out(report.problems.iter().map(|problem| problem.kind), &config);
    Err(Error::input(format!("{file}: {count} of {all} samples cannot be used{remedy}")))
}

/// The report in lines; `counted` says whether there was a model to count tokens for.
fn describe(report: &Report, counted: bool) -> String {
    let mut lines = vec![format!(
        "{}: {} samples, {} without an image, {} images used, {} answers",
        report.file.display(),
        report.samples,
        report.text_only,
        report.image_uses,
        report.answers
    )];
    if let Some(sizes) = &report.image_sizes {
        let spread = |of: &Lengths| format!("{} to {}, median {}", of.min, of.max, of.median);
        lines.push(format!(
            "  {} different images: width {}; height {}; {} in all, the largest {}",
            sizes.count,
            spread(&sizes.width),
            spread(&sizes.height),
            bytes(sizes.bytes.sum as f64),
            bytes(sizes.bytes.max as f64)
        ));
    }
    for (name, lengths) in [
        ("tokens", &report.tokens),
        ("image tokens", &report.image_tokens),
        ("answer tokens", &report.answer_tokens),
    ] {
        if let Some(Lengths { min, mean, median, p95, max, .. }) = lengths {
            lines
                .push(format!("  {name}: {min} to {max}, median {median}, mean {mean:.1}, 95 % up to {p95}"));
        }
    }
    if report.token_histogram.is_empty() {
        let why = if counted { "no sample could be encoded" } else { "give --model" };
        lines.push(format!("  tokens: not counted; {why}"));
    }
    lines.extend(bars(&report.token_histogram));
    let shown = |what: &str, count: usize, kept: usize| {
        let more = if count > kept { format!(", the first {kept} of them") } else { String::new() };
        format!("{count} {what}{more}:")
    };
    if report.problem_count > 0 {
        lines.push(shown("problems", report.problem_count, report.problems.len()));
        lines.extend(report.problems.iter().map(shown_one));
    }
    if report.warning_count > 0 {
        lines.push(shown("warnings", report.warning_count, report.warnings.len()));
        lines.extend(report.warnings.iter().map(shown_one));
    }
    if !report.unused.is_empty() {
        lines.push(report.unused.to_string());
    }
    if report.left_out > 0 {
        lines.push(format!("{} of {} samples are left out", report.left_out, report.samples));
    }
    if report.problem_count == 0 {
        lines.push("no problem found".into());
    }
    lines.join("\n")
}

/// A problem on a line of its own.
fn shown_one(problem: &Problem) -> String {
    format!("  {}", escape::line(&problem.to_string()))
}

/// A histogram as bars of text, one line for each bin; a bin that is not empty has a bar.
fn bars(bins: &[Bin]) -> Vec<String> {
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1);
    let digits = |number: usize| number.to_string().len();
    let (wide, high) = (bins.last().map_or(1, |bin| digits(bin.to)), digits(most));
    let line = |Bin { from, to, count }: &Bin| {
        let bar = "#".repeat((count * BAR).div_ceil(most));
        format!("  {from:>wide$} to {to:>wide$} {count:>high$} {bar}").trim_end().to_owned()
    };
    bins.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mars::mars_vlm::data::histogram;

    #[test]
    fn bars_are_as_long_as_their_counts() {
        let values: Vec<usize> = [[98; 80].as_slice(), &[105; 20], &[120]].concat();
        let lines = bars(&histogram(&values));
        assert_eq!(lines[0], format!("   98 to  99 80 {}", "#".repeat(40)));
        assert!(lines.iter().any(|line| line.ends_with(&format!("20 {}", "#".repeat(10)))), "{lines:?}");
        assert!(lines[lines.len() - 1].ends_with(" 1 #"), "{lines:?}");
        assert!(bars(&[]).is_empty());
    }
}
