//! Rendered texts against those of transformers, to the byte (`tests/oracle/templates.py`).

use mars_vlm::chat::{ChatTemplate, Date, SpecialTokens, jinja::Template};
use mars_vlm::data::{Part, Role, Turn};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fs, path::Path};

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/templates")
}

fn expected() -> Value {
    serde_json::from_str(&fs::read_to_string(fixtures().join("expected.json")).unwrap()).unwrap()
}

fn special(expected: &Value) -> SpecialTokens {
    let named: BTreeMap<String, String> = serde_json::from_value(expected["special"].clone()).unwrap();
    SpecialTokens { named, added: Vec::new() }
}

fn turns(chat: &Value) -> Vec<Turn> {
    let turn = |turn: &Value| {
        let role = match turn[0].as_str().unwrap() {
            "system" => Role::System,
            "user" => Role::User,
            _ => Role::Assistant,
        };
        let part = |part: &Value| part.as_str().map_or(Part::Image, |text| Part::Text(text.into()));
        Turn { parts: turn[1].as_array().unwrap().iter().map(part).collect(), ..Turn::text(role, "") }
    };
    chat.as_array().unwrap().iter().map(turn).collect()
}

/// What differs, if anything.
fn difference(name: &str, expected: &Value, found: Result<String, String>) -> Option<String> {
    match (expected.as_str(), found) {
        (Some(expected), Ok(found)) if expected == found => None,
        (None, Err(_)) => None,
        (expected, found) => Some(format!("{name}:\n  expected {expected:?}\n  found    {found:?}")),
    }
}

fn report(wrong: &[String], total: usize) {
    assert!(wrong.is_empty(), "{} of {total} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn published_styles_render_as_in_transformers() {
    let expected = expected();
    let special = special(&expected);
    let all = expected["templates"].as_object().unwrap();
    assert!(all.len() >= 40, "{}", all.len());
    let (mut wrong, mut total) = (Vec::new(), 0);
    for (name, one) in all {
        let path = fixtures().join(format!("{name}.jinja"));
        let source = fs::read_to_string(&path).unwrap();
        let template = ChatTemplate::new(&source, &path, special.clone()).unwrap();
        for (chat, texts) in one["cases"].as_object().unwrap() {
            for (text, prompt) in texts.as_array().unwrap().iter().zip([false, true]) {
                let found =
                    template.render(&turns(&expected["chats"][chat]), prompt).map_err(|e| e.to_string());
                wrong.extend(difference(&format!("{name}, {chat}, {prompt}"), text, found));
                total += 1;
            }
        }
    }
    assert!(total >= 800, "{total}");
    report(&wrong, total);
}

#[test]
fn tools_calls_and_documents_render_as_in_transformers() {
    let expected = expected();
    let calls = &expected["calls"];
    let mut wrong = Vec::new();
    for (name, one) in expected["templates"].as_object().unwrap() {
        let source = fs::read_to_string(fixtures().join(format!("{name}.jinja"))).unwrap();
        let template = Template::new(&source).unwrap();
        for (text, (documents, prompt)) in one["calls"]
            .as_array()
            .unwrap()
            .iter()
            .zip([(Value::Null, true), (calls["documents"].clone(), false)])
        {
            let mut variables: Map<String, Value> = expected["special"].as_object().unwrap().clone();
            variables.insert("messages".into(), calls["messages"].clone());
            variables.insert("tools".into(), calls["tools"].clone());
            variables.insert("documents".into(), documents);
            variables.insert("add_generation_prompt".into(), json!(prompt));
            let found = template.render(&variables, Date::default()).map_err(|e| e.to_string());
            wrong.extend(difference(&format!("{name}, {prompt}"), text, found));
        }
    }
    report(&wrong, 2 * expected["templates"].as_object().unwrap().len());
}

#[test]
fn single_rules_of_the_language_are_those_of_transformers() {
    let expected = expected();
    let values = expected["values"].as_object().unwrap();
    let snippets = expected["snippets"].as_array().unwrap();
    let wrong: Vec<String> = snippets
        .iter()
        .filter_map(|pair| {
            let source = pair[0].as_str().unwrap();
            let found = Template::new(source)
                .and_then(|template| template.render(values, Date::default()))
                .map_err(|e| e.to_string());
            difference(source, &pair[1], found)
        })
        .collect();
    report(&wrong, snippets.len());
}
