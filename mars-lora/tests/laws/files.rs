//! PEFT directories: what is written is read back, and nothing is dropped silently.

use crate::toy::{Toy, toy};
use mars_lora::peft::{self, Base, CONFIG_FILE, PeftLayout, Provenance, WEIGHTS_FILE};
use mars_lora::{Adapter, AdapterConfig, Error, Model, ScaleConvention, SiteKind};
use std::path::Path;

fn adapter(model: &Toy, ve: usize, llm: usize, scale: ScaleConvention) -> Adapter {
    let config = AdapterConfig { scale, ..AdapterConfig::new([("ve", ve), ("llm", llm)], 3) };
    let mut adapter = Adapter::fresh(config, model).unwrap();
    for (i, f) in adapter.factors.iter_mut().enumerate() {
        f.b = crate::toy::numbers(i as u64, f.b.len(), 0.3);
    }
    adapter
}

fn write(dir: &Path, model: &Toy, adapter: &Adapter) -> peft::PeftConfig {
    let provenance = Provenance { base_model: "org/base".into(), summary: "A test.".into() };
    peft::write(dir, adapter, &Base::of(model), PeftLayout::Pattern, &provenance).unwrap()
}

#[test]
fn round_trip_keeps_ranks_scales_and_values() {
    let model = toy();
    for scale in [
        ScaleConvention::AlphaOverRank { alpha: 16.0 },
        ScaleConvention::AlphaOverSqrtRank { alpha: 4.0 },
        ScaleConvention::Constant { scale: 2.0 },
    ] {
        for (ve, llm) in [(4, 8), (8, 8), (4, 0), (0, 16)] {
            let dir = tempfile::tempdir().unwrap();
            let written = adapter(&model, ve, llm, scale);
            let config = write(dir.path(), &model, &written);
            let read = peft::read(dir.path(), &Base::of(&model)).unwrap();
            assert_eq!(read.factors, written.factors);
            let matcher = config.matcher().unwrap();
            for site in model.sites() {
                let rank = if site.module == "ve" { ve } else { llm };
                assert_eq!(matcher.adapts(&site.path, SiteKind::Linear).unwrap(), rank > 0);
                if rank > 0 {
                    assert_eq!(matcher.rank(&site.path).unwrap(), rank);
                    let expected = scale.scale(rank);
                    assert!((matcher.scale(&site.path).unwrap() - expected).abs() < 1e-12);
                    assert!((read.config.scale.scale(rank) - expected).abs() < 1e-12);
                }
            }
        }
    }
}

#[test]
fn missing_and_left_over_tensors_are_listed() {
    let model = toy();
    let scale = ScaleConvention::default();
    let (both, one) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(both.path(), &model, &adapter(&model, 4, 4, scale));
    write(one.path(), &model, &adapter(&model, 4, 0, scale));
    let read = |dir: &Path| peft::read(dir, &Base::of(&model));

    let swap = |from: &Path, to: &Path, name: &str| std::fs::copy(from.join(name), to.join(name)).unwrap();
    let config = std::fs::read(one.path().join(CONFIG_FILE)).unwrap();
    swap(both.path(), one.path(), CONFIG_FILE);
    let Err(Error::Partial(partial)) = read(one.path()) else { panic!("a missing tensor went unnoticed") };
    assert!(partial.missing.iter().all(|name| name.contains("model.text.q_proj")), "{partial}");

    std::fs::write(both.path().join(CONFIG_FILE), config).unwrap();
    let Err(Error::Partial(partial)) = read(both.path()) else { panic!("a left-over tensor went unnoticed") };
    assert!(partial.unexpected.iter().all(|name| name.contains("model.text.q_proj")), "{partial}");
}

#[test]
fn broken_files_are_errors_with_the_path() {
    let model = toy();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &model, &adapter(&model, 4, 8, ScaleConvention::default()));
    let weights = dir.path().join(WEIGHTS_FILE);
    let whole = std::fs::read(&weights).unwrap();
    for length in [0, 7, 100, whole.len() - 1] {
        std::fs::write(&weights, &whole[..length]).unwrap();
        let error = peft::read(dir.path(), &Base::of(&model)).unwrap_err();
        assert!(matches!(&error, Error::BadFile { path, .. } if *path == weights), "{error}");
    }
    std::fs::remove_file(&weights).unwrap();
    let error = peft::read(dir.path(), &Base::of(&model)).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    std::fs::write(dir.path().join(CONFIG_FILE), "{\"peft_type\": \"IA3\"}").unwrap();
    let error = peft::read(dir.path(), &Base::of(&model)).unwrap_err();
    assert!(matches!(error, Error::BadFile { .. }), "{error}");
}
