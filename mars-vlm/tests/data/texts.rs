//! Pairs of questions and answers, as The Cauldron has them.

use crate::kit::{file, paths, read, shown};
use mars_vlm::data::{Dataset, Role};

#[test]
fn images_come_before_the_first_question() {
    let samples = read(
        "data.jsonl",
        concat!(
            r#"{"images":["a.png","b.png"],"texts":[{"user":"Which?","assistant":"a","source":"s"},"#,
            r#"{"user":"Sure?","assistant":"Yes."}]}"#,
            "\n",
            r#"{"images":["c.png"],"messages":null,"texts":[{"user":"Look: <image>!","assistant":"c"}]}"#,
            "\n",
            r#"{"texts":[{"user":"Hi","assistant":"Ho"}]}"#,
        ),
    );
    let roles: Vec<Role> = samples[0].turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::User, Role::Assistant]);
    assert_eq!((shown(&samples[0], 0), shown(&samples[0], 2)), ("[][]Which?".into(), "Sure?".into()));
    assert_eq!(paths(&samples[0]), ["a.png", "b.png"]);
    assert_eq!(shown(&samples[1], 0), "Look: []!", "an image with a place stays there");
    assert!(samples[2].images.is_empty());
    assert!(samples.iter().all(|sample| sample.problems().is_empty()));
}

#[test]
fn pairs_that_are_not_whole_are_named() {
    for (texts, part) in [
        (r#""q""#, "a text"),
        (r#"[{"user":"q"}]"#, "\"assistant\" in pair 0"),
        (
            r#"[{"user":"q","assistant":"a"},{"user":3,"assistant":"a"}]"#,
            "\"user\" in pair 1, found a number",
        ),
        ("[3]", "in pair 0"),
        ("[]", "no turn"),
    ] {
        let (_dir, path) = file("data.json", &format!(r#"[{{"texts":{texts}}}]"#));
        let told = match Dataset::read(&path) {
            Err(e) => e.to_string(),
            Ok(data) => data.samples[0].problems()[0].to_string(),
        };
        assert!(told.contains(part) && told.contains("line 1"), "{texts}: {told}");
    }
}
