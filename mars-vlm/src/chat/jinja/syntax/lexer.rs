//! Cuts a template into text and the tokens of its tags, with the whitespace rules of blocks.
//!
//! The rules are those that Hugging Face sets: the first line break after a block is dropped (`trim_blocks`), and so
//! are blanks between the beginning of a line and a block (`lstrip_blocks`); `-` and `+` in a tag overrule them.

use super::{
    super::{budget::LONGEST_NAME, fault::Fault, value::text::is_space},
    token::{self, Token, TokenKind},
};

/// The tokens of `source`; the last is [`TokenKind::End`].
///
/// # Errors
/// For tags, comments and texts that are not closed, and characters that mean nothing.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, Fault> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let source = source.strip_suffix('\n').unwrap_or(&source);
    let mut lexer = Lexer { source, at: 0, line: 1, starts_line: true, out: Vec::new() };
    lexer.run().map_err(|fault| fault.at(lexer.line))?;
    Ok(lexer.out)
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: u32,
    /// Whether what was read last ended a line.
    starts_line: bool,
    out: Vec<Token>,
}

/// The sign after the opening of a tag.
fn sign(rest: &str) -> &str {
    rest.get(..1).filter(|sign| matches!(*sign, "-" | "+")).unwrap_or("")
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    /// Moves on by `len` bytes.
    fn skip(&mut self, len: usize) {
        let skipped = &self.source[self.at..self.at + len];
        self.line += skipped.matches('\n').count() as u32;
        self.starts_line = skipped.ends_with('\n');
        self.at += len;
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.skip(rest.len() - rest.trim_start_matches(is_space).len());
    }

    fn push(&mut self, kind: TokenKind) {
        self.out.push(Token { kind, line: self.line });
    }

    fn run(&mut self) -> Result<(), Fault> {
        loop {
            let rest = self.rest();
            let next = rest
                .match_indices('{')
                .find(|(at, _)| matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')));
            let Some((len, _)) = next else {
                self.data(rest);
                self.push(TokenKind::End);
                return Ok(());
            };
            let (tag, after) = (&rest[len..len + 2], &rest[len + 2..]);
            self.data(self.before_tag(&rest[..len], tag, sign(after)));
            self.skip(len + 2 + sign(after).len());
            match tag {
                "{#" => self.comment()?,
                "{%" if self.raw()? => {}
                "{%" => self.tag(TokenKind::BlockBegin)?,
                _ => self.tag(TokenKind::PrintBegin)?,
            }
        }
    }

    fn data(&mut self, text: &str) {
        if !text.is_empty() {
            self.push(TokenKind::Data(text.into()));
        }
    }

    /// What is left of the text before a tag.
    fn before_tag<'t>(&self, text: &'t str, tag: &str, sign: &str) -> &'t str {
        if sign == "-" {
            return text.trim_end_matches(is_space);
        }
        let line = text.rfind('\n').map_or(0, |at| at + 1);
        let strips = sign.is_empty() && tag != "{{" && (line > 0 || self.starts_line);
        if strips && text[line..].chars().all(is_space) { &text[..line] } else { text }
    }

    /// Skips what the end of a block or comment takes of the text after it; `before` is what stands before the end.
    fn after_end(&mut self, before: &str) {
        match before.chars().next_back() {
            Some('-') => self.skip_spaces(),
            Some('+') => {}
            _ if self.rest().starts_with('\n') => self.skip(1),
            _ => {}
        }
    }

    fn comment(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let Some(len) = rest.find("#}") else {
            return Err(Fault::new("unexpected end of template in a comment"));
        };
        self.skip(len + 2);
        self.after_end(&rest[..len]);
        Ok(())
    }

    /// Reads a `raw` block, if this is one.
    fn raw(&mut self) -> Result<bool, Fault> {
        let Some(after) = self.rest().trim_start_matches(is_space).strip_prefix("raw") else {
            return Ok(false);
        };
        let after = after.trim_start_matches(is_space);
        let (text, strips) = match (after.strip_prefix("-%}"), after.strip_prefix("%}")) {
            (Some(text), _) => (text, true),
            (None, Some(text)) => (text, false),
            _ => return Ok(false),
        };
        self.skip(self.rest().len() - text.len());
        if strips {
            self.skip_spaces();
        }
        let rest = self.rest();
        for (at, _) in rest.match_indices("{%") {
            let sign = sign(&rest[at + 2..]);
            let tag = &rest[at + 2 + sign.len()..];
            let Some(after) = tag.trim_start_matches(is_space).strip_prefix("endraw") else { continue };
            let after = after.trim_start_matches(is_space);
            let end = if after.starts_with("%}") { "" } else { self::sign(after) };
            let Some(after) = after[end.len()..].strip_prefix("%}") else { continue };
            self.data(self.before_tag(&rest[..at], "{%", sign));
            self.skip(rest.len() - after.len());
            self.after_end(end);
            return Ok(true);
        }
        Err(Fault::new("unexpected end of template: expected endraw"))
    }

    /// Reads the tokens of a tag through its end.
    fn tag(&mut self, begin: TokenKind) -> Result<(), Fault> {
        let block = begin == TokenKind::BlockBegin;
        let close = if block { "%}" } else { "}}" };
        self.push(begin);
        let mut brackets = Vec::new();
        loop {
            let rest = self.rest();
            let end = if rest.starts_with(close) { "" } else { sign(rest) };
            let signed = end.is_empty() || end == "-" || block;
            if brackets.is_empty() && signed && rest[end.len()..].starts_with(close) {
                self.push(if block { TokenKind::BlockEnd } else { TokenKind::PrintEnd });
                self.skip(end.len() + close.len());
                if block {
                    self.after_end(end);
                } else if end == "-" {
                    self.skip_spaces();
                }
                return Ok(());
            }
            let Some(first) = rest.chars().next() else {
                return Err(Fault::new("unexpected end of template in a tag"));
            };
            if is_space(first) {
                self.skip_spaces();
                continue;
            }
            let attribute = matches!(self.out.last(), Some(Token { kind: TokenKind::Op("."), .. }));
            let (kind, len) = if let Some(found) = token::number(rest, attribute)? {
                found
            } else if let Some(name) = token::name(rest) {
                if name.len() > LONGEST_NAME {
                    let what = format!("a name of {} bytes, more than {LONGEST_NAME}", name.len());
                    return Err(Fault::new(what));
                }
                (TokenKind::Name(name.into()), name.len())
            } else if let Some((text, len)) = token::string(rest)? {
                (TokenKind::Str(text.into()), len)
            } else if let Some(op) = token::operator(rest) {
                balance(&mut brackets, op)?;
                (TokenKind::Op(op), op.len())
            } else {
                return Err(Fault::new(format!("unexpected character {first:?}")));
            };
            self.push(kind);
            self.skip(len);
        }
    }
}

/// Keeps account of brackets: inside of them, a tag does not end.
fn balance(brackets: &mut Vec<&'static str>, op: &'static str) -> Result<(), Fault> {
    match op {
        "(" => brackets.push(")"),
        "[" => brackets.push("]"),
        "{" => brackets.push("}"),
        ")" | "]" | "}" if brackets.pop() != Some(op) => return Err(Fault::new(format!("unexpected {op}"))),
        _ => {}
    }
    Ok(())
}
