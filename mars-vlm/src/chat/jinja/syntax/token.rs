//! The tokens between the delimiters of a tag.

use super::{super::fault::Fault, tree::Name};

/// A token and its line, from 1.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) line: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// Text between tags.
    Data(Name),
    BlockBegin,
    BlockEnd,
    PrintBegin,
    PrintEnd,
    Name(Name),
    Str(Name),
    Int(i64),
    Float(f64),
    Op(&'static str),
    End,
}

impl TokenKind {
    /// The token in a message.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Data(_) => "text".into(),
            Self::BlockBegin => "{%".into(),
            Self::BlockEnd => "end of block (%})".into(),
            Self::PrintBegin => "{{".into(),
            Self::PrintEnd => "end of print (}})".into(),
            Self::Name(name) => name.to_string(),
            Self::Str(text) => format!("{text:?}"),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Op(op) => (*op).into(),
            Self::End => "end of template".into(),
        }
    }
}

/// Longer ones first.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", "<", ">",
    "=", ".", ":", "|", ",", ";",
];

/// The operator that `rest` begins with.
pub(super) fn operator(rest: &str) -> Option<&'static str> {
    OPERATORS.into_iter().find(|op| rest.starts_with(op))
}

/// The name that `rest` begins with.
pub(super) fn name(rest: &str) -> Option<&str> {
    let first = rest.chars().next()?;
    if !(first.is_alphabetic() || first == '_') {
        return None;
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// The number that `rest` begins with and its length; `whole` if it cannot have a fraction.
///
/// # Errors
/// For a number that 64 bits cannot hold.
pub(super) fn number(rest: &str, whole: bool) -> Result<Option<(TokenKind, usize)>, Fault> {
    let bytes = rest.as_bytes();
    let digits = |from: usize, radix: u32| {
        let is = |c: &u8| *c == b'_' || char::from(*c).is_digit(radix);
        from + bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|c| is(c)).count())
    };
    let too_large = |text: &str| Fault::new(format!("the number {text} does not fit into 64 bits"));
    if !bytes.first().is_some_and(u8::is_ascii_digit) {
        return Ok(None);
    }
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if rest.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(prefix)) {
            let end = digits(2, radix);
            let text = rest[2..end].replace('_', "");
            let value = i64::from_str_radix(&text, radix).map_err(|_| too_large(&rest[..end]))?;
            return Ok(Some((TokenKind::Int(value), end)));
        }
    }
    let mut end = digits(0, 10);
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut float = false;
    if !whole {
        if bytes.get(end) == Some(&b'.') && is_digit(end + 1) {
            (end, float) = (digits(end + 1, 10), true);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if is_digit(end + 1 + signed) {
                (end, float) = (digits(end + 1 + signed, 10), true);
            }
        }
    }
    let text = rest[..end].replace('_', "");
    let kind = if float {
        TokenKind::Float(text.parse().map_err(|_| too_large(&text))?)
    } else {
        TokenKind::Int(text.parse().map_err(|_| too_large(&text))?)
    };
    Ok(Some((kind, end)))
}

/// The text literal that `rest` begins with, its escapes resolved as Python does, and its length.
///
/// # Errors
/// For a literal that does not end, and for an escape of no character.
pub(super) fn string(rest: &str) -> Result<Option<(String, usize)>, Fault> {
    let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else { return Ok(None) };
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok(Some((out, at + 1)));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some((_, escape)) = chars.next() else { break };
        let plain = match escape {
            'n' => Some('\n'),
            't' => Some('\t'),
            'r' => Some('\r'),
            'a' => Some('\x07'),
            'b' => Some('\x08'),
            'f' => Some('\x0c'),
            'v' => Some('\x0b'),
            '\\' | '\'' | '"' => Some(escape),
            _ => None,
        };
        let (digits, radix) = match escape {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (2, 8),
            _ => (0, 0),
        };
        match plain {
            Some(c) => out.push(c),
            None if escape == '\n' => {}
            None if digits == 0 => out.extend(['\\', escape]),
            None => {
                let mut code = if radix == 8 { escape.to_digit(8).unwrap_or(0) } else { 0 };
                let mut taken = 0;
                while taken < digits
                    && let Some(digit) = chars.peek().and_then(|(_, c)| c.to_digit(radix))
                {
                    code = code.wrapping_mul(radix) + digit;
                    taken += 1;
                    chars.next();
                }
                let whole = radix == 8 || taken == digits;
                let Some(c) = char::from_u32(code).filter(|_| whole) else {
                    return Err(Fault::new(format!(
                        "\\{escape} in a text is not followed by the number of a character"
                    )));
                };
                out.push(c);
            }
        }
    }
    Err(Fault::new("unexpected end of template in a text"))
}
