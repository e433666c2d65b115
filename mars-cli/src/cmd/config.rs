//! `mars config`: all settings as they would be used.

use crate::{args::Task, cmd::Context, exit::Exit, output};
use mars::Error;

pub(crate) fn run(context: &Context, task: &Task) -> Result<Exit, Error> {
    let config = context.layers(task)?.config()?;
    if context.common.json {
        output::json(&config.to_json()?)?;
    } else {
        output::text(config.to_toml()?.trim_end())?;
    }
    Ok(Exit::Done)
}
