//! A chat template with what Hugging Face's renderer gives it.

use super::{
    date::Date,
    jinja::{Fault, Template},
    marks::{CLOSE, Marked, OPEN},
    source::TemplateSource,
    special::SpecialTokens,
};
use crate::{
    Error,
    data::{Part, Role, Turn},
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// How the template wants the content of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// A list of `{"type": "text" | "image", ...}`.
    Parts,
    /// One text; images are marked in it.
    Text,
}

/// A chat template, ready to render.
///
/// It sees `messages`, `add_generation_prompt`, the special tokens by their names, and `tools` and `documents`, which
/// are None.
#[derive(Debug)]
pub struct ChatTemplate {
    template: Template,
    path: PathBuf,
    content: Content,
    image_token: String,
    date: Date,
    note: Option<String>,
    pub(super) special: SpecialTokens,
}

impl ChatTemplate {
    /// Finds and reads the template of a model directory, in the places and order of [`TemplateSource`].
    ///
    /// # Errors
    /// [`Error::Config`] if there is none, [`Error::Template`] if it cannot be read.
    pub fn from_dir(dir: &Path, special: SpecialTokens) -> Result<Self, Error> {
        let source = TemplateSource::find(dir)?;
        let template = Self::new(&source.text, &source.path, special)?;
        Ok(Self { note: source.note(), ..template })
    }

    /// Reads `source`; `path` names it in messages.
    ///
    /// # Errors
    /// [`Error::Template`] if it is no template.
    pub fn new(source: &str, path: &Path, special: SpecialTokens) -> Result<Self, Error> {
        let template = Template::new(source).map_err(|fault| refused(path, &fault))?;
        let image_token = special.get("image_token").unwrap_or("<image>").to_string();
        let date = Date::default();
        let chat = Self {
            template,
            path: path.into(),
            content: Content::Parts,
            image_token,
            date,
            note: None,
            special,
        };
        Ok(chat.probed())
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
        self.date = date;
        self
    }

    /// The file that the template came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a user should know about where the template comes from, if anything: other templates that differ.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The text of `turns`, followed by the opening of the model's turn if `generation_prompt`.
    ///
    /// Each image placeholder appears as the model's image token, not yet expanded.
    ///
    /// # Errors
    /// [`Error::Template`] if the template refuses the conversation, or exceeds the limits of [`jinja`](super::jinja).
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
        let mut variables = Map::new();
        variables.insert("messages".into(), turns.iter().map(|turn| self.message(turn)).collect());
        for name in ["tools", "documents"] {
            variables.insert(name.into(), Value::Null);
        }
        variables.insert("add_generation_prompt".into(), generation_prompt.into());
        for (name, token) in &self.special.named {
            variables.insert(name.clone(), token.as_str().into());
        }
        let text = self
            .template
            .render_marked(&variables, self.date)
            .map_err(|fault| refused(&self.path, &fault))?;
        Ok(Marked::strip(&text))
    }

    /// The error of a conversation that cannot be rendered.
    pub(super) fn refuse(&self, why: impl Into<String>) -> Error {
        Error::Template { path: self.path.clone(), why: why.into() }
    }

    /// A turn as the template's `messages` hold it.
    fn message(&self, turn: &Turn) -> Value {
        let content: Value = match self.content {
            Content::Parts => turn
                .parts
                .iter()
                .map(|part| match part {
                    Part::Image => json!({"type": "image"}),
                    Part::Text(text) => json!({"type": "text", "text": text}),
                })
                .collect(),
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
                text.into()
            }
        };
        json!({"role": turn.role.name(), "content": content})
    }

    /// Finds out which form of content the template takes, by showing it one question.
    fn probed(mut self) -> Self {
        let question = [Turn::text(Role::User, "probe")];
        // A template for plain text prints the list of parts as it is, or fails on it.
        let printed = ["'type'", "\"type\""];
        let fits = |text: &str| text.contains("probe") && !printed.iter().any(|list| text.contains(list));
        if !self.render(&question, false).is_ok_and(|text| fits(&text)) {
            self.content = Content::Text;
            if !self.render(&question, false).is_ok_and(|text| fits(&text)) {
                self.content = Content::Parts;
            }
        }
        self
    }
}

fn refused(path: &Path, fault: &Fault) -> Error {
    Error::Template { path: path.into(), why: fault.to_string() }
}
