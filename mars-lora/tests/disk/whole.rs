//! Adapters of PEFT with more than factors (`tests/oracle/peft_whole.py`): merged by PEFT and here.

use crate::kit::{load, save};
use mars_lora::merge::{Checkpoint, Direction, MergeOptions, ModelNames, inspect, merge};
use mars_lora::peft::{self, Base};
use mars_lora::{AdaptedModule, Error, Site, SiteKind};
use safetensors::tensor::Dtype;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/peft_whole").join(case)
}

/// Each with the number of tensors that it changes beside those of its factors.
const CASES: [(&str, usize); 12] = [
    ("convolution_3d", 0),
    ("bias_all", 10),
    ("lora_bias", 6),
    ("modules_to_save", 4),
    ("saved_norms", 6),
    ("saved_half", 2),
    ("equal_copies", 0),
    ("changed_copies", 2),
    ("tokens", 1),
    ("named_tokens", 1),
    ("saved_targets", 4),
    ("saved_by_end", 4),
];

fn merged_is_that_of_peft(adapter: &Path, case: &str) {
    let names = ModelNames::default();
    let base = load(&fixture("base/model.safetensors"));
    let expected = load(&fixture(case).join("merged.safetensors"));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("merged");
    let options = MergeOptions { names: &names, dtype: None, direction: Direction::Merge };
    let done = merge(adapter, &fixture("base"), &out, &options, &mut |_, _| ()).unwrap();
    assert_eq!(done.tensors.len(), expected.len(), "{case}: {:?}", done.tensors);
    for (name, (shape, values)) in load(&out.join("model.safetensors")) {
        let (theirs, expected) = expected.get(&name).unwrap_or(&base[&name]);
        assert_eq!(&shape, theirs);
        for (one, other) in values.iter().zip(expected) {
            assert!((one - other).abs() <= 1e-6, "{case}: {name}: {one} {other}");
        }
    }
}

#[test]
fn merged_weights_are_those_of_peft() {
    for (case, changed) in CASES {
        merged_is_that_of_peft(&fixture(case), case);
        let found = inspect(&fixture(case), &fixture("base"), &ModelNames::default()).unwrap();
        assert_eq!(found.changed.len(), changed, "{case}: {:?}", found.changed);
        assert_eq!(
            found.cautions.iter().any(|one| one.contains("not applied unmerged")),
            changed > 0,
            "{case}"
        );
    }
}

/// Of factors as of whole tensors, each by its name.
#[test]
fn an_adapter_with_a_value_that_is_not_finite_does_not_pass() {
    for (case, value) in [("modules_to_save", f32::NAN), ("tokens", f32::INFINITY)] {
        let tensors = load(&fixture(case).join("adapter_model.safetensors"));
        for name in tensors.keys() {
            let dir = tempfile::tempdir().unwrap();
            fs::copy(fixture(case).join("adapter_config.json"), dir.path().join("adapter_config.json"))
                .unwrap();
            let mut changed = tensors.clone();
            *changed.get_mut(name).unwrap().1.last_mut().unwrap() = value;
            save(&dir.path().join("adapter_model.safetensors"), &changed, Dtype::F32);
            let error =
                inspect(dir.path(), &fixture("base"), &ModelNames::default()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("not finite"), "{case}: {error}");
        }
    }
}

/// PEFT 0.18.1 saves no biases with `lora_only`, and loads such an adapter without them.
#[test]
fn lost_biases_are_told_of_with_a_remedy_that_works() {
    let names = ModelNames::default();
    let error = inspect(&fixture("bias_lora_only"), &fixture("base"), &names).unwrap_err().to_string();
    assert!(error.contains("they are lost") && error.contains("set bias to \"none\""), "{error}");
    let dir = tempfile::tempdir().unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        fs::copy(fixture("bias_lora_only").join(name), dir.path().join(name)).unwrap();
    }
    let path = dir.path().join("adapter_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["bias"] = "none".into();
    fs::write(path, config.to_string()).unwrap();
    merged_is_that_of_peft(dir.path(), "bias_lora_only");
}

fn site(path: &str, kind: SiteKind, inputs: usize, outputs: usize) -> Site {
    Site { kind, ..Site::linear(path, "llm", inputs, outputs) }
}

/// The layers of the toy that models here can adapt.
fn sites() -> Vec<Site> {
    let mut all = vec![site("text.embed_tokens", SiteKind::Embedding, 9, 6)];
    for block in ["vision.layers.0", "text.layers.0", "text.layers.1"] {
        all.push(site(&format!("{block}.q_proj"), SiteKind::Linear, 6, 6));
        all.push(site(&format!("{block}.fc1"), SiteKind::Linear, 6, 8));
    }
    all
}

#[test]
fn copies_of_the_base_are_read_and_trained_tensors_refused_with_a_remedy() {
    let sites = sites();
    let weights = Checkpoint::open(&fixture("base")).unwrap();
    let modules = [AdaptedModule { name: "llm".into(), pattern: ".*".into() }];
    let base = Base::new(&modules, &sites);
    let with = base.with_weights(weights.shards());
    let read = peft::read(&fixture("equal_copies"), &with).unwrap();
    assert_eq!(read.factors.len(), 4);
    // What the base has is not known without its files.
    assert!(peft::read(&fixture("equal_copies"), &base).is_err());
    for (case, part) in [
        ("bias_all", "text.layers.0.norm.bias"),
        ("lora_bias", "lora_bias"),
        ("modules_to_save", "lm_head.weight, projector.linear_1.bias"),
        ("saved_targets", "lm_head.weight, projector.linear_1.bias"),
        ("saved_by_end", "lm_head.weight, projector.linear_1.bias"),
        ("saved_norms", "text.layers.1.norm.weight"),
        ("saved_half", "text.embed_tokens.weight"),
        ("tokens", "text.embed_tokens.weight"),
    ] {
        let error = peft::read(&fixture(case), &with).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("merge the adapter into its base"), "{case}: {error}");
    }
    // Layers that are only merged here are named as such.
    for (case, part) in [("convolution_3d", "3-D convolution"), ("changed_copies", "output layer")] {
        let error = peft::read(&fixture(case), &with).unwrap_err();
        assert!(matches!(error, Error::Partial(_)) && error.to_string().contains(part), "{case}: {error}");
    }
}

#[test]
fn what_is_replaced_is_not_given_back() {
    let names = ModelNames::default();
    let dir = tempfile::tempdir().unwrap();
    let options = MergeOptions { names: &names, dtype: None, direction: Direction::Unmerge };
    for case in ["modules_to_save", "bias_all", "tokens"] {
        let result =
            merge(&fixture(case), &fixture("base"), &dir.path().join(case), &options, &mut |_, _| ());
        assert!(matches!(result, Err(Error::Variant { .. })), "{case}: {result:?}");
    }
    let out = dir.path().join("biases");
    merge(&fixture("lora_bias"), &fixture("base"), &out, &options, &mut |_, _| ()).unwrap();
}

#[test]
fn whole_tensors_that_do_not_fit_are_named_with_their_cause() {
    let names = ModelNames::default();
    let changed = |change: &dyn Fn(&mut crate::kit::Tensors)| {
        let dir = tempfile::tempdir().unwrap();
        let from = fixture("saved_norms");
        fs::copy(from.join("adapter_config.json"), dir.path().join("adapter_config.json")).unwrap();
        let mut tensors = load(&from.join("adapter_model.safetensors"));
        change(&mut tensors);
        let path = dir.path().join("adapter_model.safetensors");
        crate::kit::save(&path, &tensors, safetensors::tensor::Dtype::F32);
        inspect(dir.path(), &fixture("base"), &names).unwrap_err().to_string()
    };
    // A vocabulary that grew before training.
    let grown = changed(&|tensors| {
        tensors.insert("base_model.model.text.embed_tokens.weight".into(), (vec![11, 6], vec![0.0; 66]));
    });
    assert!(grown.contains("[11, 6]") && grown.contains("resize_token_embeddings"), "{grown}");
    let elsewhere = changed(&|tensors| {
        tensors.insert("base_model.model.audio.norm.weight".into(), (vec![6], vec![0.0; 6]));
    });
    assert!(elsewhere.contains("audio.norm.weight"), "{elsewhere}");
    let none = changed(&|tensors| tensors.retain(|name, _| !name.contains("norm")));
    assert!(none.contains("modules_to_save") && none.contains("norm"), "{none}");
}

/// A tied model would lose what was saved of one end of it.
#[test]
fn whole_ends_of_a_tied_model_are_refused() {
    let names = ModelNames::default();
    let dir = tempfile::tempdir().unwrap();
    fs::copy(fixture("base/model.safetensors"), dir.path().join("model.safetensors")).unwrap();
    fs::write(dir.path().join("config.json"), r#"{"tie_word_embeddings": true}"#).unwrap();
    for case in ["modules_to_save", "saved_half"] {
        assert!(matches!(inspect(&fixture(case), dir.path(), &names), Err(Error::Tied { .. })), "{case}");
    }
    // Rows of the table belong to both ends in PEFT, too.
    inspect(&fixture("tokens"), dir.path(), &names).unwrap();
}
