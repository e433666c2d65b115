//! One value under a format specification, as `'%05.1f'` and `'{:>8}'` have them.

use super::super::{
    fault::Fault,
    value::{Show, Value, float_text},
};

/// Most digits after the point.
const MOST_DIGITS: usize = 1000;

/// A format specification.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Spec {
    pub(super) fill: Option<char>,
    /// One of `<`, `>`, `^`, `=`.
    pub(super) align: Option<char>,
    /// One of `+`, blank, `-`.
    pub(super) sign: Option<char>,
    pub(super) alternate: bool,
    pub(super) width: usize,
    /// One of `,` and `_`.
    pub(super) group: Option<char>,
    pub(super) precision: Option<usize>,
    /// One of `s d b o x X c e E f F g G %`.
    pub(super) kind: Option<char>,
}

impl Spec {
    /// A text under this specification.
    ///
    /// # Errors
    /// Beyond the budget.
    pub(super) fn text(&self, text: &str, show: &dyn Show) -> Result<String, Fault> {
        show.budget().bytes(text.len())?;
        let cut: String = match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text.to_owned(),
        };
        self.padded("", &cut, '<', show)
    }

    /// A number under this specification.
    ///
    /// # Errors
    /// For a kind that does not fit, and beyond the budget.
    pub(super) fn number(&self, value: &Value, show: &dyn Show) -> Result<String, Fault> {
        let unknown = |kind: char| {
            Fault::new(format!("unknown format code '{kind}' for object of type '{}'", value.kind()))
        };
        let precision = self.precision.unwrap_or(6);
        if precision > MOST_DIGITS {
            return Err(Fault::new(format!("a precision of {precision} digits, more than {MOST_DIGITS}")));
        }
        let (negative, digits) = match (self.kind, value.as_int(), value.as_float()) {
            (None | Some('d' | 'b' | 'o' | 'x' | 'X' | 'n'), Some(n), _) => {
                let size = n.unsigned_abs();
                let digits = match self.kind {
                    Some('b') => format!("{}{size:b}", if self.alternate { "0b" } else { "" }),
                    Some('o') => format!("{}{size:o}", if self.alternate { "0o" } else { "" }),
                    Some('x') => format!("{}{size:x}", if self.alternate { "0x" } else { "" }),
                    Some('X') => format!("{}{size:X}", if self.alternate { "0X" } else { "" }),
                    _ => size.to_string(),
                };
                (n < 0, digits)
            }
            (Some('c'), Some(n), _) => {
                let c = u32::try_from(n).ok().and_then(char::from_u32);
                let c = c.ok_or_else(|| Fault::new("%c arg not in range(0x110000)"))?;
                return self.padded("", c.encode_utf8(&mut [0; 4]), '<', show);
            }
            (kind, _, Some(x)) => {
                let size = x.abs();
                let digits = match kind {
                    _ if !size.is_finite() => if size.is_nan() { "nan" } else { "inf" }.into(),
                    Some('f' | 'F') => format!("{size:.precision$}"),
                    Some('e') => scientific(size, precision),
                    Some('E') => scientific(size, precision).to_uppercase(),
                    Some('g') => general(size, precision, self.alternate),
                    Some('G') => general(size, precision, self.alternate).to_uppercase(),
                    Some('%') => format!("{:.precision$}%", size * 100.0),
                    None if self.precision.is_none() => float_text(size),
                    None => {
                        let text = general(size, precision, false);
                        if text.contains(['.', 'e']) { text } else { text + ".0" }
                    }
                    Some(kind) => return Err(unknown(kind)),
                };
                (x.is_sign_negative() && !x.is_nan(), digits)
            }
            (kind, ..) => return Err(unknown(kind.unwrap_or('d'))),
        };
        let sign = match (negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            _ => "",
        };
        let digits = self.group.map_or(digits.clone(), |mark| grouped(&digits, mark));
        self.padded(sign, &digits, '>', show)
    }

    /// `sign` and `body` in the width, to the side `usual` unless said otherwise.
    fn padded(&self, sign: &str, body: &str, usual: char, show: &dyn Show) -> Result<String, Fault> {
        let missing = self.width.saturating_sub(sign.chars().count() + body.chars().count());
        let fill = self.fill.unwrap_or(' ');
        show.budget().bytes(missing.saturating_mul(fill.len_utf8()).saturating_add(body.len()))?;
        let fills = |count: usize| fill.to_string().repeat(count);
        Ok(match self.align.unwrap_or(usual) {
            '<' => format!("{sign}{body}{}", fills(missing)),
            '^' => format!("{}{sign}{body}{}", fills(missing / 2), fills(missing - missing / 2)),
            '=' => format!("{sign}{}{body}", fills(missing)),
            _ => format!("{}{sign}{body}", fills(missing)),
        })
    }
}

/// With an exponent of at least two digits.
fn scientific(x: f64, precision: usize) -> String {
    let text = format!("{x:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// With `precision` significant digits, and an exponent where that is shorter.
fn general(x: f64, precision: usize, keep_zeros: bool) -> String {
    let precision = precision.max(1);
    let rounded = format!("{x:.*e}", precision - 1);
    let exponent: i32 = rounded.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let small = exponent < -4;
    let text = if small || exponent >= precision as i32 {
        scientific(x, precision - 1)
    } else {
        format!("{x:.*}", (precision as i32 - 1 - exponent).max(0) as usize)
    };
    if keep_zeros || !text.contains('.') {
        return text;
    }
    let (digits, exponent) = text.split_once('e').map_or((text.as_str(), None), |(d, e)| (d, Some(e)));
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    exponent.map_or_else(|| digits.to_owned(), |exponent| format!("{digits}e{exponent}"))
}

/// Digits before the point in groups of three.
fn grouped(digits: &str, mark: char) -> String {
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (whole, rest) = digits.split_at(end);
    let mut out = String::new();
    for (k, c) in whole.chars().enumerate() {
        if k > 0 && (whole.len() - k) % 3 == 0 {
            out.push(mark);
        }
        out.push(c);
    }
    out + rest
}
