//! A whole search with a small budget, as a user runs it.

use std::{env, fs, process};

use crate::{command::Outcome, place::Place};

/// `mars search` on the embedded task, built as the README says; adapter and report must be there.
pub(super) fn run(place: &Place) -> Outcome {
    let out = env::temp_dir().join(format!("mars-check-{}", process::id()));
    let outcome = search(place, &out);
    // The search may have failed before it made the directory.
    let _ = fs::remove_dir_all(&out);
    outcome
}

fn search(place: &Place, out: &std::path::Path) -> Outcome {
    let run = out.join("run");
    let at = run.to_str().ok_or("the directory for temporary files has a name that is not UTF-8")?;
    let settings = ["train.steps=40", "train.eval_every=4", "calibration.steps=40"];
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let job = ["run", "--release", "--package", "mars-cli", "--", "search", "--json", "--out", at];
    let result = place.cargo(&job).args(&settings).output()?;
    println!("{result}");
    for file in ["adapter/adapter_model.safetensors", "report.html"] {
        let path = run.join(file);
        let size = fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?.len();
        if size == 0 {
            return Err(format!("{} is empty", path.display()).into());
        }
    }
    Ok(())
}
