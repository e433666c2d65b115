//! Python's `text.format(...)`.

use super::{
    super::{
        fault::Fault,
        run::Given,
        value::{Show, Value, attr, item, plain, repr},
    },
    printf::number,
    spec::Spec,
};

/// `format` with its fields replaced by arguments.
///
/// # Errors
/// For fields and arguments that do not fit each other, and beyond the budget.
pub(in super::super) fn format(format: &str, given: &Given, show: &dyn Show) -> Result<String, Fault> {
    show.budget().bytes(format.len())?;
    let mut out = String::new();
    // Number of fields without a name; `None` once a field has a number.
    let mut next = Some(0);
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let end = after.find('}').filter(|_| brace == "{");
        let Some(end) = end else {
            return Err(Fault::new(format!("single '{brace}' encountered in format string")));
        };
        if after[..end].contains('{') {
            return Err(Fault::new("a field within the specification of a field is not known here"));
        }
        out.push_str(&field(&after[..end], given, &mut next, show)?);
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn field(field: &str, given: &Given, next: &mut Option<usize>, show: &dyn Show) -> Result<String, Fault> {
    let (name, spec) = field.split_once(':').unwrap_or((field, ""));
    let (name, conversion) = name.split_once('!').map_or((name, None), |(name, c)| (name, Some(c)));
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut path) = name.split_at(end);
    let mixed = || Fault::new("fields with and without numbers in one format string");
    let found = if first.is_empty() {
        let index = next.ok_or_else(mixed)?;
        *next = Some(index + 1);
        given.plain.get(index)
    } else if let Ok(index) = first.parse::<usize>() {
        if next.take().is_some_and(|used| used > 0) {
            return Err(mixed());
        }
        given.plain.get(index)
    } else {
        given.named.iter().find(|(name, _)| &**name == first).map(|(_, value)| value)
    };
    let mut value =
        found.cloned().ok_or_else(|| Fault::new(format!("no argument for the field {{{field}}}")))?;
    while !path.is_empty() {
        if let Some(inside) = path.strip_prefix('[') {
            let Some((key, after)) = inside.split_once(']') else {
                return Err(Fault::new("missing ']' in format string"));
            };
            let key = key.parse().map_or_else(|_| Value::text(key), Value::Int);
            value = item(&value, &key, show)?;
            path = after;
        } else {
            let inside = path.trim_start_matches('.');
            let end = inside.find(['.', '[']).unwrap_or(inside.len());
            value = attr(&value, &inside[..end].into(), show)?;
            path = &inside[end..];
        }
    }
    let value = match conversion {
        Some("s") => Value::text(plain(&value, show)?),
        Some("r" | "a") => Value::text(repr(&value, show)?),
        None => value,
        Some(other) => return Err(Fault::new(format!("unknown conversion specifier {other}"))),
    };
    let parsed = parse(spec)?;
    match &value {
        Value::Str(text) => match parsed.kind {
            None | Some('s') => parsed.text(text, show),
            Some(kind) => Err(Fault::new(format!("unknown format code '{kind}' for object of type 'str'"))),
        },
        Value::Int(_) | Value::Float(_) => parsed.number(&value, show),
        Value::Bool(_) if !spec.is_empty() => parsed.number(&value, show),
        other if spec.is_empty() => plain(other, show),
        other => Err(Fault::new(format!("unsupported format string passed to {}.__format__", other.kind()))),
    }
}

fn parse(text: &str) -> Result<Spec, Fault> {
    let mut spec = Spec::default();
    let mut rest = text;
    let is_side = |c: &char| matches!(c, '<' | '>' | '^' | '=');
    let mut chars = rest.chars();
    let (first, second) = (chars.next(), chars.next());
    if let (Some(fill), Some(side)) = (first, second.filter(is_side)) {
        (spec.fill, spec.align) = (Some(fill), Some(side));
        rest = &rest[fill.len_utf8() + 1..];
    } else if let Some(side) = first.filter(is_side) {
        spec.align = Some(side);
        rest = &rest[1..];
    }
    if let Some(sign) = rest.chars().next().filter(|c| matches!(c, '+' | '-' | ' ')) {
        spec.sign = Some(sign);
        rest = &rest[1..];
    }
    if let Some(after) = rest.strip_prefix('#') {
        (spec.alternate, rest) = (true, after);
    }
    if let Some(after) = rest.strip_prefix('0') {
        rest = after;
        spec.fill = spec.fill.or(Some('0'));
        spec.align = spec.align.or(Some('='));
    }
    spec.width = number(&mut rest).unwrap_or(0);
    if let Some(group) = rest.chars().next().filter(|c| matches!(c, ',' | '_')) {
        spec.group = Some(group);
        rest = &rest[1..];
    }
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        let missing = || Fault::new("format specifier missing precision");
        spec.precision = Some(number(&mut rest).ok_or_else(missing)?);
    }
    let mut chars = rest.chars();
    spec.kind = chars.next();
    let known = spec.kind.is_none_or(|kind| "sdboxXceEfFgGn%".contains(kind));
    if !known || chars.next().is_some() {
        return Err(Fault::new(format!("invalid format specifier '{text}'")));
    }
    Ok(spec)
}
