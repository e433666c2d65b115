//! Chat templates: a conversation to the text that the model sees, with the place of each answer.

mod answer;
mod date;
mod json;
mod marks;
mod source;
mod special;
mod template;

pub use answer::Rendered;
pub use date::Date;
pub use special::SpecialTokens;
pub use template::ChatTemplate;
