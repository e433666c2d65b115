//! `mars report`: the page of a finished search, written again.

use crate::{args, cmd::Context, exit::Exit, output};
use mars::{Error, report};
use serde_json::json;

pub(crate) fn run(context: &Context, args: &args::Report) -> Result<Exit, Error> {
    if !args.dir.join("report.json").is_file() {
        return Err(Error::input(format!(
            "{} holds no finished search; `mars search --out` makes one",
            args.dir.display()
        )));
    }
    let (page, pictures) = report::rewrite(&args.dir, args.svg.as_deref())?;
    if context.common.json {
        output::json(&json!({ "report": page, "svg": pictures }))?;
    } else {
        output::text(page.display().to_string())?;
    }
    Ok(Exit::Done)
}
