//! Adapters of PEFT for Qwen3-VL on disk: checked, read, and merged into the base and taken out again.

use crate::kit::{Samples, fixture};
use burn::tensor::{Device, Tensor};
use mars_lora::merge::{Direction, MergeOptions, inspect, merge};
use mars_lora::peft::{self, Base, PeftLayout, Provenance};
use mars_lora::{AdapterStack, Model};
use mars_vlm::checkpoint::names_of_dir;
use mars_vlm::model::AnyModel;
use safetensors::SafeTensors;

/// `qwen3_vl/CASE`, whose adapter and logits with it are those of PEFT (`tests/oracle/qwen3_vl.py`).
const CASES: [&str; 2] = ["qwen3_vl/tied_grouped", "qwen3_vl/untied_mha"];

fn gap(a: &Tensor<3>, b: &Tensor<3>) -> f32 {
    let gaps = (a.clone() - b.clone()).into_data();
    gaps.iter::<f32>().map(|v| if v.is_nan() { f32::INFINITY } else { v.abs() }).fold(0.0, f32::max)
}

#[test]
fn merged_is_what_peft_computes_and_unmerged_is_the_base() {
    CASES.into_iter().for_each(check_merged);
}

/// Merges the adapter of PEFT of a case, and takes it out again.
pub(crate) fn check_merged(case: &str) {
    let (base, place) = (fixture(case), tempfile::tempdir().unwrap());
    let adapter = base.join("adapter");
    let names = names_of_dir(&base).unwrap();
    inspect(&adapter, &base, &names).unwrap();
    let turn = |direction, from: &std::path::Path, name: &str| {
        let (to, options) = (place.path().join(name), MergeOptions { names: &names, dtype: None, direction });
        merge(&adapter, from, &to, &options, &mut |_, _| ()).unwrap();
        to
    };
    let merged = turn(Direction::Merge, &base, "merged");
    let unmerged = turn(Direction::Unmerge, &merged, "unmerged");

    let samples = Samples::read(&base);
    let model = |dir| AnyModel::from_dir(dir, &Device::flex()).unwrap();
    let logits = |dir| {
        let model = model(dir);
        model.logits(&samples.batch(1), &AdapterStack::base(1, &model))
    };
    let (with, without) = (logits(&merged), logits(&base));
    assert!(gap(&with, &without) > 0.1, "{case}: the adapter does nothing");
    assert!(gap(&logits(&unmerged), &without) < 1e-4, "{case}");

    // Samples are in the order of their names.
    let read = |file: &str| std::fs::read(base.join(file)).unwrap();
    let (inputs, outputs) = (read("expected.safetensors"), read("adapter.safetensors"));
    let (inputs, outputs) =
        (SafeTensors::deserialize(&inputs).unwrap(), SafeTensors::deserialize(&outputs).unwrap());
    let mut samples: Vec<&str> =
        inputs.names().into_iter().filter_map(|name| name.strip_suffix(".input_ids")).collect();
    samples.sort_unstable();
    for (row, name) in samples.into_iter().enumerate() {
        let expected = outputs.tensor(&format!("{name}.logits")).unwrap();
        let found = with.clone().narrow(0, row, 1).narrow(1, 0, expected.shape()[0]).into_data();
        let expected = expected.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let worst = found.iter::<f32>().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{case} {name}: {worst}");
    }
}

#[test]
fn what_is_written_is_read_back_under_the_names_of_peft() {
    CASES.into_iter().for_each(check_written);
}

/// Writes the adapter of PEFT of a case again, under the same names.
pub(crate) fn check_written(case: &str) {
    let dir = fixture(case);
    let model = AnyModel::from_dir(&dir, &Device::flex()).unwrap();
    let names = names_of_dir(&dir).unwrap();
    let base = Base::of(&model).with_namings(&names.namings);
    let adapter = peft::read(&dir.join("adapter"), &base).unwrap();
    let original = std::fs::read(dir.join("adapter/adapter_model.safetensors")).unwrap();
    let mut theirs: Vec<String> =
        SafeTensors::deserialize(&original).unwrap().names().into_iter().map(String::from).collect();
    theirs.sort_unstable();
    for layout in [PeftLayout::Pattern, PeftLayout::Uniform] {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("adapter");
        let provenance = Provenance { base_model: "org/base".into(), summary: "A test.".into() };
        peft::write(&out, &adapter, &base, layout, &provenance).unwrap();
        let written = std::fs::read(out.join("adapter_model.safetensors")).unwrap();
        let mut ours: Vec<String> =
            SafeTensors::deserialize(&written).unwrap().names().into_iter().map(String::from).collect();
        ours.sort_unstable();
        assert_eq!(ours, theirs, "{case} {layout:?}");
        let again = peft::read(&out, &base).unwrap();
        assert_eq!(again.factors.len(), adapter.factors.len());
        let samples = Samples::read(&dir).batch(1);
        let logits = |adapter| {
            let stack = AdapterStack::new(std::slice::from_ref(adapter), &model).unwrap();
            model.logits(&samples, &stack)
        };
        assert!(gap(&logits(&adapter), &logits(&again)) < 1e-5, "{case} {layout:?}");
        assert!(again.factors.iter().all(|f| model.sites().iter().any(|site| site.path == f.path)));
    }
}
