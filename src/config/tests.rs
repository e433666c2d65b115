//! Layers of settings: which overrides which, and what is refused.
#![allow(clippy::unwrap_used)]

use super::{Layers, SearchConfig};
use crate::Error;

fn error(put: impl FnOnce(&mut Layers) -> Result<(), Error>) -> String {
    put(&mut Layers::new()).unwrap_err().messages().join(": ")
}

#[test]
fn the_defaults_and_the_embedded_preset_are_configurations() {
    let mut layers = Layers::new();
    assert_eq!(layers.config().unwrap().train.batch, 16);
    layers.option("data.train", "train.json", "--data").unwrap();
    let config = layers.config().unwrap();
    assert_eq!((config.train.batch, config.search.policy.to_string().as_str()), (8, "guided"));
    let mut plain = config;
    plain.data.train = None;
    assert_eq!(plain, SearchConfig::default());
}

#[test]
fn later_layers_override_earlier_ones() {
    let mut layers = Layers::new();
    layers.text("[train]\nbatch = 1\nsteps = 11\nseed = 1\nlearning_rate = 1", "file").unwrap();
    layers
        .environment([("MARS_TRAIN_BATCH".into(), "2".into()), ("MARS_TRAIN_STEPS".into(), "22".into())])
        .unwrap();
    layers.assignment("train.batch=3").unwrap();
    layers.assignment("search.policy=fixed:8x8").unwrap();
    layers.assignment("train.learning_rates.ve=1e-3").unwrap();
    layers.option("train.seed", 9, "--seed").unwrap();
    let config = layers.config().unwrap();
    let train = &config.train;
    assert_eq!((train.batch, train.steps, train.seed, train.learning_rate), (3, Some(22), 9, 1.0));
    assert_eq!(config.search.policy.to_string(), "fixed:8x8");
    assert_eq!(config.learning_rates()["ve"], 1e-3);
    assert_eq!(config.learning_rates()["llm"], 1.0);
}

#[test]
fn old_keys_are_read() {
    let mut layers = Layers::new();
    layers.assignment("search.fine_tunes=1.6").unwrap();
    assert_eq!(layers.config().unwrap().search.budget, 1.6);
    layers.text("[search]\nfine_tunes = 2", "old.toml").unwrap();
    assert_eq!(layers.config().unwrap().search.budget, 2.0);
    layers.environment([("MARS_SEARCH_FINE_TUNES".into(), "3".into())]).unwrap();
    assert_eq!(layers.config().unwrap().search.budget, 3.0);
    assert_eq!(layers.warnings(), &[] as &[String]);
}

#[test]
fn unknown_keys_and_wrong_types_are_refused_by_name() {
    assert!(error(|l| l.assignment("train.bacth=3")).contains("did you mean `train.batch`"));
    assert!(
        error(|l| l.text("[trian]\nbatch = 3", "my.toml")).contains("my.toml: unknown setting `trian.batch`")
    );
    assert!(error(|l| l.assignment("train.batch=many")).contains("must be a whole number"));
    assert!(error(|l| l.assignment("train=3")).contains("unknown setting `train`"));
    assert!(error(|l| l.assignment("calibration.ranks=[4,\"x\"]")).contains("list of whole numbers"));
    assert!(error(|l| l.assignment("train.learning_rate=nan")).contains("finite"));
    assert!(error(|l| l.assignment("train.batch")).contains("section.key=value"));
    assert!(error(|l| l.text("a = [", "my.toml")).contains("my.toml"));
    let variable = ("MARS_TRAIN_BATCH".to_owned(), "x".to_owned());
    assert!(error(|l| l.environment([variable])).contains("MARS_TRAIN_BATCH"));
}

#[test]
fn foreign_variables_are_only_warned_about() {
    let mut layers = Layers::new();
    layers.environment([("MARS_HOME".into(), "/x".into()), ("PATH".into(), "/bin".into())]).unwrap();
    assert_eq!(layers.warnings().len(), 1);
    for (name, key) in [
        ("MARS_TRAIN_BATCH", Some("train.batch")),
        ("MARS_TRAIN_LEARNING_RATE", Some("train.learning_rate")),
        ("MARS_SEARCH_FINE_TUNES", Some("search.fine_tunes")),
        ("MARS_HOME", None),
        ("MARS_", None),
        ("TRAIN_BATCH", None),
    ] {
        assert_eq!(layers.setting_of(name).as_deref(), key, "{name}");
    }
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    for (assignment, part) in [
        ("train.batch=-1", "batch"),
        ("train.batch=0", "train.batch"),
        ("train.learning_rate=0", "train.learning_rate"),
        ("lora.modules=[]", "lora.modules"),
        ("data.val_fraction=0.7", "data"),
        ("search.policy=best", "best"),
        ("search.ranks=[0]", "search.ranks"),
        ("search.reference=audio", "search.reference"),
        ("lora.scale.kind=sometimes", "sometimes"),
        ("calibration.rule=never", "never"),
        ("train.optim.beta1=1", "beta1"),
        ("data.too_long=sometimes", "sometimes"),
        ("trainer.kind=command", "trainer.command"),
        ("trainer.command=train.sh", "trainer.kind"),
        ("trainer.parameters_per_rank.audio=3", "audio"),
        ("lora.targets=(", "unclosed group"),
    ] {
        let mut layers = Layers::new();
        layers.assignment(assignment).unwrap();
        if assignment.contains("val_fraction") {
            layers.assignment("data.test_fraction=0.5").unwrap();
        }
        let message = layers.config().unwrap_err().messages().join(": ");
        assert!(message.contains(part) && !message.contains('\n'), "{assignment}: {message}");
    }
}

/// A command would train plain LoRA on layers of its own.
#[test]
fn what_a_command_is_not_told_is_refused_by_name() {
    let config = |assignments: &[&str]| {
        let mut layers = Layers::new();
        let command = ["trainer.kind=command", "trainer.command=train {r.ve} {r.llm} {out}"];
        for assignment in command.iter().chain(assignments) {
            layers.assignment(assignment).unwrap();
        }
        layers.config().map_err(|error| error.messages().join(": "))
    };
    for (assignment, setting) in [
        ("lora.targets=q_proj", "lora.targets"),
        ("lora.dropout=0.1", "lora.dropout"),
        ("lora.dora=true", "lora.dora"),
        ("lora.init=eva", "lora.init"),
        ("lora.b_ratio=16", "lora.b_ratio"),
        ("search.policy=eva", "search.policy is eva"),
        ("search.policy=adalora", "search.policy is adalora"),
        ("search.policy=geolora", "search.policy is geolora"),
        ("search.policy=hydra-style", "search.policy is hydra-style"),
        ("search.policy=diff-lr", "search.policy is diff-lr"),
        ("search.policy=diff-lr:2", "{lr.ve}"),
    ] {
        let message = config(&[assignment]).unwrap_err();
        assert!(message.contains(setting) && message.contains("trainer."), "{assignment}: {message}");
    }
    for fine in ["lora.dropout=0", "lora.scale.alpha=32", "train.optim.weight_decay=0.1"] {
        config(&[fine]).unwrap();
    }
    let rates = |text: &str| config(&["search.policy=diff-lr", text]);
    assert!(rates("trainer.command=train {r.ve} {r.llm} {lr.ve} {out}").unwrap_err().contains("{lr.llm}"));
    rates("trainer.command=train {r.ve} {r.llm} {lr.ve} {lr.llm} {out}").unwrap();
    config(&["search.policy=diff-lr", "trainer.environment.A={lr.ve}", "trainer.environment.B={lr.llm}"])
        .unwrap();
}

/// What is refused of a command has the name of its setting, and where that was set.
#[test]
fn a_command_is_refused_under_the_names_of_the_settings() {
    for (assignment, key, why) in [
        ("trainer.timeout=-1", "trainer.timeout", " is -1, but it must be > 0 seconds"),
        ("trainer.command=train 'a", "trainer.command", ": the quote ' is never closed"),
        ("trainer.environment.A={a}", "trainer.environment.A", " is {a}, but `{a}` is no placeholder"),
        ("trainer.curve=curve.csv", "trainer.curve", " is curve.csv, but it must hold {out} or {id}"),
    ] {
        let mut layers = Layers::new();
        layers.option("trainer.kind", "command", "--trainer").unwrap();
        layers.option("trainer.command", "train {r.ve} {r.llm} {out}", "--trainer").unwrap();
        layers.assignment(assignment).unwrap();
        let error = layers.config().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{key}{why}")), "{error}");
        assert!(error.contains(&format!("{key} is from --set {assignment}")), "{error}");
    }
}

/// It may be what the trainer has of its own, so that it is said and not refused.
#[test]
fn what_is_set_of_the_training_and_not_told_is_warned_of() {
    let cautions = |command: &str, assignments: &[&str]| {
        let mut layers = Layers::new();
        layers.option("trainer.kind", "command", "--trainer").unwrap();
        let command = format!("train {{r.ve}} {{r.llm}} {{steps}} {{out}} {command}");
        layers.option("trainer.command", command, "--trainer").unwrap();
        assignments.iter().for_each(|assignment| layers.assignment(assignment).unwrap());
        layers.config().unwrap().cautions(1000)
    };
    let rates = "{lr.ve} {lr.llm} {alpha.ve} {alpha.llm} {warmup} {decay_fraction} {batch} {seed}";
    for (assignment, key, is_told) in [
        ("train.learning_rate=1e-3", "train.learning_rate is set", true),
        ("train.learning_rates.ve=1e-3", "train.learning_rates.ve is set", true),
        ("lora.scale.scale=4", "lora.scale is set", true),
        ("train.optim.warmup=3", "train.optim.warmup is set", true),
        ("train.optim.decay_fraction=0", "train.optim.decay_fraction is set", true),
        ("train.batch=5", "train.batch is set", true),
        ("train.seed=5", "train.seed is set", true),
        ("train.optim.weight_decay=0.1", "train.optim.weight_decay is set", false),
        ("run.device=cuda:0", "run.device is set", false),
        ("run.compute=bf16", "run.compute is set", false),
        ("run.gradient_checkpointing=true", "run.gradient_checkpointing is set", false),
        ("out.adapter_layout=uniform", "out.adapter_layout is set", false),
        ("run.validation_samples=64", "run.validation_samples is set", false),
        ("model.dir=model", "model.dir is set", false),
        ("data.val=v.json", "data.val is set", false),
        ("data.test=t.json", "data.test is set", false),
        ("data.images=images", "data.images is set", false),
    ] {
        let all = cautions("", &[assignment]);
        assert!(all.len() == 1 && all[0].starts_with(key), "{assignment}: {all:?}");
        assert_eq!(cautions(rates, &[assignment]).is_empty(), is_told, "{assignment}");
    }
    let usual = &["lora.scale.alpha=32", "train.eval_every=10"][..];
    // Training data are counted where their number is not set.
    for plain in [&["train.steps=100"][..], usual, &["data.train=d.json"]] {
        assert_eq!(cautions("", plain), [] as [String; 0]);
    }
    assert!(cautions("", &["data.train=d.json", "trainer.samples=9"])[0].starts_with("data.train is set"));
}

/// A trainer that gets rank 0 for a name that nothing has would train something else, for as long as the search takes.
#[test]
fn a_command_names_modules_that_there_are() {
    let config = |assignments: &[&str]| {
        let mut layers = Layers::new();
        for assignment in [&["trainer.kind=command"][..], assignments].concat() {
            layers.assignment(assignment).unwrap();
        }
        layers.config().map_err(|error| error.messages().join(": "))
    };
    let command = "trainer.command=train {r.ve} {r.llm} {out}";
    for (more, key, text) in [
        (&["trainer.command=train {r.ve} {r.lm} {out}"][..], "trainer.command", "{r.lm}"),
        (&["trainer.command=train {r.ve} {r.llm} {alpha.Llm}"], "trainer.command", "{alpha.Llm}"),
        (&["trainer.command=train {r.ve} {r.llm} {lr.vision}"], "trainer.command", "{lr.vision}"),
        (&[command, "trainer.environment.RANK={r.audio}"], "trainer.environment.RANK", "{r.audio}"),
        (&[command, "trainer.curve={out}/{r.ve }.csv"], "trainer.curve", "{r.ve }"),
    ] {
        let message = config(more).unwrap_err();
        for part in [key, text, "ve, llm, projector"] {
            assert!(message.contains(part), "{more:?}: {message}");
        }
    }
    for more in [
        &[command][..],
        &["trainer.command=train {r.ve} {r.llm} {r.projector} {out}"],
        &[
            "trainer.command=train {r.audio} {r.llm}",
            "lora.modules=[\"audio\",\"llm\"]",
            "search.reference=llm",
        ],
    ] {
        config(more).unwrap();
    }
}

#[test]
fn a_command_is_told_the_rank_of_every_adapted_module_and_its_directory() {
    let told = |assignments: &[&str], adapted: &[&str]| {
        let mut layers = Layers::new();
        for assignment in [&["trainer.kind=command"][..], assignments].concat() {
            layers.assignment(assignment).unwrap();
        }
        let trainer = layers.config().unwrap().trainer;
        trainer.check_told(adapted.iter().copied()).map_err(|error| error.messages().join(": "))
    };
    let both = ["ve", "llm"];
    for (more, part) in [
        (&["trainer.command=train {r.ve} {out}"][..], "rank of `llm`"),
        (&["trainer.command=train {alpha.ve} {r.llm} {out}"], "rank of `ve`"),
        (&["trainer.command=train {r.ve} {out}", "trainer.curve={out}/{r.llm}.csv"], "rank of `llm`"),
        (&["trainer.command=train {r.ve} {r.llm}"], "{out}"),
    ] {
        let message = told(more, &both).unwrap_err();
        assert!(message.contains(part) && message.contains("trainer.command"), "{more:?}: {message}");
    }
    for more in [
        &["trainer.command=train {r.ve} {r.llm} {out}"][..],
        &["trainer.command=train {r.ve} {r.llm} {id}"],
        &[
            "trainer.command=train {r.ve}",
            "trainer.environment.RANK={r.llm}",
            "trainer.environment.OUT={out}",
        ],
        &["trainer.command=train {r.ve} {r.llm}", "trainer.curve={out}/stdout.log"],
    ] {
        told(more, &both).unwrap();
    }
    told(&["trainer.command=train {r.llm} {out}"], &["llm"]).unwrap();
}
