//! Filters on texts.

use super::super::{
    fault::Fault,
    method,
    run::{Given, Machine, whole},
    value::{self, Value, text},
};

impl Machine<'_> {
    pub(super) fn text_filter(&self, name: &str, value: Value, given: Given) -> Result<Value, Fault> {
        let source = match name {
            "upper" | "lower" | "capitalize" | "title" | "trim" | "replace" | "string" | "safe"
            | "indent" | "center" | "escape" | "e" | "forceescape" | "wordcount" | "truncate" | "format"
            | "striptags" | "urlencode" => self.as_text(&value)?,
            _ => return Err(Fault::new(format!("unknown filter {name}"))),
        };
        self.budget.scan(source.len())?;
        // Changing the case can make a text up to three times as long.
        self.budget.bytes(source.len())?;
        match name {
            "upper" | "lower" | "capitalize" => method::call(&Value::Str(source), name, given, self),
            "trim" => {
                let [chars] = given.bind(name, ["chars"])?;
                let given = Given { plain: chars.into_iter().collect(), named: Vec::new() };
                method::call(&Value::Str(source), "strip", given, self)
            }
            "replace" => {
                let [old, new, count] = given.bind(name, ["old", "new", "count"])?;
                let (Some(old), Some(new)) = (old, new) else {
                    return Err(Fault::new("replace takes what to replace and what by"));
                };
                let (old, new) = (self.as_text(&old)?, self.as_text(&new)?);
                let count = count.filter(|count| !matches!(count, Value::None));
                method::replaced(&source, &old, &new, whole(count, -1)?, self)
            }
            "string" | "safe" => {
                let [] = given.bind(name, [])?;
                Ok(Value::Str(source))
            }
            "escape" | "e" | "forceescape" => {
                let [] = given.bind(name, [])?;
                self.budget.bytes(source.len().saturating_mul(5))?;
                let pairs = [('&', "&amp;"), ('>', "&gt;"), ('<', "&lt;"), ('\'', "&#39;"), ('"', "&#34;")];
                let mut out = String::new();
                for c in source.chars() {
                    match pairs.iter().find(|(one, _)| *one == c) {
                        Some((_, name)) => out.push_str(name),
                        None => out.push(c),
                    }
                }
                Ok(Value::text(out))
            }
            "title" => {
                let [] = given.bind(name, [])?;
                let mut out = String::with_capacity(source.len());
                let mut starts = true;
                for c in source.chars() {
                    if starts {
                        out.extend(c.to_uppercase())
                    } else {
                        out.extend(c.to_lowercase())
                    }
                    starts = text::is_space(c) || matches!(c, '-' | '(' | '{' | '[' | '<');
                }
                Ok(Value::text(out))
            }
            "indent" => self.indented(&source, given),
            "center" => {
                let [width] = given.bind(name, ["width"])?;
                let given = Given { plain: vec![width.unwrap_or(Value::Int(80))], named: Vec::new() };
                method::call(&Value::Str(source), name, given, self)
            }
            "wordcount" => {
                let [] = given.bind(name, [])?;
                let words = source.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                Ok(Value::count(words.filter(|word| !word.is_empty()).count()))
            }
            "truncate" => self.truncated(&source, given),
            "format" => {
                let Given { plain, named } = given;
                let values = if named.is_empty() {
                    Value::tuple(plain)?
                } else {
                    let pairs = named.into_iter().map(|(name, value)| (Value::Str(name), value)).collect();
                    Value::Dict(std::rc::Rc::new(value::Dict::new(pairs, &self.budget)?))
                };
                Ok(Value::text(super::printf::format(&source, &values, self)?))
            }
            _ => Err(Fault::new(format!("the filter {name} is not known here"))),
        }
    }

    fn indented(&self, source: &str, given: Given) -> Result<Value, Fault> {
        let [width, first, blank] = given.bind("indent", ["width", "first", "blank"])?;
        let indent = match width {
            Some(Value::Str(indent)) => indent,
            width => {
                let width = usize::try_from(whole(width, 4)?).unwrap_or(0);
                self.budget.bytes(width)?;
                " ".repeat(width).into()
            }
        };
        let is = |value: Option<Value>| value.is_some_and(|value| value.is_true());
        let (first, blank) = (is(first), is(blank));
        // A line is kept in 16 bytes; all breaks of lines begin with one of these.
        let breaks = source.bytes().filter(|byte| *byte < b' ' || matches!(byte, 0xc2 | 0xe2)).count();
        self.budget.bytes(breaks.saturating_mul(16).saturating_add(source.len()))?;
        let ended = format!("{source}\n");
        let lines = text::lines(&ended, false);
        let total = indent.len().saturating_mul(lines.len());
        self.budget.bytes(total.saturating_add(ended.len()))?;
        let mut out = String::with_capacity(total + ended.len());
        for (k, line) in lines.iter().enumerate() {
            if k > 0 {
                out.push('\n');
            }
            if k == 0 && first || k > 0 && (blank || !line.is_empty()) {
                out.push_str(&indent);
            }
            out.push_str(line);
        }
        Ok(Value::text(out))
    }

    fn truncated(&self, source: &str, given: Given) -> Result<Value, Fault> {
        let [length, kill, end, leeway] = given.bind("truncate", ["length", "killwords", "end", "leeway"])?;
        let end = end.map_or(Ok("...".into()), |end| self.as_text(&end))?;
        let leeway = whole(leeway.filter(|leeway| !matches!(leeway, Value::None)), 5)?;
        let room = whole(length, 255)?.checked_sub(end.chars().count() as i64);
        let (Some(room), true) = (room.filter(|room| *room >= 0), leeway >= 0) else {
            return Err(Fault::new(
                "truncate: the length is less than that of the end, or the leeway is negative",
            ));
        };
        let most = (room as u64).saturating_add(end.chars().count() as u64).saturating_add(leeway as u64);
        if source.chars().count() as u64 <= most {
            return Ok(Value::text(source));
        }
        let mut cut: String = source.chars().take(room as usize).collect();
        if !kill.is_some_and(|kill| kill.is_true())
            && let Some(at) = cut.rfind(' ')
        {
            cut.truncate(at);
        }
        Ok(Value::text(cut + &end))
    }
}
