//! Jinja templates as `transformers` renders them, to the byte, with limits on what they may use.
//!
//! A chat template is a program that comes with a stranger's model. The text that it makes is what the model is
//! trained on, so values must behave and print as in Python, and a template must not take more time, memory or stack
//! than is stated here, whatever it says. Engines for Jinja in Rust give neither: operators on texts have no hook for
//! a limit, and print in Rust's spelling. So the language is here, as far as `transformers`' environment has it
//! (`ImmutableSandboxedEnvironment` with `trim_blocks`, `lstrip_blocks`, loop controls and `generation` blocks);
//! `mars-vlm/tests/oracle/templates.py` has the texts that it is compared with.
//!
//! | what | most |
//! |---|---|
//! | source of a template | 1 MiB, nested 100 levels |
//! | steps of one rendering | 5 million |
//! | texts and lists made by one rendering, all together | 256 MiB |
//! | recursion while rendering | 250 blocks, expressions and macros |
//! | nesting of lists and mappings | 100 levels |
//!
//! Not here: loading other templates, the filters `pprint`, `random`, `striptags`, `urlencode`, `urlize`, `wordwrap`
//! and `xmlattr`, the functions `cycler`, `joiner` and `lipsum`, whole numbers beyond 64 bits, and escaping of HTML
//! in texts marked as safe. Each is an error that says so.

mod budget;
mod convert;
mod fault;
mod filter;
mod method;
mod run;
mod syntax;
mod value;

pub use fault::Fault;

use super::Date;
use std::{collections::HashMap, sync::Arc};

/// A template that was read.
#[derive(Debug)]
pub struct Template {
    block: syntax::tree::Block,
}

impl Template {
    /// Reads the template `source`.
    ///
    /// # Errors
    /// With the line, for what the language does not have, and for a source that is longer than 1 MiB or nested
    /// more than 100 levels deep.
    pub fn new(source: &str) -> Result<Self, Fault> {
        Ok(Self { block: syntax::parse(source)? })
    }

    /// The text of the template with these variables, on this day.
    ///
    /// # Errors
    /// With the line, for what the template does wrong or raises, and what exceeds the limits of this module.
    pub fn render(
        &self,
        variables: &serde_json::Map<String, serde_json::Value>,
        date: Date,
    ) -> Result<String, Fault> {
        let text = self.render_marked(variables, date)?;
        Ok(super::marks::Marked::strip(&text).text)
    }

    /// As [`render`](Self::render), with marks around what the template calls generated.
    pub(super) fn render_marked(
        &self,
        variables: &serde_json::Map<String, serde_json::Value>,
        date: Date,
    ) -> Result<String, Fault> {
        let machine = run::Machine::new(date);
        let named: Result<HashMap<Arc<str>, _>, Fault> = variables
            .iter()
            .map(|(name, json)| Ok((name.as_str().into(), convert::value(json, &machine.budget)?)))
            .collect();
        machine.render(&self.block, named?)
    }
}
