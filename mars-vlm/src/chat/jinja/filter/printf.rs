//! Python's `text % values`.

use super::{
    super::{
        fault::Fault,
        value::{Show, Value, plain, repr},
    },
    spec::Spec,
};

/// `format` with its conversions replaced by `values`: a tuple, a mapping, or one value.
///
/// # Errors
/// For conversions and values that do not fit each other, and beyond the budget.
pub(in super::super) fn format(format: &str, values: &Value, show: &dyn Show) -> Result<String, Fault> {
    let list: Vec<Value> = match values {
        Value::Tuple(seq) => seq.items().to_vec(),
        other => vec![other.clone()],
    };
    show.budget().values(list.len())?;
    show.budget().bytes(format.len())?;
    let mut state = State { list: list.into_iter(), values };
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        out.push_str(&state.conversion(&mut rest, show)?);
    }
    out.push_str(rest);
    if state.list.next().is_some() && !matches!(values, Value::Dict(_) | Value::List(_)) {
        return Err(Fault::new("not all arguments converted during string formatting"));
    }
    Ok(out)
}

struct State<'v> {
    list: std::vec::IntoIter<Value>,
    values: &'v Value,
}

impl State<'_> {
    fn next(&mut self) -> Result<Value, Fault> {
        self.list.next().ok_or_else(|| Fault::new("not enough arguments for format string"))
    }

    /// A number in `rest`, or the next value for `*`.
    fn size(&mut self, rest: &mut &str) -> Result<Option<usize>, Fault> {
        if let Some(after) = rest.strip_prefix('*') {
            *rest = after;
            let size = self.next()?.as_int().ok_or_else(|| Fault::new("* wants int"))?;
            return Ok(Some(usize::try_from(size).unwrap_or(0)));
        }
        Ok(number(rest))
    }

    /// What stands for the conversion that `rest` begins with, after its `%`.
    fn conversion(&mut self, rest: &mut &str, show: &dyn Show) -> Result<String, Fault> {
        let mut named = None;
        if let Some(after) = rest.strip_prefix('(') {
            let Some(end) = after.find(')') else { return Err(Fault::new("incomplete format key")) };
            let Value::Dict(dict) = self.values else { return Err(Fault::new("format requires a mapping")) };
            let found = dict.get(&Value::text(&after[..end]), show.budget())?;
            named =
                Some(found.cloned().ok_or_else(|| Fault::new(format!("no value for %({})", &after[..end])))?);
            *rest = &after[end + 1..];
        }
        let mut spec = Spec { align: Some('>'), ..Spec::default() };
        let mut zeros = false;
        while let Some(flag) = rest.chars().next().filter(|c| matches!(c, '-' | '+' | ' ' | '#' | '0')) {
            match flag {
                '-' => spec.align = Some('<'),
                '#' => spec.alternate = true,
                '0' => zeros = true,
                ' ' if spec.sign == Some('+') => {}
                sign => spec.sign = Some(sign),
            }
            *rest = &rest[1..];
        }
        spec.width = self.size(rest)?.unwrap_or(0);
        if let Some(after) = rest.strip_prefix('.') {
            *rest = after;
            spec.precision = Some(self.size(rest)?.unwrap_or(0));
        }
        *rest = rest.trim_start_matches(['l', 'h', 'L']);
        let Some(kind) = rest.chars().next() else { return Err(Fault::new("incomplete format")) };
        *rest = &rest[kind.len_utf8()..];
        if kind == '%' {
            return Ok("%".into());
        }
        let value = match named {
            Some(value) => value,
            None => self.next()?,
        };
        if zeros && spec.align == Some('>') && !matches!(kind, 's' | 'r' | 'a' | 'c') {
            (spec.fill, spec.align) = (Some('0'), Some('='));
        }
        let wrong = || {
            let what = format!("%{kind} format: a number is required, not {}", value.kind());
            Err(Fault::new(what))
        };
        match kind {
            's' => spec.text(&plain(&value, show)?, show),
            'r' | 'a' => spec.text(&repr(&value, show)?, show),
            'd' | 'i' | 'u' => {
                let whole = match value.defined()? {
                    Value::Float(x) if x.is_finite() && x.abs() < 9.2e18 => Value::Int(*x as i64),
                    other => match other.as_int() {
                        Some(n) => Value::Int(n),
                        None => return wrong(),
                    },
                };
                self.whole(whole, Spec { kind: Some('d'), ..spec }, show)
            }
            'x' | 'X' | 'o' => match value.as_int() {
                Some(n) => self.whole(Value::Int(n), Spec { kind: Some(kind), ..spec }, show),
                None => wrong(),
            },
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => match value.defined()?.as_float() {
                Some(x) => Spec { kind: Some(kind), ..spec }.number(&Value::Float(x), show),
                None => wrong(),
            },
            'c' => match &value {
                Value::Str(text) if text.chars().count() == 1 => spec.text(text, show),
                other if other.as_int().is_some() => {
                    Spec { kind: Some('c'), precision: None, ..spec }.number(other, show)
                }
                _ => Err(Fault::new("%c requires int or char")),
            },
            other => Err(Fault::new(format!("unsupported format character '{other}'"))),
        }
    }

    /// A whole number, whose precision is its least number of digits.
    fn whole(&self, value: Value, spec: Spec, show: &dyn Show) -> Result<String, Fault> {
        let Some(least) = spec.precision else { return spec.number(&value, show) };
        let bare = Spec { sign: spec.sign, kind: spec.kind, ..Spec::default() };
        let digits = bare.number(&value, show)?;
        let split = digits.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(0);
        let (sign, digits) = digits.split_at(split);
        let zeros = least.saturating_sub(digits.len());
        show.budget().bytes(zeros)?;
        let text = format!("{sign}{}{digits}", "0".repeat(zeros));
        Spec { precision: None, fill: None, align: spec.align.filter(|side| *side != '='), ..spec.clone() }
            .right(&text, show)
    }
}

impl Spec {
    /// A text to the right side, unless said otherwise.
    fn right(self, text: &str, show: &dyn Show) -> Result<String, Fault> {
        Self { align: self.align.or(Some('>')), ..self }.text(text, show)
    }
}

/// The number that `rest` begins with, taken off it.
pub(super) fn number(rest: &mut &str) -> Option<usize> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let digits = &rest[..end];
    *rest = &rest[end..];
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(usize::MAX))
}
