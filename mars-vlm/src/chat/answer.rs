//! Where the answers are in a rendered conversation.
//!
//! An answer is what the model must generate: it begins where the generation prompt of the
//! template ends, and ends with the end-of-turn token. Rendering the turns before the answer
//! with the generation prompt gives its beginning; templates whose history differs from their
//! prompt are read through their `{% generation %}` tags.

use super::{marks::Marked, template::ChatTemplate};
use crate::{
    Error,
    data::{Role, Turn},
};
use std::ops::Range;

/// A rendered conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text; each image placeholder is a single image token.
    pub text: String,
    /// Byte ranges of the answers in `text`, one per assistant turn that is learnt, end-of-turn token included.
    pub answers: Vec<Range<usize>>,
}

impl ChatTemplate {
    /// Renders a whole conversation and finds its answers.
    ///
    /// # Errors
    /// [`Error::Template`] if the template refuses the conversation, or if an answer cannot be
    /// found: its generation prompt is not how its history begins and it has no generation tags.
    pub fn render_answers(&self, turns: &[Turn]) -> Result<Rendered, Error> {
        let Marked { text, generated } = self.render_marked(turns, false)?;
        let assistant: Vec<usize> = (0..turns.len()).filter(|k| turns[*k].role == Role::Assistant).collect();
        let tagged = (generated.len() == assistant.len()).then_some(generated);
        let mut answers: Vec<Range<usize>> = Vec::with_capacity(assistant.len());
        for (nth, &k) in assistant.iter().enumerate().filter(|(_, k)| turns[**k].learnt) {
            let prompt = self.render(&turns[..k], true)?;
            let tag = tagged.as_ref().map(|tags| tags[nth].clone());
            let after = answers.last().map_or(0, |answer| answer.end);
            let start = if text.starts_with(&prompt) && prompt.len() >= after {
                prompt.len()
            } else if let Some(tag) = &tag {
                tag.start
            } else {
                return Err(self.refuse(format!(
                    "the generation prompt before turn {k} is not the beginning of that turn, so the answer \
                     cannot be found; add generation tags around the answer in the template"
                )));
            };
            let so_far = if k + 1 == turns.len() { text.clone() } else { self.render(&turns[..=k], false)? };
            let shared = &text[start..common_prefix(&text, &so_far).max(start)];
            let special = &self.special.added;
            let end = if text.starts_with(&so_far) || text_end(shared, &turns[k], special).is_some() {
                start + answer_end(shared, &turns[k], special)
            } else {
                // The template shows a turn that is not the last one differently.
                let end = any_text_end(&text[start..], &turns[k], special).map(|end| start + end);
                let Some(end) = end.or(tag.map(|tag| tag.end)) else {
                    return Err(self.refuse(format!("the answer of turn {k} is not in the rendered text")));
                };
                let follows = |token: &&String| text[end..].starts_with(token.as_str());
                end + special.iter().filter(follows).map(String::len).max().unwrap_or(0)
            };
            let silent = |text: &str| shows_nothing(text, special);
            if end <= start || silent(&text[start..end]) && !turns[k].texts().all(silent) {
                return Err(self.refuse(format!("the answer of turn {k} is not in the rendered text")));
            }
            answers.push(start..end);
        }
        Ok(Rendered { text, answers })
    }
}

/// Whether an answer is nothing but blanks and special tokens.
fn shows_nothing(answer: &str, special: &[String]) -> bool {
    let mut rest = answer.to_string();
    for token in special {
        rest = rest.replace(token.as_str(), "");
    }
    rest.trim().is_empty()
}

/// Where the texts of `turn` end in `rendered`, if it contains all of them.
///
/// Letters of special tokens are no text: `in` is also in `<think>`.
fn text_end(rendered: &str, turn: &Turn, special: &[String]) -> Option<usize> {
    turn.texts().map(str::trim).try_fold(0, |from, text| {
        let mut places = rendered[from..].match_indices(text).map(|(at, _)| from + at);
        places.find(|at| !is_cut(rendered, *at..at + text.len(), special)).map(|at| at + text.len())
    })
}

/// The same, with letters of special tokens where there is nothing else.
fn any_text_end(rendered: &str, turn: &Turn, special: &[String]) -> Option<usize> {
    text_end(rendered, turn, special).or_else(|| text_end(rendered, turn, &[]))
}

/// Whether `part` of `rendered` begins or ends inside of a special token.
fn is_cut(rendered: &str, part: Range<usize>, special: &[String]) -> bool {
    let bytes = rendered.as_bytes();
    special.iter().map(String::as_bytes).any(|token| {
        let inside = |edge: usize| {
            let first = (edge + 1).saturating_sub(token.len());
            (first..edge).any(|at| bytes[at..].starts_with(token))
        };
        inside(part.start) || inside(part.end)
    })
}

/// Length of the answer in `rendered`, a turn without its generation prompt.
///
/// The end-of-turn token is the first special token after the answer's own text, which may quote
/// special tokens; a template without one ends the answer with its last visible character.
fn answer_end(rendered: &str, turn: &Turn, special: &[String]) -> usize {
    let text_len = any_text_end(rendered, turn, special).unwrap_or(0);
    special
        .iter()
        .filter_map(|token| rendered[text_len..].find(token.as_str()).map(|at| (at, token.len())))
        .min_by_key(|(at, len)| (*at, std::cmp::Reverse(*len)))
        .map_or_else(|| rendered.trim_end().len().max(text_len), |(at, len)| text_len + at + len)
}

/// Bytes that both texts begin with, at a character boundary.
fn common_prefix(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}
