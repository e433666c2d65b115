//! `mars config`: all settings as they would be used.

use crate::{args::Task, cmd::Context, failure::Exit, output};
use anyhow::Result;

pub(crate) fn run(context: &Context, task: &Task) -> Result<Exit> {
    let config = context.config(task, &[])?;
    if context.common.json {
        output::json(&config.table)?;
    } else {
        output::text(config.table.to_string().trim_end())?;
    }
    Ok(Exit::Done)
}
