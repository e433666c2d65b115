//! Operations of training passes with adapters at some layers, as PyTorch counts them (`tests/oracle/backward_flops.py`).

use crate::kit::{Samples, fixture};
use mars_lora::Model;
use mars_testkit::device::device;
use mars_vlm::model::AnyModel;
use serde::Deserialize;

#[derive(Deserialize)]
struct Counted {
    case: String,
    /// The sample's place among those of the case, in the order of their names.
    sample: usize,
    /// What the adapted layers are called in a message.
    place: String,
    /// Their paths.
    pattern: String,
    rank: usize,
    forward: f64,
    backward: f64,
}

#[test]
fn backward_passes_end_at_the_lowest_adapter() {
    let bytes = std::fs::read(fixture("backward_flops.json")).unwrap();
    let all: Vec<Counted> = serde_json::from_slice(&bytes).unwrap();
    for of_case in all.chunk_by(|a, b| a.case == b.case) {
        let dir = fixture(&of_case[0].case);
        let (model, samples) = (AnyModel::from_dir(&dir, &device()).unwrap(), Samples::read(&dir));
        for counted in of_case {
            let pattern = regex::Regex::new(&format!("^({})$", counted.pattern)).unwrap();
            let rank = |path: &str| if pattern.is_match(path) { counted.rank } else { 0 };
            let ranks: Vec<usize> = model.sites().iter().map(|site| rank(&site.path)).collect();
            assert!(ranks.iter().any(|rank| *rank > 0), "{}: nothing is adapted", counted.place);
            let found = model.flops(&samples.of(&[vec![counted.sample]]), &[ranks])[0];
            let what = format!("{}, {}", counted.case, counted.place);
            assert_eq!((found.forward, found.backward), (counted.forward, counted.backward), "{what}");
        }
    }
}
