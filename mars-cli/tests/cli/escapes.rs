//! What a file or the name of a file holds cannot steer a terminal, a card or a report.

use crate::kit::{SmallTask, command, mars, strs};
use serde_json::json;
use std::fs;
use std::path::Path;

/// Clears the screen, sets the title, moves the cursor, turns the direction of writing, begins a line.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}1A\u{202e}\r\u{8}\u{7f}";

#[track_caller]
fn harmless(text: &str, what: &str) {
    let hidden =
        |c: char| c != '\n' && c != '\t' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(!text.contains(hidden), "{what}: {text:?}");
}

#[test]
fn texts_of_files_are_shown_and_not_acted_on() {
    let task = SmallTask::new();
    let write = |name: &str, text: String| fs::write(task.path(name), text).unwrap();
    let turns = json!([{"from": "human", "value": "<image>q"}, {"from": "gpt", "value": "a"}]);
    let talk = |question: &str| json!([{"from": "human", "value": question}, {"from": "gpt", "value": "a"}]);
    write(
        "ids.json",
        json!([{"id": HOSTILE, "image": HOSTILE, HOSTILE: 1, "conversations": turns}]).to_string(),
    );
    write("roles.json", json!([{"conversations": [{"from": HOSTILE, "value": "q"}]}]).to_string());
    write(
        "parts.json",
        json!([{"messages": [{"role": "user", "content": [{"type": HOSTILE}]}]}]).to_string(),
    );
    write("keys.json", json!([{HOSTILE: 1, "conversations": talk("q"), "image": [], "x": 1}]).to_string());
    write("raw.json", format!("{HOSTILE} is no JSON"));
    write("plain.json", json!([{HOSTILE: [{"a": 1}]}]).to_string());
    for name in ["ids.json", "roles.json", "parts.json", "keys.json", "raw.json", "plain.json"] {
        let data = task.path(name);
        for more in [&[][..], &["--json"], &["-v"]] {
            let done = mars(&[["data", "check", "--data", &data].as_slice(), more].concat());
            harmless(&done.stdout, name);
            harmless(&done.stderr, name);
            assert_ne!(done.code, Some(101), "{}", done.stderr);
        }
    }
    fs::write(task.path("mars.toml"), format!("# {HOSTILE}\n{HOSTILE} = 1\n")).unwrap();
    let done = mars(&["plan", "--config", &task.path("mars.toml")]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    harmless(&done.stderr, "mars.toml");
    let model = task.model_copy();
    fs::write(model.join("chat_template.jinja"), format!("{{{{ raise_exception('{HOSTILE}') }}}}")).unwrap();
    let done = mars(&strs(&task.with_model("plan", &model, &[])));
    harmless(&done.stderr, "chat_template.jinja");
    assert_eq!(done.code, Some(3), "{}", done.stderr);
}

#[test]
fn names_of_files_and_arguments_are_shown_on_their_line() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join(format!("a{HOSTILE}\nerror: b.json"));
    let path = name.to_str().unwrap();
    for exists in [false, true] {
        if exists {
            fs::write(&name, "[{}]").unwrap();
        }
        let done = mars(&["data", "check", "--data", path]);
        assert_eq!(done.code, Some(3), "{}", done.stderr);
        harmless(&done.stderr, "a name");
        harmless(&done.stdout, "a name");
        assert!(
            done.stderr.contains("\\u{1b}[2J") && done.stderr.contains("\\nerror: b.json"),
            "{}",
            done.stderr
        );
        assert_eq!(
            done.stderr.lines().filter(|line| line.starts_with("error: ")).count(),
            1,
            "{}",
            done.stderr
        );
    }
    for arguments in
        [&["data", "check", "--data", "x", HOSTILE][..], &[HOSTILE], &["search", "--policy", HOSTILE]]
    {
        let done = mars(arguments);
        assert_eq!(done.code, Some(2), "{}", done.stderr);
        harmless(&done.stderr, "an argument");
    }
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_are_no_panic() {
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join(std::ffi::OsStr::from_bytes(b"\xff\x1b[2J.json"));
    fs::write(&name, "[{}]").unwrap();
    for more in [&[][..], &["--json"]] {
        let mut command = command(&["data", "check", "--data"]);
        let output = command.arg(&name).args(more).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(matches!(output.status.code(), Some(2 | 3)), "{err}");
        harmless(&out, "stdout");
        harmless(&err, "stderr");
    }
}

/// A model whose folder has a name for YAML and HTML to choke on.
#[test]
fn cards_and_reports_quote_names() {
    let task = SmallTask::new();
    let copy = task.model_copy();
    // The end of the tag has a slash: a folder in a folder.
    let nested = task.directory.path().join("a: \"b\" #<script>alert(1)<");
    fs::create_dir(&nested).unwrap();
    fs::rename(&copy, nested.join("script>")).unwrap();
    let model = nested.join("script>");
    let out = task.path("out");
    let arguments = task.with_model("search", Path::new(&model), &["--policy", "race", "--out", &out]);
    let done = mars(&strs(&arguments));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let card = fs::read_to_string(Path::new(&out).join("adapter/README.md")).unwrap();
    let line = card.lines().find(|line| line.starts_with("base_model:")).unwrap();
    // A JSON text without control characters is a YAML text.
    let quoted = serde_json::to_string(model.to_str().unwrap()).unwrap();
    assert_eq!(line, format!("base_model: {quoted}"));
    assert!(card.contains("- \"base_model:adapter:"), "{card}");
    let page = fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert(1)"), "names are escaped");
}
