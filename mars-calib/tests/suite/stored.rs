//! What earlier versions wrote stays readable, and a run keeps the name that it had.

use crate::spec;
use mars_calib::{
    Campaign, FakeTrainer, Init, MethodSpec, Observer, OnChange, OptimSpec, RunEnd, RunId, RunRecord,
    RunSpec, ScaleConvention, Settings, Silent, Trainer, Variant, fake::Fault,
};
use mars_laws::Ranks;
use mars_lora::methods::{AdaLoraConfig, HydraConfig};
use std::{collections::BTreeMap, fs, path::Path};

/// One line for each spec: name, id, lineage, convention, and the spec as JSON, separated by tabs.
const SPECS: &str = include_str!("../fixtures/specs.tsv");

/// The specs of the fixture, built anew.
fn specs() -> Vec<(&'static str, RunSpec)> {
    let base = RunSpec { fingerprint: "00ff00ff00ff00ff".into(), ..spec(8, 16, 50) };
    let scale = |scale| RunSpec { scale, ..base.clone() };
    let variant = |variant| RunSpec { variant, ..base.clone() };
    let method = |method| RunSpec { method: Some(method), ..base.clone() };
    let plain = Variant::default();
    let mut adalora = MethodSpec::adalora(50);
    if let MethodSpec::AdaLora(AdaLoraConfig { alpha, paper_form, .. }) = &mut adalora {
        (*alpha, *paper_form) = (Some(32.0), true);
    }
    let mut hydra = MethodSpec::hydra_style(50);
    if let MethodSpec::HydraStyle(HydraConfig { candidates, spread, .. }) = &mut hydra {
        (*candidates, *spread) = (7, 0.25);
    }
    let optim = OptimSpec { warmup: 3, weight_decay: 0.01, clip_norm: None, ..base.optim };
    vec![
        ("plain", base.clone()),
        ("alone", RunSpec { fingerprint: String::new(), ..spec(0, 4, 30) }),
        ("alpha over rank", scale(ScaleConvention::AlphaOverRank { alpha: 16.0 })),
        ("alpha over root of rank", scale(ScaleConvention::AlphaOverSqrtRank { alpha: 2.5 })),
        ("constant", scale(ScaleConvention::Constant { scale: 0.5 })),
        ("dropout", variant(Variant { dropout: 0.05, ..plain })),
        ("dora", variant(Variant { dora: true, ..plain })),
        ("gaussian", variant(Variant { init: Init::Gaussian, ..plain })),
        ("pissa", variant(Variant { init: Init::Pissa, ..plain })),
        ("eva", variant(Variant { init: Init::Eva, b_ratio: 4.0, ..plain })),
        ("lora+", variant(Variant { b_ratio: 16.0, ..plain })),
        ("adalora", method(MethodSpec::adalora(50))),
        ("adalora with alpha", method(adalora)),
        ("geolora", method(MethodSpec::geolora(50))),
        ("hydra-style", method(MethodSpec::hydra_style(50))),
        ("hydra-style with settings", method(hydra)),
        ("evaluated late", RunSpec { evaluate_from: 21, ..base.clone() }),
        ("until settled", RunSpec { stop_when_converged: true, ..base.clone() }),
        ("other optimizer", RunSpec { optim, ..base.clone() }),
        ("continued", RunSpec { continues: Some(base.id()), steps: 70, ..base.clone() }),
        (
            "three modules",
            RunSpec {
                ranks: Ranks::new().with("ve", 3).with("projector", 5).with("llm", 7),
                learning_rates: BTreeMap::from([
                    ("ve".into(), 1e-4),
                    ("projector".into(), 2e-3),
                    ("llm".into(), 0.5),
                ]),
                ..base.clone()
            },
        ),
    ]
}

fn line(name: &str, spec: &RunSpec) -> String {
    let json = serde_json::to_string(spec).unwrap();
    format!("{name}\t{}\t{}\t{}\t{json}", spec.id(), spec.lineage(), spec.convention())
}

#[test]
fn specs_keep_their_names_and_their_form() {
    let lines: Vec<String> = specs().iter().map(|(name, spec)| line(name, spec)).collect();
    assert_eq!(lines, SPECS.lines().collect::<Vec<_>>());
    for stored in SPECS.lines() {
        let (name, json) = (stored.split('\t').next().unwrap(), stored.rsplit('\t').next().unwrap());
        let back: RunSpec = serde_json::from_str(json).unwrap();
        assert_eq!(line(name, &back), stored);
    }
}

fn fixture() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/campaign")
}

/// The runs of the fixture; the second diverges.
fn runs() -> Vec<RunSpec> {
    let short = |spec: RunSpec| RunSpec { steps: 12, horizon: 30, eval_every: 4, ..spec };
    let names = ["plain", "alone", "eva", "adalora", "hydra-style", "evaluated late", "until settled"];
    specs().into_iter().filter(|(name, _)| names.contains(name)).map(|(_, spec)| short(spec)).collect()
}

fn settings() -> Settings {
    let config = "[lora]\nscale = { kind = \"constant\", scale = 2.0 }\n[optim]\nwarmup = 10\n";
    let plan = "[search]\nfine_tunes = 1.39\n";
    Settings {
        config: config.parse().unwrap(),
        plan: plan.parse().unwrap(),
        fingerprints: BTreeMap::from([
            ("model".into(), "0123456789abcdef".into()),
            ("train".into(), "fedcba9876543210".into()),
        ]),
        compared: BTreeMap::new(),
    }
}

/// Trains the runs of the fixture into `directory`.
fn campaign(directory: &Path) -> Campaign {
    let mut campaign = Campaign::open(directory, settings(), OnChange::Refuse).unwrap();
    let mut trainer = FakeTrainer::default();
    trainer.faults.insert(Ranks::new().with("llm", 4), Fault::Diverge(9));
    campaign.run(&mut trainer, &runs(), &mut Silent).unwrap();
    campaign
}

/// All files below `directory` by their paths.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() {
            all.extend(files(&entry).into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else if name != "mars.lock" {
            all.insert(name, fs::read(&entry).unwrap());
        }
    }
    all
}

#[test]
fn a_campaign_of_an_earlier_version_opens_and_holds_the_same_records() {
    let snapshot = Campaign::read(&fixture()).unwrap();
    assert_eq!((snapshot.settings.clone(), snapshot.warnings.len()), (settings(), 0));
    assert_eq!(snapshot.records.len(), runs().len());
    let directory = tempfile::tempdir().unwrap();
    let again = campaign(directory.path());
    // A diverged run holds a NaN, which equals nothing.
    let text = |records: &BTreeMap<RunId, _>| serde_json::to_string(records).unwrap();
    assert_eq!(text(&snapshot.records), text(again.records()));
    assert!(snapshot.records.values().any(|record| matches!(record.end, RunEnd::Diverged { step: 9 })));
    // Nothing but the version of results and the checksum of settings has come to the files since.
    let without = |(path, bytes): (String, Vec<u8>)| {
        let added = |line: &&str| {
            (path.ends_with("result.json") && *line == "  \"version\": 1,\n")
                || (path == "campaign.toml" && line.starts_with("checksum = "))
        };
        let text = String::from_utf8(bytes).unwrap();
        let kept: String = text.split_inclusive('\n').filter(|line| !added(line)).collect();
        (path, kept.into_bytes())
    };
    let written: BTreeMap<_, _> = files(directory.path()).into_iter().map(without).collect();
    assert!(written == files(&fixture()), "files of a campaign are written otherwise than before");
}

#[test]
fn nothing_of_an_earlier_version_is_done_again() {
    struct Never;
    impl Trainer for Never {
        fn train(&mut self, runs: &[RunSpec], _: &mut dyn Observer) -> Vec<RunRecord> {
            unreachable!("{} runs are done already", runs.len())
        }
    }
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files(&fixture()) {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let mut campaign = Campaign::open(directory.path(), settings(), OnChange::Refuse).unwrap();
    let records = campaign.run(&mut Never, &runs(), &mut Silent).unwrap();
    assert!(records.iter().all(|record| record.end.is_final()));
    assert_eq!(files(&fixture()), files(directory.path()));
}

#[test]
fn a_campaign_of_a_newer_version_or_of_none_is_refused_and_left_as_it_is() {
    for (version, part) in [
        ("version = \"0.2.0\"", "newer version of mars (0.2.0)"),
        ("version = \"99.0\"", "newer version of mars (99.0)"),
        ("version = 7", "not that of a campaign"),
        ("version = \"new\"", "not that of a campaign"),
        ("", "not that of a campaign"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("campaign.toml");
        let text = format!("[campaign]\n{version}\n[fingerprints]\n[config]\n");
        std::fs::write(&path, &text).unwrap();
        let opened = mars_calib::Campaign::open(
            directory.path(),
            mars_calib::Settings::default(),
            mars_calib::OnChange::Accept,
        );
        let message = opened.map(drop).unwrap_err().to_string();
        assert!(message.contains("campaign.toml") && message.contains(part), "{message}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
