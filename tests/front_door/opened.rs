//! Settings of a search that its task was opened with, or was not.

use crate::kit::{open, tiled};
use mars::{
    ErrorKind, Search, SearchConfig, Task, device,
    mars_kernels::Compute,
    mars_vlm::{
        checkpoint::Precision,
        data::{Dataset, ImageStore},
        model::{AnyModel, EncodedExamples},
        processor::Processor,
    },
    search::observations,
};
use std::sync::Arc;

/// `config` without what a task is opened with.
fn bare(config: &SearchConfig) -> SearchConfig {
    let SearchConfig { model, data, .. } = SearchConfig::default();
    SearchConfig { model, data, ..config.clone() }
}

/// A message, and what of a configuration it is about.
type Change = (&'static str, fn(&mut SearchConfig));

#[test]
fn settings_that_a_task_was_not_opened_with_are_refused_by_name() {
    let (place, config) = tiled();
    let (task, out) = (open(&config), place.path().join("out"));
    let changes: [Change; 8] = [
        ("model.adapter is \"other\"", |config| config.model.adapter = Some("other".into())),
        ("model.dtype is \"bf16\"", |config| config.model.dtype = Precision::Bf16),
        ("data.train is \"other\"", |config| config.data.train = Some("other".into())),
        ("data.max_tokens is 99", |config| config.data.max_tokens = Some(99)),
        ("run.device is \"wgpu\"", |config| config.run.device = "wgpu".into()),
        ("run.compute is \"bf16\"", |config| config.run.compute = Some(Compute::Bf16)),
        ("search.policy: ", |config| config.search.policy = "fixed:2x999".parse().unwrap()),
        ("lora.targets is `nothing`", |config| config.lora.targets = Some("nothing".into())),
    ];
    for (name, change) in changes {
        for mut asked in [config.clone(), bare(&config)] {
            change(&mut asked);
            let error = Search::new(asked).run(&task, &out).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{name}: {error}");
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
    }
    assert!(!out.exists());
}

#[test]
fn a_search_that_says_nothing_of_them_has_those_of_the_task() {
    let (place, mut config) = tiled();
    config.data.max_tokens = Some(250);
    let task = open(&config);
    for (name, asked) in [("same", config.clone()), ("bare", bare(&config))] {
        let out = place.path().join(name);
        Search::new(asked).run(&task, &out).unwrap();
        let (_, written) = observations(&out).unwrap();
        assert_eq!((&written.model, &written.data), (&config.model, &config.data), "{name}");
    }
}

/// A campaign may be gone on with on a machine with less memory.
#[test]
fn what_fits_on_a_machine_is_no_setting_of_its_campaign() {
    let (place, config) = tiled();
    let task = open(&config);
    for (name, asked) in [("chosen", (None, None)), ("set", (Some(3), Some(2)))] {
        let mut config = config.clone();
        (config.run.stack, config.run.workers) = asked;
        let out = place.path().join(name);
        Search::new(config).run(&task, &out).unwrap();
        let (_, written) = observations(&out).unwrap();
        assert_eq!((written.run.stack, written.run.workers), asked, "{name}");
    }
}

#[test]
fn a_task_of_ones_own_takes_no_settings_of_model_and_data() {
    let (place, config) = tiled();
    let (model, data) = (config.model.dir.clone().unwrap(), config.data.train.clone().unwrap());
    let processor = Arc::new(Processor::from_dir(&model).unwrap());
    let examples = || {
        let store = Arc::new(ImageStore::for_data(&data, None).unwrap());
        EncodedExamples::new(processor.clone(), store, Dataset::read(&data).unwrap().samples).unwrap()
    };
    let device = device::open("cpu", Precision::F32).unwrap();
    let model = AnyModel::load(&model, Precision::F32, &device).unwrap();
    let task = Task::new(model, examples(), examples(), examples());
    let out = place.path().join("out");
    let error = Search::new(config.clone()).run(&task, &out).unwrap_err();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("data.test is "), "{error}");
    Search::new(bare(&config)).run(&task, &out).unwrap();
}
