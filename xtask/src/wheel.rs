//! The command as a wheel, so that `pip install` puts it beside a trainer.

use crate::{
    command::{Command, Outcome},
    place::Place,
};

/// Lets maturin build what `pyproject.toml` describes.
pub(crate) fn run(options: &[String], place: &Place) -> Outcome {
    let target = place.target()?.to_string_lossy().into_owned();
    let given = |name: &str| options.iter().any(|option| option == name);
    let mut arguments = vec!["build".to_owned()];
    if !given("--profile") {
        arguments.push("--release".to_owned());
    }
    if !given("--out") {
        arguments.extend(["--out".to_owned(), format!("{target}/wheels")]);
    }
    arguments.extend_from_slice(options);
    Command::new("maturin", "maturin", &place.root)
        .env("CARGO_TARGET_DIR", &target)
        .args(&arguments)
        .run()
        .map_err(|error| format!("{error}; maturin is needed: pip install maturin").into())
}
