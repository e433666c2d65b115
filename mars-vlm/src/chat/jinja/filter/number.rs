//! Filters on numbers.

use super::super::{
    fault::Fault,
    run::{Given, Machine, whole},
    syntax::tree::Arithmetic,
    value::{self, Value},
};

/// Largest size of the `precision` of `round`.
const MOST_DIGITS: i64 = 300;

impl Machine<'_> {
    pub(super) fn number_filter(&self, name: &str, value: Value, given: Given) -> Result<Value, Fault> {
        match name {
            "abs" => {
                let [] = given.bind(name, [])?;
                match value.defined()? {
                    Value::Float(x) => Ok(Value::Float(x.abs())),
                    other => match other.as_int().map(i64::checked_abs) {
                        Some(Some(n)) => Ok(Value::Int(n)),
                        _ => Err(Fault::new(format!("bad operand type for abs(): '{}'", other.kind()))),
                    },
                }
            }
            "int" => {
                let [default, base] = given.bind(name, ["default", "base"])?;
                let base = whole(base, 10)?;
                Ok(self.int(value.defined()?, base)?.unwrap_or_else(|| default.unwrap_or(Value::Int(0))))
            }
            "float" => {
                let [default] = given.bind(name, ["default"])?;
                let found = match value.defined()? {
                    Value::Str(text) => {
                        self.budget.scan(text.len())?;
                        parsed(text)
                    }
                    other => other.as_float(),
                };
                Ok(found.map_or_else(|| default.unwrap_or(Value::Float(0.0)), Value::Float))
            }
            "round" => {
                let [precision, method] = given.bind(name, ["precision", "method"])?;
                let precision = whole(precision, 0)?;
                let method = method.map(|method| self.as_text(&method)).transpose()?;
                round(&value, precision, method.as_deref().unwrap_or("common"))
            }
            "sum" => {
                let [attribute, start] = given.bind(name, ["attribute", "start"])?;
                let mut sum = start.unwrap_or(Value::Int(0));
                for item in self.walk(&value)? {
                    let item = match &attribute {
                        Some(path) => self.at_path(&item, path, None)?,
                        None => item,
                    };
                    sum = value::binary(Arithmetic::Add, &sum, &item, self)?;
                }
                Ok(sum)
            }
            _ => {
                let [binary] = given.bind(name, ["binary"])?;
                let Some(bytes) = value.defined()?.as_float() else {
                    return Err(Fault::new("filesizeformat takes a number"));
                };
                Ok(Value::text(file_size(bytes, binary.is_some_and(|binary| binary.is_true()))))
            }
        }
    }

    /// The whole number that `value` says, if it says one.
    fn int(&self, value: &Value, base: i64) -> Result<Option<Value>, Fault> {
        let beyond = || Fault::new("the result of int does not fit into 64 bits");
        let truncated = |x: f64| {
            if !x.is_finite() {
                return Ok(None);
            }
            // The first float beyond 64 bits is 2^63.
            if x.abs() < 9_223_372_036_854_775_808.0 { Ok(Some(Value::Int(x as i64))) } else { Err(beyond()) }
        };
        match value {
            Value::Str(text) => {
                self.budget.scan(text.len())?;
                let digits = text.trim().replace('_', "");
                let (negative, digits) = match digits.strip_prefix('-') {
                    Some(rest) => (true, rest),
                    None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
                };
                let lower = digits.to_lowercase();
                let prefix = match base {
                    16 => lower.strip_prefix("0x"),
                    8 => lower.strip_prefix("0o"),
                    2 => lower.strip_prefix("0b"),
                    _ => None,
                };
                let digits = prefix.unwrap_or(&lower);
                let Some(radix) = u32::try_from(base).ok().filter(|radix| (2..=36).contains(radix)) else {
                    return Err(Fault::new("int: base must be 2 to 36"));
                };
                if !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)) {
                    let signed = if negative { format!("-{digits}") } else { digits.to_owned() };
                    return i64::from_str_radix(&signed, radix)
                        .map(|n| Some(Value::Int(n)))
                        .map_err(|_| beyond());
                }
                parsed(text).map_or(Ok(None), truncated)
            }
            Value::Float(x) => truncated(*x),
            other => Ok(other.as_int().map(Value::Int)),
        }
    }
}

/// The float that a text says, as Python reads it.
fn parsed(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.trim_start_matches(['+', '-']);
    let word = plain.starts_with(|c: char| c.is_ascii_alphabetic());
    let known = ["inf", "infinity", "nan"].iter().any(|name| plain.eq_ignore_ascii_case(name));
    if word && !known { None } else { text.parse().ok() }
}

fn round(value: &Value, precision: i64, method: &str) -> Result<Value, Fault> {
    if precision.abs() > MOST_DIGITS {
        return Err(Fault::new(format!("round: a precision of {precision} digits, more than {MOST_DIGITS}")));
    }
    let Some(x) = value.defined()?.as_float() else {
        return Err(Fault::new(format!("round takes a number, not '{}'", value.kind())));
    };
    let scale = 10f64.powi(precision as i32);
    match method {
        "ceil" => Ok(Value::Float((x * scale).ceil() / scale)),
        "floor" => Ok(Value::Float((x * scale).floor() / scale)),
        "common" => {
            if value.as_int().is_some() && precision >= 0 {
                return Ok(Value::Int(value.as_int().unwrap_or(0)));
            }
            let rounded = if precision >= 0 {
                // Ties of the decimal value, which print rounds to even as Python does.
                format!("{x:.*}", precision as usize).parse().unwrap_or(x)
            } else {
                (x * scale).round_ties_even() / scale
            };
            if value.as_int().is_some() { Ok(Value::Int(rounded as i64)) } else { Ok(Value::Float(rounded)) }
        }
        _ => Err(Fault::new("method must be common, ceil or floor")),
    }
}

fn file_size(bytes: f64, binary: bool) -> String {
    let (base, units): (f64, [&str; 8]) = if binary {
        (1024.0, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"])
    } else {
        (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"])
    };
    if bytes == 1.0 {
        return "1 Byte".into();
    }
    if bytes < base {
        return format!("{} Bytes", bytes.trunc());
    }
    let mut unit = base;
    for name in units {
        unit *= base;
        if bytes < unit || name.starts_with('Y') {
            return format!("{:.1} {name}", base * bytes / unit);
        }
    }
    String::new()
}
