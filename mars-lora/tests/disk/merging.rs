//! Merging into files: any names, shards and types; side files; ties; nothing half done.

use crate::families::{self, Family};
use crate::kit::{Tensors, adapter, base, load, products, ranks, save, write};
use mars_lora::merge::{Direction, Float, MergeOptions, ModelNames, inspect, merge};
use mars_lora::peft::PeftLayout;
use mars_lora::{Adapter, Error, ScaleConvention};
use proptest::prelude::*;
use safetensors::tensor::Dtype;
use std::fs;
use std::path::Path;

fn names(family: &Family) -> ModelNames {
    ModelNames { modules: family.modules.clone(), namings: family.namings.clone(), tied_by_default: false }
}

fn run(
    adapter: &Path,
    base: &Path,
    out: &Path,
    family: &Family,
    dtype: Option<Float>,
) -> Result<mars_lora::merge::Merged, Error> {
    let options = MergeOptions { names: &names(family), dtype, direction: Direction::Merge };
    merge(adapter, base, out, &options, &mut |_, _| ())
}

/// Half the distance of the smallest numbers in half precision, whose relative precision is none.
const SMALLEST: f64 = 3e-8;

/// Compares merged weights with `W + s B A`, to a relative precision.
fn assert_merged(
    merged: &Tensors,
    base: &Tensors,
    adapter: &Adapter,
    spell: &dyn Fn(&str) -> String,
    precision: f64,
) {
    let mut changed = 0;
    let products = products(adapter);
    assert_eq!(merged.keys().collect::<Vec<_>>(), base.keys().collect::<Vec<_>>());
    for (path, delta) in &products {
        let name = format!("{}.weight", spell(path));
        for ((new, old), delta) in merged[&name].1.iter().zip(&base[&name].1).zip(delta) {
            let expected = f64::from(*old) + delta;
            assert!(
                (f64::from(*new) - expected).abs() <= precision * expected.abs() + SMALLEST,
                "{name}: {new} {expected}"
            );
        }
        changed += 1;
    }
    assert_eq!(base.iter().filter(|(name, tensor)| merged[*name] != **tensor).count(), changed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Alpha different from rank, names of the files different from those of the adapter, three types.
    #[test]
    fn merged_is_base_plus_product(
        index in 0..3_usize,
        rank in 1..5_usize,
        alpha in 0.5..20.0_f64,
        on_disk in any::<bool>(),
        kind in 0..3_usize,
        layout in prop_oneof![Just(PeftLayout::Pattern), Just(PeftLayout::Uniform)],
    ) {
        let family = families::all().into_iter().nth(index).unwrap();
        let scale = ScaleConvention::AlphaOverRank { alpha };
        let written = adapter(&family, &ranks(&family, &[("ve", rank), ("llm", 5 - rank)]), scale, false);
        let dir = tempfile::tempdir().unwrap();
        let (at, from, out) = (dir.path().join("adapter"), dir.path().join("base"), dir.path().join("out"));
        write(&at, &family, &written, layout);
        let naming = (on_disk && !family.namings.is_empty()).then_some(0);
        // Half an ulp of the type, and of the factors' own in the layout that multiplies the scale in.
        let (dtype, half_ulp) = [(Dtype::F32, 6e-8), (Dtype::BF16, 3.91e-3), (Dtype::F16, 4.9e-4)][kind];
        base(&from, &family, naming, dtype);
        run(&at, &from, &out, &family, None).unwrap();
        let spell = |path: &str| naming.map_or_else(|| path.to_string(), |n| family.namings[n].spell(path));
        let (merged, plain) = (load(&out.join("model.safetensors")), load(&from.join("model.safetensors")));
        let uniform = if layout == PeftLayout::Uniform { 3e-6 } else { 0.0 };
        if uniform == 0.0 {
            assert_merged(&merged, &plain, &written, &spell, half_ulp);
        } else {
            for (path, delta) in products(&written) {
                let name = format!("{}.weight", spell(&path));
                for ((new, old), delta) in merged[&name].1.iter().zip(&plain[&name].1).zip(delta) {
                    let expected = f64::from(*old) + delta;
                    let allowed = half_ulp * expected.abs() + SMALLEST + uniform * (1.0 + delta.abs());
                    prop_assert!((f64::from(*new) - expected).abs() <= allowed, "{name}: {new} {expected}");
                }
            }
        }
    }
}

#[test]
fn shards_keep_their_tensors_and_their_index() {
    let family = families::llava_onevision();
    let dir = tempfile::tempdir().unwrap();
    let (at, from, out) = (dir.path().join("adapter"), dir.path().join("base"), dir.path().join("out"));
    let written =
        adapter(&family, &ranks(&family, &[("ve", 2), ("llm", 3)]), ScaleConvention::default(), false);
    write(&at, &family, &written, PeftLayout::Pattern);
    base(&from, &family, Some(0), Dtype::F32);
    let all = load(&from.join("model.safetensors"));
    fs::remove_file(from.join("model.safetensors")).unwrap();
    let (mut map, mut parts) = (serde_json::Map::new(), [Tensors::new(), Tensors::new(), Tensors::new()]);
    for (index, (name, tensor)) in all.iter().enumerate() {
        parts[index % 3].insert(name.clone(), tensor.clone());
        map.insert(name.clone(), format!("model-{}.safetensors", index % 3).into());
    }
    for (index, part) in parts.iter().enumerate() {
        save(&from.join(format!("model-{index}.safetensors")), part, Dtype::F32);
    }
    let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map});
    fs::write(from.join("model.safetensors.index.json"), index.to_string()).unwrap();

    for (dtype, size) in [(None, 4), (Some(Float::BF16), 2)] {
        run(&at, &from, &out, &family, dtype).unwrap();
        let text = fs::read_to_string(out.join("model.safetensors.index.json")).unwrap();
        let written_index: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(written_index["weight_map"], index["weight_map"]);
        let count: usize = all.values().map(|(_, values)| values.len()).sum();
        assert_eq!(written_index["metadata"]["total_size"], size * count);
        let mut merged = Tensors::new();
        for (part, tensors) in parts.iter().enumerate() {
            let own = load(&out.join(format!("model-{part}.safetensors")));
            assert_eq!(own.keys().collect::<Vec<_>>(), tensors.keys().collect::<Vec<_>>());
            merged.extend(own);
        }
        if dtype.is_none() {
            let spell = |path: &str| family.namings[0].spell(path);
            assert_merged(&merged, &all, &written, &spell, 6e-8);
        } else {
            let config = fs::read_to_string(out.join("config.json")).unwrap();
            assert!(config.contains("\"torch_dtype\": \"bfloat16\""), "{config}");
        }
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn tokenizer_and_processor_come_along_and_other_weights_do_not() {
    let family = families::idefics3();
    let dir = tempfile::tempdir().unwrap();
    let (at, from, out) = (dir.path().join("adapter"), dir.path().join("base"), dir.path().join("new/out"));
    let written = adapter(&family, &ranks(&family, &[("llm", 3)]), ScaleConvention::default(), false);
    write(&at, &family, &written, PeftLayout::Pattern);
    base(&from, &family, None, Dtype::F32);
    let taken =
        ["tokenizer.json", "merges.txt", "preprocessor_config.json", "chat_template.jinja", "LICENSE"];
    // Those of an adapter are beside bases on which training saved it.
    let left = [
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "model.gguf",
        "README.md",
        ".gitattributes",
        "adapter_config.json",
        "adapter_model.safetensors",
        "consolidated.safetensors",
    ];
    for name in taken.iter().chain(&left) {
        fs::write(from.join(name), name).unwrap();
    }
    fs::create_dir(from.join("additional_chat_templates")).unwrap();
    fs::write(from.join("additional_chat_templates/tool.jinja"), "t").unwrap();
    let done = run(&at, &from, &out, &family, None).unwrap();
    for name in taken {
        assert_eq!(fs::read_to_string(out.join(name)).unwrap(), name);
    }
    assert_eq!(fs::read_to_string(out.join("additional_chat_templates/tool.jinja")).unwrap(), "t");
    for name in left {
        assert!(!out.join(name).exists());
        assert!(done.left_out.contains(&name.to_string()), "{:?}", done.left_out);
    }
    assert_eq!(done.left_out.len(), left.len(), "{:?}", done.left_out);
    let beside: Vec<_> = fs::read_dir(dir.path().join("new")).unwrap().collect();
    assert_eq!(beside.len(), 1, "a temporary directory is left");
    let again = run(&at, &from, &out, &family, None).unwrap_err();
    assert!(again.to_string().contains("not empty"), "{again}");
}

#[test]
fn a_tied_table_is_refused_whole() {
    let mut family = families::idefics3();
    let table = mars_lora::Site {
        kind: mars_lora::SiteKind::Embedding,
        ..mars_lora::Site::linear("model.text_model.embed_tokens", "llm", 10, 6)
    };
    family.sites.push(table);
    let mut all = ranks(&family, &[]);
    *all.last_mut().unwrap() = 2;
    let written = adapter(&family, &all, ScaleConvention::default(), false);
    let dir = tempfile::tempdir().unwrap();
    let (at, from, out) = (dir.path().join("adapter"), dir.path().join("base"), dir.path().join("out"));
    write(&at, &family, &written, PeftLayout::Pattern);
    base(&from, &family, None, Dtype::F32);
    let path = from.join("model.safetensors");
    let mut tensors = load(&path);
    let (_, values) = tensors.remove("model.text_model.embed_tokens.weight").unwrap();
    tensors.insert("model.text_model.embed_tokens.weight".into(), (vec![10, 6], values));
    save(&path, &tensors, Dtype::F32);

    run(&at, &from, &out, &family, None).unwrap();
    fs::remove_dir_all(&out).unwrap();
    for tied in [r#"{"tie_word_embeddings": true}"#, r#"{"text_config": {"tie_word_embeddings": true}}"#] {
        fs::write(from.join("config.json"), tied).unwrap();
        let error = run(&at, &from, &out, &family, None).unwrap_err();
        assert!(matches!(&error, Error::Tied { path, .. } if path.ends_with("embed_tokens")), "{error}");
        assert!(!out.exists());
    }
    fs::write(from.join("config.json"), "{}").unwrap();
    tensors.remove("lm_head.weight");
    save(&path, &tensors, Dtype::F32);
    assert!(matches!(run(&at, &from, &out, &family, None), Err(Error::Tied { .. })));
    assert!(inspect(&at, &from, &names(&family)).is_ok(), "unmerged it is fine");
}

#[test]
fn a_type_that_is_too_small_is_refused() {
    let family = families::idefics3();
    let dir = tempfile::tempdir().unwrap();
    let (at, from, out) = (dir.path().join("adapter"), dir.path().join("base"), dir.path().join("out"));
    let scale = ScaleConvention::Constant { scale: 1e6 };
    write(&at, &family, &adapter(&family, &ranks(&family, &[("llm", 3)]), scale, false), PeftLayout::Pattern);
    base(&from, &family, None, Dtype::F32);
    let error = run(&at, &from, &out, &family, Some(Float::F16)).unwrap_err().to_string();
    assert!(error.contains("model.text_model.layers") && error.contains("f16"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "something is left behind");
}

#[test]
fn components_that_a_layout_filled_up_are_not_counted_as_used() {
    let family = families::idefics3();
    let dir = tempfile::tempdir().unwrap();
    let (at, from) = (dir.path().join("adapter"), dir.path().join("base"));
    let ranks = ranks(&family, &[("ve", 3), ("llm", 2)]);
    let written = adapter(&family, &ranks, ScaleConvention::default(), false);
    write(&at, &family, &written, PeftLayout::Uniform);
    base(&from, &family, None, Dtype::F32);
    for one in inspect(&at, &from, &names(&family)).unwrap().modules {
        let used = if one.module == "ve" { 3 } else { 2 };
        assert_eq!((one.rank, one.used_rank), (3, used), "{}", one.path);
    }
}

#[test]
fn dora_on_a_row_of_zeros_is_refused() {
    let family = families::idefics3();
    let dir = tempfile::tempdir().unwrap();
    let (at, from, out) = (dir.path().join("adapter"), dir.path().join("base"), dir.path().join("out"));
    let scale = ScaleConvention::default();
    let mut written = adapter(&family, &ranks(&family, &[("llm", 3)]), scale, true);
    // As an adapter begins: B is zero.
    written.factors.iter_mut().for_each(|own| own.b.fill(0.0));
    write(&at, &family, &written, PeftLayout::Pattern);
    base(&from, &family, None, Dtype::F32);
    let path = from.join("model.safetensors");
    let mut tensors = load(&path);
    let name = format!("{}.weight", written.factors[0].path);
    let (shape, values) = tensors.get_mut(&name).unwrap();
    let inputs = shape[1];
    values[2 * inputs..3 * inputs].fill(0.0);
    save(&path, &tensors, Dtype::F32);
    let error = run(&at, &from, &out, &family, None).unwrap_err().to_string();
    assert!(error.contains(&format!("`{name}`")) && error.contains("[2, 0]"), "{error}");
    assert!(!out.exists());
}

#[test]
fn an_adapter_of_another_model_is_refused_by_name() {
    let (family, other) = (families::llava_onevision(), families::qwen2_5_vl());
    let dir = tempfile::tempdir().unwrap();
    let (at, from) = (dir.path().join("adapter"), dir.path().join("base"));
    let written =
        adapter(&other, &ranks(&other, &[("ve", 2), ("llm", 2)]), ScaleConvention::default(), false);
    write(&at, &other, &written, PeftLayout::Pattern);
    base(&from, &family, Some(0), Dtype::F32);
    let Err(Error::Partial(partial)) = inspect(&at, &from, &names(&family)) else { panic!("it fits") };
    // All of Qwen's vision tower, and the language layers whose shapes differ by chance or not at all.
    let unexpected = |part: &str| partial.unexpected.iter().filter(|name| name.contains(part)).count();
    assert_eq!(unexpected("visual.blocks"), 2 * 5 * 2, "{partial}");
    assert!(partial.to_string().contains("and 12 more"), "{partial}");
}
