//! Operators on numbers, texts and lists.

use super::{
    super::{fault::Fault, syntax::tree::Arithmetic},
    Show, Value,
};

/// `a` and `b` under an operator, except for `%` on texts.
///
/// # Errors
/// For types that do not fit, division by zero, whole numbers beyond 64 bits, and beyond the budget.
pub(in super::super) fn binary(
    op: Arithmetic,
    a: &Value,
    b: &Value,
    show: &dyn Show,
) -> Result<Value, Fault> {
    let budget = show.budget();
    match (op, a.defined()?, b.defined()?) {
        (Arithmetic::Add, Value::Str(a), Value::Str(b)) => {
            budget.bytes(a.len() + b.len())?;
            return Ok(Value::text(format!("{a}{b}")));
        }
        (Arithmetic::Add, Value::List(a), Value::List(b)) => {
            budget.values(a.items().len() + b.items().len())?;
            return Value::list([a.items(), b.items()].concat());
        }
        (Arithmetic::Add, Value::Tuple(a), Value::Tuple(b)) => {
            budget.values(a.items().len() + b.items().len())?;
            return Value::tuple([a.items(), b.items()].concat());
        }
        (Arithmetic::Mul, Value::Str(text), count) | (Arithmetic::Mul, count, Value::Str(text)) => {
            if let Some(count) = count.as_int() {
                let count = usize::try_from(count).unwrap_or(0);
                budget.bytes(text.len().saturating_mul(count))?;
                return Ok(Value::text(text.repeat(count)));
            }
        }
        (Arithmetic::Mul, list @ (Value::List(seq) | Value::Tuple(seq)), count)
        | (Arithmetic::Mul, count, list @ (Value::List(seq) | Value::Tuple(seq))) => {
            if let Some(count) = count.as_int() {
                let count = usize::try_from(count).unwrap_or(0);
                budget.values(seq.items().len().saturating_mul(count))?;
                let count = if seq.items().is_empty() { 0 } else { count };
                let items = std::iter::repeat_n(seq.items(), count).flatten().cloned().collect();
                return if matches!(list, Value::List(_)) { Value::list(items) } else { Value::tuple(items) };
            }
        }
        _ => {}
    }
    if let (Some(a), Some(b)) = (a.as_int(), b.as_int()) {
        return whole(op, a, b);
    }
    if let (Some(a), Some(b)) = (a.as_float(), b.as_float()) {
        return float(op, a, b);
    }
    let (sign, a, b) = (sign(op), a.kind(), b.kind());
    Err(Fault::new(format!("unsupported operand types for {sign}: '{a}' and '{b}'")))
}

fn sign(op: Arithmetic) -> &'static str {
    match op {
        Arithmetic::Add => "+",
        Arithmetic::Sub => "-",
        Arithmetic::Mul => "*",
        Arithmetic::Div => "/",
        Arithmetic::FloorDiv => "//",
        Arithmetic::Rem => "%",
        Arithmetic::Pow => "**",
    }
}

fn beyond(op: Arithmetic) -> Fault {
    Fault::new(format!("the result of {} does not fit into 64 bits", sign(op)))
}

fn whole(op: Arithmetic, a: i64, b: i64) -> Result<Value, Fault> {
    let zero = || Fault::new("division by zero");
    let result = match op {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Sub => a.checked_sub(b),
        Arithmetic::Mul => a.checked_mul(b),
        Arithmetic::Div if b == 0 => return Err(zero()),
        Arithmetic::Div => return Ok(Value::Float(a as f64 / b as f64)),
        Arithmetic::FloorDiv | Arithmetic::Rem if b == 0 => return Err(zero()),
        Arithmetic::FloorDiv => a.checked_div(b).map(|q| q - i64::from(a % b != 0 && (a < 0) != (b < 0))),
        Arithmetic::Rem => a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }),
        Arithmetic::Pow if b < 0 => return float(op, a as f64, b as f64),
        Arithmetic::Pow => match (a, u32::try_from(b)) {
            (_, Ok(b)) => a.checked_pow(b),
            (0 | 1, Err(_)) => Some(a),
            (-1, Err(_)) => Some(if b % 2 == 0 { 1 } else { -1 }),
            _ => None,
        },
    };
    result.map(Value::Int).ok_or_else(|| beyond(op))
}

fn float(op: Arithmetic, a: f64, b: f64) -> Result<Value, Fault> {
    let divides = matches!(op, Arithmetic::Div | Arithmetic::FloorDiv | Arithmetic::Rem);
    if divides && b == 0.0 || op == Arithmetic::Pow && a == 0.0 && b < 0.0 {
        return Err(Fault::new("division by zero"));
    }
    let rem = || {
        let r = a % b;
        if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r }
    };
    let result = match op {
        Arithmetic::Add => a + b,
        Arithmetic::Sub => a - b,
        Arithmetic::Mul => a * b,
        Arithmetic::Div => a / b,
        Arithmetic::FloorDiv => ((a - rem()) / b).round(),
        Arithmetic::Rem => rem(),
        Arithmetic::Pow => a.powf(b),
    };
    if op == Arithmetic::Pow && result.is_nan() && !a.is_nan() && !b.is_nan() {
        return Err(Fault::new("a complex number is no value of a template"));
    }
    Ok(Value::Float(result))
}

/// `-value`.
///
/// # Errors
/// If it is no number.
pub(in super::super) fn negative(value: &Value) -> Result<Value, Fault> {
    match value.defined()? {
        Value::Float(x) => Ok(Value::Float(-x)),
        other => match other.as_int() {
            Some(n) => n.checked_neg().map(Value::Int).ok_or_else(|| beyond(Arithmetic::Sub)),
            None => Err(Fault::new(format!("unsupported operand type for -: '{}'", other.kind()))),
        },
    }
}

/// `+value`.
///
/// # Errors
/// If it is no number.
pub(in super::super) fn positive(value: &Value) -> Result<Value, Fault> {
    match value.defined()? {
        Value::Float(x) => Ok(Value::Float(*x)),
        other => match other.as_int() {
            Some(n) => Ok(Value::Int(n)),
            None => Err(Fault::new(format!("unsupported operand type for +: '{}'", other.kind()))),
        },
    }
}
