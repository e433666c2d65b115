//! What is written is read back, in both layouts and under the names of every supported version.

use crate::families::{self, Family};
use crate::kit::{Tensors, adapter, load, numbers, products, ranks, save, write};
use mars_lora::peft::{self, AdapterFiles, CONFIG_FILE, PeftLayout, TargetModules, WEIGHTS_FILE};
use mars_lora::{Adapter, AdapterConfig, Error, Factors, ScaleConvention, Site, SiteKind};
use proptest::prelude::*;
use safetensors::tensor::Dtype;
use std::path::Path;

fn scales() -> impl Strategy<Value = ScaleConvention> {
    let number = 0.5..32.0_f64;
    prop_oneof![
        number.clone().prop_map(|alpha| ScaleConvention::AlphaOverRank { alpha }),
        number.clone().prop_map(|alpha| ScaleConvention::AlphaOverSqrtRank { alpha }),
        number.prop_map(|scale| ScaleConvention::Constant { scale }),
    ]
}

fn family(index: usize) -> Family {
    families::all().into_iter().nth(index).unwrap()
}

fn assert_same_products(one: &Adapter, other: &Adapter) {
    let (one, other) = (products(one), products(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (path, values) in &one {
        for (a, b) in values.iter().zip(&other[path]) {
            assert!((a - b).abs() <= 1e-5 * (1.0 + a.abs()), "{path}: {a} {b}");
        }
    }
}

/// Renames the tensors of an adapter to those of another version.
fn rename(dir: &Path, family: &Family, naming: usize) {
    let path = dir.join(WEIGHTS_FILE);
    let renamed: Tensors = load(&path)
        .into_iter()
        .map(|(name, tensor)| {
            let module = name.strip_prefix("base_model.model.").unwrap();
            (format!("base_model.model.{}", family.namings[naming].spell(module)), tensor)
        })
        .collect();
    save(&path, &renamed, Dtype::F32);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_ranks_and_scales_come_back(
        index in 0..3_usize,
        by_layer in any::<bool>(),
        drawn in proptest::collection::vec(0..5_usize, 40),
        scale in scales(),
        dora in any::<bool>(),
        own_scale in proptest::option::of((0..26_usize, 0.1..4.0_f64)),
    ) {
        let family = family(index);
        let ranks = if by_layer {
            drawn[..family.sites.len()].to_vec()
        } else {
            ranks(&family, &[("ve", drawn[0]), ("projector", drawn[1]), ("llm", drawn[2])])
        };
        prop_assume!(ranks.iter().any(|rank| *rank > 0));
        let mut written = adapter(&family, &ranks, scale, dora);
        if let Some((site, scale)) = own_scale
            && let Some(site) = family.sites.get(site)
        {
            written.config.layer_scales.insert(site.path.clone(), scale);
        }
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &family, &written, PeftLayout::Pattern);
        let read = peft::read(dir.path(), &family.base()).unwrap();
        prop_assert_eq!(&read.factors, &written.factors);
        for f in &written.factors {
            let (one, other) =
                (read.config.site_scale(&f.path, f.rank), written.config.site_scale(&f.path, f.rank));
            prop_assert!((one - other).abs() <= 1e-9 * other, "{}: {one} {other}", f.path);
        }
        prop_assert_eq!(read.config.site_ranks(&family.modules, &family.sites).unwrap(), ranks);

        let uniform = tempfile::tempdir().unwrap();
        let config = write(uniform.path(), &family, &written, PeftLayout::Uniform);
        prop_assert!(config.rank_pattern.is_empty() && config.alpha_pattern.is_empty());
        let filled = peft::read(uniform.path(), &family.base()).unwrap();
        assert_same_products(&written, &filled);
        for (one, other) in written.factors.iter().zip(&filled.factors) {
            prop_assert_eq!((one.rank, &one.a), (other.rank, &other.a));
            prop_assert_eq!(&one.magnitude, &other.magnitude);
        }
        prop_assert_eq!(
            filled.config.site_ranks(&family.modules, &family.sites).unwrap(),
            read.config.site_ranks(&family.modules, &family.sites).unwrap()
        );

        // The same files under the names of other versions that are supported.
        for (naming, _) in family.namings.iter().enumerate().filter(|(_, naming)| naming.supported) {
            rename(dir.path(), &family, naming);
            let renamed = peft::read(dir.path(), &family.base()).unwrap();
            prop_assert_eq!(&renamed.factors, &written.factors);
        }
    }
}

#[test]
fn names_of_old_versions_are_read() {
    let scale = ScaleConvention::Constant { scale: 2.0 };
    for family in families::all() {
        let written =
            adapter(&family, &ranks(&family, &[("ve", 4), ("llm", 4), ("projector", 4)]), scale, false);
        for naming in 0..family.namings.len() {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), &family, &written, PeftLayout::Pattern);
            rename(dir.path(), &family, naming);
            assert_eq!(peft::read(dir.path(), &family.base()).unwrap().factors, written.factors);
            let files = AdapterFiles::open(dir.path()).unwrap();
            assert_eq!(files.naming(&family.base()), Some(&family.namings[naming]));
        }
    }
}

#[test]
fn patterns_are_as_loose_as_they_can_be() {
    let scale = ScaleConvention::Constant { scale: 2.0 };
    for family in families::all() {
        let dir = tempfile::tempdir().unwrap();
        let both =
            adapter(&family, &ranks(&family, &[("ve", 4), ("llm", 8), ("projector", 4)]), scale, false);
        let config = write(dir.path(), &family, &both, PeftLayout::Pattern);
        let TargetModules::Suffixes(ends) = &config.target_modules else { panic!("{config:?}") };
        assert!(ends.iter().all(|end| !end.contains("model") && !end.contains("layers")), "{ends:?}");
        let keys: Vec<&str> = config.rank_pattern.iter().map(|(key, _)| key.as_str()).collect();
        let expected: Vec<&str> = family.modules[..2].iter().map(|c| c.pattern.as_str()).collect();
        assert_eq!(keys, expected);
        assert_eq!((config.r, config.lora_alpha), (8, 16.0));

        // Names shared by both towers need the module in front; no path is given in full.
        for only in ["ve", "llm"] {
            let one = adapter(&family, &ranks(&family, &[(only, 4)]), scale, false);
            let config = write(dir.path(), &family, &one, PeftLayout::Pattern);
            let text = serde_json::to_string(&config.target_modules).unwrap();
            assert!(!text.contains("layers") && !text.contains("blocks\\\\.0"), "{text}");
            assert!(config.rank_pattern.is_empty() && config.alpha_pattern.is_empty());
        }
    }
}

#[test]
fn an_offset_is_more_rank() {
    let family = families::idefics3();
    let mut written = adapter(
        &family,
        &ranks(&family, &[("ve", 2), ("llm", 3)]),
        ScaleConvention::AlphaOverRank { alpha: 6.0 },
        false,
    );
    let change = |f: &Factors, seed| Factors { b: numbers(seed, f.b.len()), ..f.clone() };
    written.offset = written.factors.iter().map(|f| change(f, 77)).collect();
    for layout in [PeftLayout::Pattern, PeftLayout::Uniform] {
        let dir = tempfile::tempdir().unwrap();
        let config = write(dir.path(), &family, &written, layout);
        assert_eq!(config.r, 6);
        assert_same_products(&written, &peft::read(dir.path(), &family.base()).unwrap());
    }
}

#[test]
fn embeddings_and_convolutions_have_their_own_shapes() {
    let mut family = families::idefics3();
    let kind = SiteKind::Convolution { channels: 3, height: 2, width: 4 };
    let patch = Site { kind, ..Site::linear("model.vision_model.embeddings.patch_embedding", "ve", 24, 5) };
    let table =
        Site { kind: SiteKind::Embedding, ..Site::linear("model.text_model.embed_tokens", "llm", 11, 6) };
    family.others.retain(|path| *path != patch.path);
    family.sites.extend([patch, table]);
    let mut all = ranks(&family, &[("ve", 2), ("llm", 3)]);
    let count = all.len();
    all[count - 2] = 4;
    let written = adapter(&family, &all, ScaleConvention::Constant { scale: 1.5 }, false);
    for layout in [PeftLayout::Pattern, PeftLayout::Uniform] {
        let dir = tempfile::tempdir().unwrap();
        let r = write(dir.path(), &family, &written, layout).r;
        let tensors = load(&dir.path().join(WEIGHTS_FILE));
        let shape = |name: &str| tensors[&format!("base_model.model.model.{name}")].0.clone();
        let of_table = if layout == PeftLayout::Uniform { r } else { 3 };
        assert_eq!(shape("vision_model.embeddings.patch_embedding.lora_A.weight"), [4, 3, 2, 4]);
        assert_eq!(shape("vision_model.embeddings.patch_embedding.lora_B.weight"), [5, 4, 1, 1]);
        assert_eq!(shape("text_model.embed_tokens.lora_embedding_A"), [of_table, 11]);
        assert_eq!(shape("text_model.embed_tokens.lora_embedding_B"), [6, of_table]);
        let read = peft::read(dir.path(), &family.base()).unwrap();
        assert_same_products(&written, &read);
        assert_eq!(read.factors, written.factors, "{layout:?}");
    }
}

#[test]
fn a_new_adapter_replaces_the_old_one_whole() {
    let family = families::qwen2_5_vl();
    let dir = tempfile::tempdir().unwrap();
    let scale = ScaleConvention::default();
    let old = adapter(&family, &ranks(&family, &[("ve", 4)]), scale, false);
    let new = adapter(&family, &ranks(&family, &[("llm", 2)]), scale, true);
    write(dir.path(), &family, &old, PeftLayout::Pattern);
    std::fs::write(dir.path().join("mine.txt"), "kept").unwrap();
    write(dir.path(), &family, &new, PeftLayout::Pattern);
    assert_eq!(peft::read(dir.path(), &family.base()).unwrap().factors, new.factors);
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["README.md", CONFIG_FILE, WEIGHTS_FILE, "mine.txt"]);
}

#[test]
fn a_failed_write_leaves_no_mixture() {
    let family = families::qwen2_5_vl();
    let dir = tempfile::tempdir().unwrap();
    let scale = ScaleConvention::default();
    write(
        dir.path(),
        &family,
        &adapter(&family, &ranks(&family, &[("ve", 4)]), scale, false),
        PeftLayout::Pattern,
    );
    // A directory in the place of the model card stops the writing after the weights.
    std::fs::remove_file(dir.path().join("README.md")).unwrap();
    std::fs::create_dir_all(dir.path().join("README.md/in the way")).unwrap();
    let new = adapter(&family, &ranks(&family, &[("llm", 2)]), scale, false);
    let error =
        peft::write(dir.path(), &new, &family.base(), PeftLayout::Pattern, &peft::Provenance::default());
    assert!(matches!(error.unwrap_err(), Error::Io { path, .. } if path.ends_with("README.md")));
    assert!(!dir.path().join(CONFIG_FILE).exists(), "the old configuration stands beside new weights");
}

#[test]
fn adapters_of_another_model_are_not_written() {
    let (family, other) = (families::qwen2_5_vl(), families::idefics3());
    let dir = tempfile::tempdir().unwrap();
    let foreign = adapter(&other, &ranks(&other, &[("ve", 4)]), ScaleConvention::default(), false);
    let refused = |adapter: &Adapter| {
        let provenance = peft::Provenance::default();
        peft::write(dir.path(), adapter, &family.base(), PeftLayout::Pattern, &provenance)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&foreign).contains("model.vision_model.encoder.layers.0.self_attn.q_proj"));
    let mut broken = adapter(&family, &ranks(&family, &[("ve", 4)]), ScaleConvention::default(), false);
    broken.factors[1].b.pop();
    assert!(refused(&broken).contains("model.visual.blocks.0.attn.proj"));
    let empty =
        Adapter { factors: Vec::new(), config: AdapterConfig::new([("ve", 4)], 0), offset: Vec::new() };
    assert!(refused(&empty).contains("no factors"));
}
