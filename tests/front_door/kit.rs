//! A small search on planted laws, and what it reports; a tiny model with a few samples.

use mars::mars_calib::ConvergenceDefinition;
use mars::{
    SearchConfig, Task,
    event::{Event, Observer, Silent},
    task::TaskFiles,
};
use mars_search::{Budget, Space};
use serde_json::{Value, json};
use std::{fs, path::Path};
use tempfile::{TempDir, tempdir};

pub(crate) const SAMPLES: usize = 1024;

/// A configuration whose calibration runs are long enough for the planted convergence times.
pub(crate) fn config(policy: &str) -> SearchConfig {
    let mut config = SearchConfig::default();
    config.search.policy = policy.parse().unwrap();
    config.train.steps = Some(200);
    config.train.eval_every = Some(10);
    config.calibration.steps = Some(200);
    config.calibration.eval_every = Some(5);
    config.calibration.rule = ConvergenceDefinition::AloneVal;
    config.resolved(SAMPLES, 64)
}

pub(crate) fn space_and_budget(config: &SearchConfig) -> (Space, Budget) {
    (config.space([("ve".to_owned(), 700), ("llm".to_owned(), 1000)].into()), config.budget(SAMPLES, 0))
}

/// Keeps what a search reports.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) rounds: Vec<(usize, usize)>,
    pub(crate) decided: usize,
    pub(crate) runs: usize,
    /// (done, expected) of the whole search, in order.
    pub(crate) progress: Vec<(u64, u64)>,
}

impl Observer for Log {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Round(round) => self.rounds.push((round.trials.len(), round.recorded)),
            Event::Decided(_) => self.decided += 1,
            Event::Run(_) => self.runs += 1,
            Event::Progress(progress) => {
                self.progress.push((progress.search_done, progress.search_expected));
            }
            _ => {}
        }
    }
}

/// The embedded model with images cut into tiles, and samples of four images: of two tiles and of four. The one with the longest
/// text has few tiles, and gets an image of many.
pub(crate) fn tiled() -> (TempDir, SearchConfig) {
    let place = tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::create_dir(path("model")).unwrap();
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/model")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), path("model").join(file.file_name())).unwrap();
    }
    let processor = path("model/preprocessor_config.json");
    let mut settings: Value = serde_json::from_slice(&fs::read(&processor).unwrap()).unwrap();
    (settings["do_image_splitting"], settings["size"]["longest_edge"]) = (json!(true), json!(48));
    fs::write(&processor, settings.to_string()).unwrap();
    for (name, height) in [("wide0", 24), ("wide1", 24), ("square0", 48), ("square1", 48)] {
        image::RgbImage::new(48, height).save(path(name).with_extension("png")).unwrap();
    }
    let samples = |answer: &str| {
        [("wide0", 30), ("wide1", 1), ("square0", 1), ("square1", 1)].map(|(name, words)| {
            json!({ "id": name, "image": format!("{name}.png"), "conversations": [
                { "from": "human", "value": format!("<image>\n{}", "what ".repeat(words)) },
                { "from": "gpt", "value": answer } ] })
        })
    };
    let mut config = SearchConfig::default();
    config.model.dir = Some(path("model"));
    let data = &mut config.data;
    for (name, answer, part) in
        [("train", "four", &mut data.train), ("val", "five", &mut data.val), ("test", "nine", &mut data.test)]
    {
        *part = Some(path(name).with_extension("json"));
        fs::write(part.as_ref().unwrap(), Value::from(samples(answer).to_vec()).to_string()).unwrap();
    }
    config.search.policy = "fixed:2x2".parse().unwrap();
    (config.train.steps, config.train.batch) = (Some(2), 2);
    (place, config)
}

pub(crate) fn open(config: &SearchConfig) -> Task {
    Task::open_with(config, &TaskFiles::of(config).unwrap(), &mut Silent).unwrap()
}
