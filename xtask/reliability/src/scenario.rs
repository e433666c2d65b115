//! Calls of `mars` whose operations on files are swept.

use crate::{Fault, Instrument, tree};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{fs, path::Path};

/// A call of `mars` that writes into the directory `out` of the directory in which it is made.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// The arguments.
    pub arguments: Vec<String>,
    /// Files that it needs in its directory: name and content.
    pub files: Vec<(String, Vec<u8>)>,
    /// What a repeated call may say when the first had done all its work; empty if it must succeed.
    pub done_already: &'static str,
}

/// Convergence times of power laws in the ranks, as a loss curve.
const SCRIPT: &str = r#"
awk -v ve="$1" -v llm="$2" -v steps="$3" -v every="$4" 'BEGIN {
    print "step,loss,split";
    for (step = 0; step <= steps; step += every)
        printf "%d,%.9f,val\n", step, 3 - (1 - ve ^ -0.5 / 3) * (1 - exp(-step * ve ^ 0.4 / 9)) \
                                       - (1 - llm ^ -0.3 / 2) * (1 - exp(-step * llm ^ 0.4 / 7));
}' > "$5/curve.csv"
"#;

impl Scenario {
    /// What is written into.
    pub const OUT: &'static str = "out";

    /// Successive halving of four rank choices on a few digits by the built-in trainer, four steps, a checkpoint at each.
    /// `assets` are those of the repository.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn native(assets: &Path) -> Result<Self> {
        let assets = assets.canonicalize().context("the assets")?;
        let mut files = Vec::new();
        for (split, count) in [("train", 12), ("val", 4), ("test", 4)] {
            let text = fs::read(assets.join(format!("digits/{split}.json")))?;
            let mut samples: Vec<Value> = serde_json::from_slice(&text)?;
            samples.truncate(count);
            files.push((format!("{split}.json"), serde_json::to_vec(&samples)?));
        }
        files.push(("images.zip".to_owned(), fs::read(assets.join("digits/images.zip"))?));
        for (name, content) in tree::files(&assets.join("model"))? {
            files.push((format!("model/{name}"), content));
        }
        let mut arguments = strings(&["search", "--policy", "halving", "--out", Self::OUT]);
        arguments.extend(strings(&["--model", "model", "--images", "images.zip"]));
        arguments.extend(strings(&["--data", "train.json", "--val", "val.json", "--test", "test.json"]));
        // One stack at a time writes its files in an order that is always the same.
        arguments.extend(settings(&["train.batch=2", "run.checkpoint_every=1", "run.workers=1"]));
        Ok(Self { name: "native", arguments, files, done_already: "" })
    }

    /// The same with a shell script as trainer.
    pub fn command() -> Self {
        let mut arguments = strings(&["search", "--policy", "halving", "--out", Self::OUT, "--trainer"]);
        arguments.push("sh train.sh {r.ve} {r.llm} {steps} {eval_every} {out}".to_owned());
        arguments.extend(settings(&["trainer.samples=64"]));
        let files = vec![("train.sh".to_owned(), SCRIPT.as_bytes().to_vec())];
        Self { name: "command", arguments, files, done_already: "" }
    }

    /// `search` again after a kill in its middle, between two runs of which one has a result and a checkpoint.
    ///
    /// # Errors
    /// When the calls of `instrument` that lead there fail.
    pub fn resumed(search: &Self, instrument: &Instrument) -> Result<Self> {
        let call = |fault| -> Result<_> {
            let place = tempfile::tempdir()?;
            search.prepare(place.path())?;
            let done = instrument.call(search, place.path(), fault)?;
            Ok((done, tree::files(&place.path().join(Self::OUT))?))
        };
        let straight = Fault::KillInside.among(&call(None)?.0.operations);
        let results = straight.iter().filter(|one| one.name == "rename" && one.path.ends_with("result.json"));
        let results: Vec<usize> = results.map(|one| one.number).collect();
        let middle = results.get(results.len() / 2).context("the search has no results")?;
        let (killed, out) = call(Some((Fault::KillInside, *middle)))?;
        if !killed.was_killed() {
            bail!("the search was not killed in its middle: {}", killed.stderr);
        }
        let left = out.into_iter().map(|(name, content)| (format!("{}/{name}", Self::OUT), content));
        let files = search.files.iter().cloned().chain(left).collect();
        Ok(Self { name: "resumed", files, ..search.clone() })
    }

    /// The embedded task unpacked, without a search.
    pub fn unpack() -> Self {
        let arguments = strings(&["plan", "--set", "out.dir=out", "--set", "train.steps=2"]);
        Self { name: "unpack", arguments, files: Vec::new(), done_already: "" }
    }

    /// The adapter of a search, in `adapter`, merged into its base.
    ///
    /// # Errors
    /// When the adapter cannot be read.
    pub fn merge(assets: &Path, adapter: &Path) -> Result<Self> {
        let model = assets.canonicalize().context("the assets")?.join("model");
        let mut arguments = strings(&["merge", "--out", "out/merged", "--model"]);
        arguments.push(model.to_string_lossy().into_owned());
        arguments.extend(strings(&["--adapter", "adapter"]));
        let mut files = Vec::new();
        for name in ["adapter_config.json", "adapter_model.safetensors"] {
            files.push((format!("adapter/{name}"), fs::read(adapter.join(name))?));
        }
        Ok(Self { name: "merge", arguments, files, done_already: "not empty" })
    }

    /// Puts its files into the empty directory `place`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn prepare(&self, place: &Path) -> Result<()> {
        for (name, content) in &self.files {
            let path = place.join(name);
            fs::create_dir_all(path.parent().unwrap_or(place))?;
            fs::write(path, content)?;
        }
        Ok(())
    }
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

fn settings(more: &[&str]) -> Vec<String> {
    let common = ["train.steps=4", "train.eval_every=1", "search.ranks=[1,2]", "search.default_rank=2"];
    common.iter().chain(more).flat_map(|setting| strings(&["--set", setting])).collect()
}
