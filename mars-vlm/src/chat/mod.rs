//! Chat templates: a conversation to the text that the model sees, with the byte range of each answer.
//!
//! A [`ChatTemplate`] is the Jinja template of a model directory, rendered as Hugging Face's renderer does.

mod answer;
mod date;
pub mod jinja;
mod marks;
pub(crate) mod source;
mod special;
mod template;

pub use answer::Rendered;
pub use date::Date;
pub use source::TemplateSource;
pub use special::SpecialTokens;
pub use template::ChatTemplate;
