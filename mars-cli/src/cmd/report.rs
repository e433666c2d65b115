//! `mars report`: the page of a finished search, written again.

use crate::{args, cluster::shell, cmd::Context, exit::Exit, output};
use mars::mars_lora::stored::regular;
use mars::{Error, report};
use serde_json::json;

pub(crate) fn run(context: &Context, args: &args::Report) -> Result<Exit, Error> {
    let source = args.dir.join("report.json");
    if !regular::is_file(&source).map_err(Error::io("read", &source))? {
        return Err(Error::input(format!(
            "{} holds no finished search; `mars search --out {}` makes one",
            args.dir.display(),
            shell::path(&args.dir)
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
