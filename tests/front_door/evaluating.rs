//! What an evaluation of files reports while it goes on.

use mars::{
    SearchConfig,
    evaluate::{DataFiles, evaluate_files},
    event::{Event, Observer},
};
use std::path::Path;

/// Keeps label, samples done and samples in all.
#[derive(Default)]
struct Evaluations(Vec<(String, usize, usize)>);

impl Observer for Evaluations {
    fn event(&mut self, event: &Event<'_>) {
        if let Event::Evaluating { label, done, total } = event {
            self.0.push(((*label).to_owned(), *done, *total));
        }
    }
}

/// From none to all in rising order, under one label after the other: whoever shows it can measure time and rate from the first on.
#[test]
fn an_evaluation_is_reported_from_its_start_to_its_end() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let data =
        DataFiles { data: assets.join("digits/val.json"), images: Some(assets.join("digits/images.zip")) };
    let mut config = SearchConfig::default();
    config.run.eval_batch = 16;
    let mut seen = Evaluations::default();
    let score = evaluate_files(&config, &assets.join("model"), None, &data, true, &mut seen).unwrap();
    let stages: Vec<_> = seen.0.chunk_by(|one, next| one.0 == next.0).collect();
    assert_eq!(stages.len(), 2, "{:?}", seen.0);
    for stage in stages {
        let total = stage[0].2;
        let done: Vec<usize> = stage.iter().map(|one| one.1).collect();
        assert!(total > 64 && total <= score.samples && stage.iter().all(|one| one.2 == total), "{stage:?}");
        assert!(done.first() == Some(&0) && done.last() == Some(&total), "{stage:?}");
        assert!(done.len() > 2 && done.windows(2).all(|pair| pair[0] < pair[1]), "{stage:?}");
    }
}
