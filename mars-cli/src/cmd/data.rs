//! `mars data check`: every sample looked at before anything is trained.

use crate::{
    args,
    console::Console,
    failure::{Exit, Failure},
    hub, output,
};
use anyhow::Result;
use mars_vlm::{
    data::{CheckOptions, ImageStore, Lengths, Report, check},
    hub::Need,
    processor::Processor,
};

pub(crate) fn run(args: &args::Check, console: Console, json: bool) -> Result<Exit> {
    let store = ImageStore::for_data(&args.data, args.images.as_deref())?;
    let model =
        args.model.as_deref().map(|model| hub::folder(model, Need::Processor, console)).transpose()?;
    let processor = model.as_deref().map(Processor::from_dir).transpose()?;
    let stage = console.stage("checking", "samples", 0);
    let report = check(&args.data, &store, processor.as_ref(), &CheckOptions::default(), &|done, total| {
        stage.set_total(total as u64);
        stage.at(done as u64, "");
    });
    stage.finish();
    let report = report?;
    if json {
        output::json(&report)?
    } else {
        output::text(describe(&report))?
    }
    if report.ok {
        return Ok(Exit::Done);
    }
    let count = report.problem_count;
    Err(Failure::new(
        Exit::BadInput,
        format!("{}: {count} of {} samples cannot be used", report.file.display(), report.samples),
    )
    .into())
}

fn describe(report: &Report) -> String {
    let mut lines = vec![format!(
        "{}: {} samples, {} without an image, {} images used, {} answers",
        report.file.display(),
        report.samples,
        report.text_only,
        report.image_uses,
        report.answers
    )];
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
    let shown = |what: &str, count: usize, kept: usize| {
        let more = if count > kept { format!(", the first {kept} of them") } else { String::new() };
        format!("{count} {what}{more}:")
    };
    if report.problem_count > 0 {
        lines.push(shown("problems", report.problem_count, report.problems.len()));
        lines.extend(report.problems.iter().map(|problem| format!("  {problem}")));
    }
    if report.warning_count > 0 {
        lines.push(shown("warnings", report.warning_count, report.warnings.len()));
        lines.extend(report.warnings.iter().map(|problem| format!("  {problem}")));
    }
    if report.ok {
        lines.push("no problem found".into());
    }
    lines.join("\n")
}
