//! JSON as YAML in blocks, for people.

use serde_json::Value;

/// The value as a YAML document. Strings that YAML could read as anything else are quoted as in JSON, which YAML includes.
pub(crate) fn yaml(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, depth: usize, into: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(all) if !all.is_empty() => {
            for (key, value) in all {
                into.push_str(&format!("{indent}{}:", scalar(key)));
                inner(value, depth + usize::from(!value.is_array()), into);
            }
        }
        Value::Array(all) if !all.is_empty() => {
            for value in all {
                // The first key of an object stands on the line of its dash.
                let mut item = String::new();
                block(value, depth + 1, &mut item);
                into.push_str(&format!("{indent}- {}", item.trim_start()));
            }
        }
        other => into.push_str(&format!("{indent}{}\n", flat(other))),
    }
}

/// What follows a key.
fn inner(value: &Value, depth: usize, into: &mut String) {
    let nested = match value {
        Value::Object(all) => !all.is_empty(),
        Value::Array(all) => !all.is_empty(),
        _ => false,
    };
    if nested {
        into.push('\n');
        block(value, depth, into);
    } else {
        into.push_str(&format!(" {}\n", flat(value)));
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Plain where it begins with a letter, or is a path, and is no word that YAML takes for a value of another type.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::yaml;
    use serde_json::json;

    #[test]
    fn values_stand_in_blocks() {
        let value = json!({
            "kind": "Job",
            "list": [{ "name": "a", "values": [2, 3] }, "no", "1e3", "--set", "{r.ve} it's"],
            "empty": {}, "none": [], "flag": true,
        });
        let expected = "kind: Job\nlist:\n- name: a\n  values:\n  - 2\n  - 3\n- \"no\"\n- \"1e3\"\n- \"--set\"\n\
                        - \"{r.ve} it's\"\nempty: {}\nnone: []\nflag: true\n";
        assert_eq!(yaml(&value), expected);
    }
}
