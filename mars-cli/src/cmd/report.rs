//! `mars report`: the page of a finished search, written again.

use crate::{args, cmd::Context, exit::Exit, output};
use mars::{Error, report};
use serde_json::json;

pub(crate) fn run(context: &Context, args: &args::Report) -> Result<Exit, Error> {
    let (page, pictures) = report::rewrite(&args.dir, args.svg.as_deref())?;
    if context.common.json {
        output::json(&json!({ "report": page, "svg": pictures }))?;
    } else {
        output::text(page.display().to_string())?;
    }
    Ok(Exit::Done)
}
