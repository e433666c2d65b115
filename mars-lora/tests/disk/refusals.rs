//! Wrong files: typed errors that list the names.

use crate::families;
use crate::kit::{adapter, load, ranks, save, write};
use mars_lora::peft::{self, CONFIG_FILE, Partial, PeftLayout, WEIGHTS_FILE};
use mars_lora::{Error, ScaleConvention};
use proptest::prelude::*;
use safetensors::tensor::Dtype;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn written() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let family = families::idefics3();
    let one = adapter(&family, &ranks(&family, &[("ve", 2), ("llm", 4)]), ScaleConvention::default(), false);
    write(dir.path(), &family, &one, PeftLayout::Pattern);
    dir
}

fn read(dir: &Path) -> Error {
    peft::read(dir, &families::idefics3().base()).unwrap_err()
}

fn partial(dir: &Path) -> Partial {
    match read(dir) {
        Error::Partial(partial) => *partial,
        other => panic!("{other}"),
    }
}

fn set(dir: &Path, field: &str, value: Value) {
    let path = dir.join(CONFIG_FILE);
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config[field] = value;
    fs::write(path, config.to_string()).unwrap();
}

const FC1: &str = "base_model.model.model.vision_model.encoder.layers.1.mlp.fc1.lora_A.weight";

#[test]
fn a_missing_tensor_is_named() {
    let dir = written();
    let path = dir.path().join(WEIGHTS_FILE);
    let mut tensors = load(&path);
    tensors.remove(FC1).unwrap();
    save(&path, &tensors, Dtype::F32);
    assert_eq!(partial(dir.path()).missing, [FC1]);
}

#[test]
fn a_tensor_without_a_place_is_named() {
    let dir = written();
    let path = dir.path().join(WEIGHTS_FILE);
    let mut tensors = load(&path);
    let stray = "base_model.model.model.audio_model.layers.0.fc1.lora_B.weight";
    tensors.insert(stray.into(), (vec![2, 2], vec![0.0; 4]));
    save(&path, &tensors, Dtype::F32);
    let found = partial(dir.path());
    assert_eq!((found.unexpected, found.missing.len()), (vec![stray.to_string()], 0));
}

#[test]
fn targets_that_are_too_narrow_are_no_silence() {
    let dir = written();
    set(dir.path(), "target_modules", json!(["q_proj"]));
    let found = partial(dir.path());
    assert!(found.unexpected.iter().all(|name| !name.contains("q_proj")));
    // Two layers of each tower: 6 and 7 modules, less q_proj, two tensors each.
    assert_eq!(found.unexpected.len(), 2 * (2 * 5 + 2 * 6));
    let message = read(dir.path()).to_string();
    assert!(message.contains("44 without a place") && message.contains("and 36 more"), "{message}");
}

#[test]
fn a_rank_that_the_tensors_do_not_have_is_named() {
    let dir = written();
    set(dir.path(), "rank_pattern", json!({}));
    let found = partial(dir.path());
    assert_eq!(found.wrong.len(), 2 * 2 * 6);
    assert!(found.wrong.iter().any(|text| text.contains(FC1) && text.contains("instead of")), "{found}");
}

#[test]
fn tensors_of_another_shape_are_named() {
    // Transposed, longer, and with a kernel that a linear layer does not have.
    for (shape, fits) in
        [(vec![2, 7], true), (vec![7, 2], false), (vec![2, 8], false), (vec![2, 7, 1, 1], false)]
    {
        let dir = written();
        let path = dir.path().join(WEIGHTS_FILE);
        let mut tensors = load(&path);
        assert_eq!(tensors[FC1].0, [2, 7]);
        let count = shape.iter().product();
        tensors.insert(FC1.into(), (shape.clone(), vec![0.5; count]));
        save(&path, &tensors, Dtype::F32);
        if fits {
            peft::read(dir.path(), &families::idefics3().base()).unwrap();
            continue;
        }
        let found = partial(dir.path());
        assert_eq!((found.wrong.len(), found.missing.len() + found.unexpected.len()), (1, 0));
        assert!(found.wrong[0].contains(FC1) && found.wrong[0].contains(&format!("{shape:?}")), "{found}");
    }
}

#[test]
fn dora_needs_its_magnitudes_and_nothing_else_may_have_them() {
    let dir = written();
    set(dir.path(), "use_dora", json!(true));
    assert_eq!(partial(dir.path()).missing.len(), 2 * 6 + 2 * 7);
    let family = families::idefics3();
    let one = adapter(&family, &ranks(&family, &[("ve", 2)]), ScaleConvention::default(), true);
    write(dir.path(), &family, &one, PeftLayout::Pattern);
    set(dir.path(), "use_dora", json!(false));
    assert_eq!(partial(dir.path()).unexpected.len(), 2 * 6);
}

#[test]
fn what_is_not_computed_is_refused_with_its_field() {
    for (field, value, part) in [
        ("peft_type", json!("IA3"), "IA3"),
        ("bias", json!("lora_only"), "lora_only"),
        ("modules_to_save", json!(["lm_head", "connector"]), "lm_head, connector"),
        ("init_lora_weights", json!("pissa_niter_4"), "path_initial_model_for_weight_conversion"),
        ("lora_bias", json!(true), "lora_bias"),
        ("trainable_token_indices", json!([1]), "trainable_token_indices"),
        ("target_parameters", json!(["x"]), "target_parameters"),
        ("layer_replication", json!([[0, 1]]), "layer_replication"),
        ("target_modules", Value::Null, "target_modules"),
        ("r", json!(0), "rank is 0"),
        ("r", json!(-1), "-1"),
        ("r", json!(u64::MAX), "rank is 18446744073709551615"),
        ("lora_dropout", json!(1.5), "lora_dropout is 1.5"),
        ("lora_alpha", json!(0), "alpha is 0"),
        ("rank_pattern", json!({"vision_model\\..*": 0}), "rank is 0"),
        ("rank_pattern", json!([1]), "regular expressions"),
    ] {
        let dir = written();
        set(dir.path(), field, value);
        let error = read(dir.path());
        assert!(matches!(&error, Error::BadFile { path, .. } if path.ends_with(CONFIG_FILE)), "{error}");
        assert!(error.to_string().contains(part), "{field}: {error}");
    }
    for field in ["target_modules", "exclude_modules"] {
        let dir = written();
        set(dir.path(), field, json!("(unclosed"));
        let error = read(dir.path());
        assert!(matches!(&error, Error::BadFile { path, .. } if path.ends_with(CONFIG_FILE)), "{error}");
        assert!(error.to_string().contains("`(unclosed`"), "{error}");
    }
}

/// Of 6 KB, and of 60 MB that say nothing.
#[test]
fn no_configuration_takes_memory_without_bound() {
    let began = Instant::now();
    let large: Vec<String> = (0..300).map(|n| format!(r"\w{{150}}x{n}")).collect();
    let ranks: Value = large.iter().map(|key| (key.clone(), json!(4))).collect::<Map<_, _>>().into();
    for (field, value) in [
        ("rank_pattern", ranks.clone()),
        ("alpha_pattern", ranks),
        ("layers_pattern", json!(large)),
        ("target_modules", json!(large.join("|"))),
        ("exclude_modules", json!(r"(?<=\w{1,100000}x)y")),
    ] {
        let dir = written();
        set(dir.path(), field, value);
        let error = read(dir.path());
        assert!(matches!(&error, Error::BadFile { path, .. } if path.ends_with(CONFIG_FILE)), "{error}");
        let message = error.to_string();
        let parts = [field, "MiB", "by the ends of their paths"];
        assert!(parts.iter().all(|part| message.contains(part)) && message.len() < 1000, "{message}");
    }
    let dir = written();
    let path = dir.path().join(CONFIG_FILE);
    let sound = fs::read_to_string(&path).unwrap();
    let junk = format!("{{\"junk\":[{}0],", "0,".repeat(30_000_000));
    fs::write(&path, sound.replacen('{', &junk, 1)).unwrap();
    let error = read(dir.path());
    assert!(matches!(&error, Error::BadFile { path, .. } if path.ends_with(CONFIG_FILE)), "{error}");
    assert!(error.to_string().contains("bytes long"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// As methods write them that choose a rank for each layer.
#[test]
fn ranks_of_tens_of_thousands_of_layers_are_read() {
    let dir = written();
    let before = peft::read(dir.path(), &families::idefics3().base()).unwrap();
    let config: Value = serde_json::from_slice(&fs::read(dir.path().join(CONFIG_FILE)).unwrap()).unwrap();
    for field in ["rank_pattern", "alpha_pattern"] {
        let names = (0..20_000).map(|n| format!("model.layers.{}.mlp.experts.{}.up_proj", n / 128, n % 128));
        let mut all: Map<String, Value> = names.map(|name| (name, json!(64))).collect();
        all.extend(config[field].as_object().unwrap().clone());
        set(dir.path(), field, all.into());
    }
    let after = peft::read(dir.path(), &families::idefics3().base()).unwrap();
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
}

#[test]
fn harmless_fields_of_other_versions_are_passed_over() {
    let dir = written();
    for (field, value) in [
        ("loftq_config", json!({})),
        ("lora_bias", json!(false)),
        ("peft_version", json!("0.21.2")),
        ("init_lora_weights", json!("gaussian")),
        ("modules_to_save", json!([])),
        ("layers_to_transform", json!([])),
        ("layers_pattern", json!("")),
        ("something_new", json!({"a": 1})),
    ] {
        set(dir.path(), field, value);
    }
    peft::read(dir.path(), &families::idefics3().base()).unwrap();
}

/// PEFT 0.18.1 and 0.20.0 load such an adapter and compute the same; axolotl 0.19.0 writes null for `fan_in_fan_out`.
#[test]
fn null_is_false() {
    let dir = written();
    let before = peft::read(dir.path(), &families::idefics3().base()).unwrap();
    for field in ["fan_in_fan_out", "inference_mode", "use_dora", "use_rslora", "lora_bias"] {
        set(dir.path(), field, Value::Null);
    }
    let after = peft::read(dir.path(), &families::idefics3().base()).unwrap();
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
    for (field, part) in [("bias", "null"), ("lora_dropout", "null"), ("use_dora", "a boolean")] {
        let dir = written();
        set(dir.path(), field, if field == "use_dora" { json!("no") } else { Value::Null });
        let error = read(dir.path()).to_string();
        assert!(error.contains(field) && error.contains(part), "{error}");
    }
}

#[test]
fn two_adapters_in_one_file_are_refused() {
    let dir = written();
    let path = dir.path().join(WEIGHTS_FILE);
    let mut tensors = load(&path);
    let one = tensors.remove(FC1).unwrap();
    tensors.insert(FC1.replace(".weight", ".second.weight"), one);
    save(&path, &tensors, Dtype::F32);
    let error = read(dir.path()).to_string();
    assert!(error.contains("several adapters") && error.contains("second"), "{error}");
}

#[test]
fn whole_weights_of_the_base_are_refused_with_advice() {
    let dir = written();
    let path = dir.path().join(WEIGHTS_FILE);
    let mut tensors = load(&path);
    tensors.insert("base_model.model.model.text_model.embed_tokens.weight".into(), (vec![1], vec![0.0]));
    save(&path, &tensors, Dtype::F32);
    let error = read(dir.path()).to_string();
    assert!(
        error.contains("embed_tokens.weight") && error.contains("save_embedding_layers=False"),
        "{error}"
    );
}

#[test]
fn pickles_are_refused_with_advice() {
    let dir = written();
    fs::rename(dir.path().join(WEIGHTS_FILE), dir.path().join("adapter_model.bin")).unwrap();
    let error = read(dir.path()).to_string();
    assert!(error.contains("safe_serialization=True"), "{error}");
    fs::remove_file(dir.path().join("adapter_model.bin")).unwrap();
    assert!(matches!(read(dir.path()), Error::Io { path, .. } if path.ends_with(WEIGHTS_FILE)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A file cut anywhere, or with one byte changed in its header, is an error or the same adapter, never a panic.
    #[test]
    fn damaged_files_are_errors(cut in any::<bool>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let dir = written();
        let path = dir.path().join(WEIGHTS_FILE);
        let mut bytes = fs::read(&path).unwrap();
        if cut {
            bytes.truncate(at.index(bytes.len()));
        } else {
            let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            bytes[at.index(header)] = byte;
        }
        fs::write(&path, bytes).unwrap();
        let result = peft::read(dir.path(), &families::idefics3().base());
        prop_assert!(!cut || result.is_err());
    }
}
