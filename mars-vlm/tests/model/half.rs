//! A base in half precision computes what its rounded weights compute in f32.

use crate::kit::{CASES, Samples, fixture, gaps, pass, stack};
use half::{bf16, f16};
use mars_lora::{Model, Targets};
use mars_testkit::device::device;
use mars_vlm::Error;
use mars_vlm::checkpoint::Precision;
use mars_vlm::model::AnyModel;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use std::path::Path;

const ALL: [&str; 3] = ["ve", "projector", "llm"];

/// A copy of a checkpoint of one file, every value through `change`, as f32.
pub(crate) fn changed(case: &str, change: impl Fn(&str, f32) -> f32) -> tempfile::TempDir {
    let (from, to) = (fixture(case), tempfile::tempdir().unwrap());
    for entry in std::fs::read_dir(&from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let bytes = std::fs::read(from.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let all: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .tensors()
        .into_iter()
        .map(|(name, tensor)| {
            assert_eq!(tensor.dtype(), Dtype::F32);
            let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            let bytes = values.flat_map(|v| change(&name, v).to_le_bytes()).collect();
            (name, tensor.shape().to_vec(), bytes)
        })
        .collect();
    let views = all.iter().map(|(name, shape, bytes)| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    serialize_to_file(views, None, &to.path().join("model.safetensors")).unwrap();
    to
}

fn load(dir: &Path, precision: Precision) -> AnyModel {
    AnyModel::load(dir, precision, &device()).unwrap()
}

#[test]
fn rounded_weights_give_the_same_losses_and_gradients_to_the_bit() {
    for &case in CASES {
        for (precision, round) in [
            (Precision::Bf16, &(|v| bf16::from_f32(v).to_f32()) as &dyn Fn(f32) -> f32),
            (Precision::F16, &|v| f16::from_f32(v).to_f32()),
        ] {
            let dir = changed(case, |_, v| round(v));
            let (wide, half) = (load(dir.path(), Precision::F32), load(dir.path(), precision));
            assert!(half.sizes().bytes < wide.sizes().bytes * 6 / 10);
            let batch = Samples::read(&fixture(case)).batch(2);
            for checkpointing in [false, true] {
                let run = |model: &AnyModel| {
                    let stack = stack(model, &ALL, &Targets::all_linear(), 0.0);
                    pass(model, &batch, &stack, checkpointing)
                };
                assert_eq!(gaps(&run(&wide), &run(&half)), (0.0, 0.0), "{case} {precision}");
            }
        }
    }
}

#[test]
fn rounding_weights_changes_losses_little() {
    for &case in CASES {
        let batch = Samples::read(&fixture(case)).batch(2);
        let losses = |precision| {
            let model = load(&fixture(case), precision);
            let stack = stack(&model, &ALL, &Targets::all_linear(), 0.0);
            pass(&model, &batch, &stack, false).losses
        };
        let exact = losses(Precision::F32);
        for (precision, most) in [(Precision::Bf16, 0.03), (Precision::F16, 0.004)] {
            for (x, y) in exact.iter().zip(losses(precision)) {
                let gap = (x - y).abs() / x;
                assert!(gap > 0.0 && gap < most, "{case} {precision}: {x} and {y}");
            }
        }
    }
}

#[test]
fn variants_that_read_weights_take_them_in_half_precision() {
    let dir = changed("idefics3/gqa_split", |_, v| bf16::from_f32(v).to_f32());
    let (wide, half) = (load(dir.path(), Precision::F32), load(dir.path(), Precision::Bf16));
    for site in 0..wide.sites().len() {
        let values = |model: &AnyModel| model.weight(site).map(|w| w.into_data().iter::<f32>().collect());
        assert_eq!(values(&half), values(&wide) as Option<Vec<f32>>, "{}", wide.sites()[site].path);
    }
}

#[test]
fn values_beyond_f16_are_refused_by_name() {
    let name = "lm_head.weight";
    let dir = changed("idefics3/gqa_split", |own, v| if own == name { v * 1e6 } else { v });
    let error = AnyModel::load(dir.path(), Precision::F16, &device()).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }));
    let text = error.to_string();
    assert!(text.contains(name) && text.contains("bf16 or f32"), "{text}");
    assert!(AnyModel::load(dir.path(), Precision::Bf16, &device()).is_ok());
}
