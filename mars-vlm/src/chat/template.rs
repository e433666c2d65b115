//! A compiled Jinja chat template with the extras that Hugging Face's renderer gives.

use super::{
    date::Date,
    json,
    marks::{CLOSE, Marked, OPEN, mark_generation},
    source,
    special::SpecialTokens,
};
use crate::{
    Error,
    data::{Part, Role, Turn},
};
use minijinja::{Environment, ErrorKind, Value, context};
use std::path::{Path, PathBuf};

const NAME: &str = "chat";
/// Steps that a template may take: thousands of times what a long conversation needs, and used up within a second.
const FUEL: u64 = 5_000_000;

/// How the template wants the content of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// A list of `{"type": "text" | "image", ...}`.
    Parts,
    /// One text; images are marked in it.
    Text,
}

/// A chat template, ready to render.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    path: PathBuf,
    content: Content,
    image_token: String,
    pub(super) special: SpecialTokens,
}

impl ChatTemplate {
    /// Finds and compiles the template of a model directory.
    ///
    /// Looked for, in this order: `chat_template.jinja`, `chat_template.json`,
    /// `tokenizer_config.json`, `processor_config.json`.
    ///
    /// # Errors
    /// [`Error::Config`] if there is none, [`Error::Template`] if it does not compile.
    pub fn from_dir(dir: &Path, special: SpecialTokens) -> Result<Self, Error> {
        let (path, source) = source::find(dir)?;
        Self::new(&source, &path, special)
    }

    /// Compiles `source`; `path` names it in messages.
    ///
    /// # Errors
    /// [`Error::Template`] if it does not compile.
    pub fn new(source: &str, path: &Path, special: SpecialTokens) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", json::tojson);
        environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        environment
            .add_template_owned(NAME, mark_generation(source))
            .map_err(|e| Error::Template { path: path.into(), why: reason(&e) })?;
        let image_token = special.get("image_token").unwrap_or("<image>").to_string();
        let template = Self { environment, path: path.into(), content: Content::Parts, image_token, special }
            .with_date(Date::default());
        Ok(template.probed())
    }

    /// The same template with another image token (only templates that take plain text notice).
    #[must_use]
    pub fn with_image_token(mut self, token: &str) -> Self {
        self.image_token = token.to_string();
        self
    }

    /// The same template on another day (only templates that call `strftime_now` notice).
    #[must_use]
    pub fn with_date(mut self, date: Date) -> Self {
        self.environment.add_function("strftime_now", move |format: String| {
            date.format(&format).map_err(|unknown| {
                minijinja::Error::new(ErrorKind::InvalidOperation, format!("strftime_now: unknown {unknown}"))
            })
        });
        self
    }

    /// The file that the template came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of `turns`, followed by the opening of the model's turn if `generation_prompt`.
    ///
    /// Each image placeholder appears as the model's image token, not yet expanded.
    ///
    /// # Errors
    /// [`Error::Template`] if the template refuses the conversation.
    pub fn render(&self, turns: &[Turn], generation_prompt: bool) -> Result<String, Error> {
        Ok(self.render_marked(turns, generation_prompt)?.text)
    }

    /// As [`render`](Self::render), with the ranges between generation tags.
    ///
    /// # Errors
    /// As [`render`](Self::render), and for a conversation that holds one of the marks.
    pub(super) fn render_marked(&self, turns: &[Turn], generation_prompt: bool) -> Result<Marked, Error> {
        if turns.iter().flat_map(Turn::texts).any(|text| text.contains([OPEN, CLOSE])) {
            return Err(self.refuse("the conversation contains a private-use character that marks answers"));
        }
        let messages: Vec<Value> = turns.iter().map(|turn| self.message(turn)).collect();
        let named = Value::from_serialize(&self.special.named);
        let template = self.environment.get_template(NAME).map_err(|e| self.refuse(reason(&e)))?;
        let text = template
            .render(context! { messages, add_generation_prompt => generation_prompt, ..named })
            .map_err(|e| self.refuse(reason(&e)))?;
        Ok(Marked::strip(&text))
    }

    /// The error of a conversation that cannot be rendered.
    pub(super) fn refuse(&self, why: impl Into<String>) -> Error {
        Error::Template { path: self.path.clone(), why: why.into() }
    }

    /// A turn as the template's `messages` hold it.
    fn message(&self, turn: &Turn) -> Value {
        let content = match self.content {
            Content::Parts => turn
                .parts
                .iter()
                .map(|part| match part {
                    Part::Image => context! { type => "image" },
                    Part::Text(text) => context! { type => "text", text },
                })
                .collect::<Vec<_>>()
                .into(),
            Content::Text => {
                let mut text = String::new();
                for (k, part) in turn.parts.iter().enumerate() {
                    match part {
                        Part::Image => text += &self.image_token,
                        Part::Text(part) => {
                            if k > 0 && turn.parts[k - 1] == Part::Image {
                                text.push('\n');
                            }
                            text += part;
                        }
                    }
                }
                Value::from(text)
            }
        };
        context! { role => turn.role.name(), content }
    }

    /// Finds out which form of content the template takes, by showing it one question.
    fn probed(mut self) -> Self {
        let question = [Turn::text(Role::User, "probe")];
        // A template for plain text prints the list of parts as it is, or fails on it.
        let fits = |text: &str| text.contains("probe") && !text.contains("\"type\"");
        if !self.render(&question, false).is_ok_and(|text| fits(&text)) {
            self.content = Content::Text;
            if !self.render(&question, false).is_ok_and(|text| fits(&text)) {
                self.content = Content::Parts;
            }
        }
        self
    }
}

/// The reason of a template failure with its line.
fn reason(e: &minijinja::Error) -> String {
    let what = e.detail().map_or_else(|| e.kind().to_string(), str::to_string);
    match e.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    }
}
