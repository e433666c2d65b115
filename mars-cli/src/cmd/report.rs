//! `mars report`: the page of a finished search, written again.

use crate::{
    args,
    cmd::{Context, result},
    failure::{Exit, Failure},
    output,
    report::{self, ReportData},
};
use anyhow::{Context as _, Result};
use serde_json::json;
use std::fs;

pub(crate) fn run(context: &Context, args: &args::Report) -> Result<Exit> {
    let source = args.dir.join("report.json");
    let text = fs::read_to_string(&source).with_context(|| {
        Failure::input(format!(
            "{} holds no finished search; `mars search --out` makes one",
            args.dir.display()
        ))
    })?;
    let data: ReportData = serde_json::from_str(&text)
        .with_context(|| Failure::input(format!("{} is damaged; run the search again", source.display())))?;
    let page = args.dir.join("report.html");
    result::save(&page, report::render(&data).as_bytes())?;
    let mut pictures = Vec::new();
    if let Some(directory) = &args.svg {
        fs::create_dir_all(directory)
            .with_context(|| format!("making the directory {}", directory.display()))?;
        for (name, svg) in report::pictures(&data) {
            let path = directory.join(format!("{name}.svg"));
            result::save(&path, svg.as_bytes())?;
            pictures.push(path);
        }
    }
    if context.common.json {
        output::json(&json!({ "report": page, "svg": pictures }))?;
    } else {
        output::text(page.display().to_string())?;
    }
    Ok(Exit::Done)
}
