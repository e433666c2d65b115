//! Where runs begin: what EVA reads before the first step, when a run that waits is begun and at which state, and a store that cannot be
//! read.

use crate::toy::{Batch, Points, Setting, StopAt, Toy, points, spec, timeless, toy};
use burn::tensor::Device;
use mars_calib::native::{NativeOptions, NativeTrainer};
use mars_calib::{
    Campaign, Checkpoint, CheckpointStore, DirectoryCheckpoints, Error, Flow, Init, MemoryCheckpoints,
    Observer, OnChange, Progress, RunEnd, RunId, RunSpec, Settings, Silent, Stage, Trainer, Variant,
    checkpoint::Files,
};
use mars_lora::Examples;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Examples whose inputs are others where there are several samples in a batch, as rows of padding are; counts the batches of
/// one sample.
struct Beside(Points, AtomicUsize);

impl Examples for Beside {
    type Batch = Batch;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn id(&self, index: usize) -> String {
        self.0.id(index)
    }

    fn batch(&self, rows: &[Vec<usize>], device: &Device) -> Result<Batch, mars_lora::Error> {
        let mut batch = self.0.batch(rows, device)?;
        if rows.iter().all(|own| own.len() == 1) {
            self.1.fetch_add(1, Ordering::Relaxed);
        } else {
            batch.x = batch.x + 5.0;
        }
        Ok(batch)
    }
}

fn eva(seed: u64) -> RunSpec {
    RunSpec { variant: Variant { init: Init::Eva, ..Variant::default() }, ..spec(4, 4, seed, 40) }
}

fn options() -> NativeOptions {
    NativeOptions { stack: 1, workers: 1, ..NativeOptions::default() }
}

#[test]
fn eva_reads_each_sample_without_what_is_beside_it_in_a_batch() {
    let setting = Setting::new();
    let (model, validation) = (toy(), points(2, 50));
    let (train, others) =
        (Beside(points(1, 100), AtomicUsize::new(0)), Beside(validation, AtomicUsize::new(0)));
    let own = NativeTrainer::new(&model, &train, &others, options()).fresh(&eva(3)).unwrap();
    let plain = setting.trainer(1, 1).fresh(&eva(3)).unwrap();
    assert_eq!(own.config.layer_ranks, plain.config.layer_ranks);
    for (own, plain) in own.factors.iter().zip(&plain.factors) {
        assert_eq!((&own.path, &own.a), (&plain.path, &plain.a));
    }
}

/// Its factors would be in memory from the beginning, beside those of all others that wait.
#[test]
fn a_run_that_waits_is_not_begun_before_its_turn() {
    let (model, train, validation) = (toy(), Beside(points(1, 100), AtomicUsize::new(0)), points(2, 50));
    let validation = Beside(validation, AtomicUsize::new(0));
    let read = || train.1.swap(0, Ordering::Relaxed);
    let mut trainer: NativeTrainer<'_, Toy, Beside> =
        NativeTrainer::new(&model, &train, &validation, options());
    trainer.fresh(&eva(0)).unwrap();
    let of_one = read();
    assert!(of_one > 0);
    // So long that the stop comes before the first ends.
    let runs = [0, 1, 2].map(|seed| RunSpec { steps: 4000, horizon: 4000, eval_every: 4000, ..eva(seed) });
    let records = trainer.train(&runs, &mut StopAt(1));
    assert!(records.iter().all(|record| record.end == RunEnd::Interrupted));
    assert_eq!(read(), of_one);
}

/// A store that cannot be read from some time on.
struct Unreadable {
    inner: MemoryCheckpoints,
    reads: AtomicUsize,
}

impl CheckpointStore for Unreadable {
    fn save(&mut self, lineage: &RunId, step: usize, files: &Files) -> Result<(), Error> {
        self.inner.save(lineage, step, files)
    }

    fn latest_at_or_below(&self, lineage: &RunId, step: usize) -> Result<Option<Checkpoint>, Error> {
        let left = self.reads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() {
            let source = io::Error::other("input/output error");
            return Err(Error::Io { action: "read", path: "checkpoints".into(), source });
        }
        self.inner.latest_at_or_below(lineage, step)
    }

    fn prune(&mut self, lineage: &RunId, keep: &[usize]) -> Result<(), Error> {
        self.inner.prune(lineage, keep)
    }
}

/// Whether the first look at a run finds it so, or the one with which it begins.
#[test]
fn a_store_that_cannot_be_read_is_no_property_of_a_run() {
    let setting = Setting::new();
    let specs = [spec(4, 4, 0, 40), spec(2, 5, 1, 40)];
    for reads in 0..4 {
        let store = Unreadable { inner: MemoryCheckpoints::default(), reads: AtomicUsize::new(reads) };
        let (model, train, validation) = (&setting.model, &setting.train, &setting.validation);
        let mut trainer = NativeTrainer::new(model, train, validation, options()).with_store(store);
        let directory = tempfile::tempdir().unwrap();
        let mut campaign = Campaign::open(directory.path(), Settings::default(), OnChange::Refuse).unwrap();
        let error = campaign.run(&mut trainer, &specs, &mut Silent).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{reads}: {error}");
        drop(campaign);
        let records = Campaign::read(directory.path()).unwrap().records;
        assert!(records.values().all(|record| record.end == RunEnd::Finished), "{reads}");
        assert_eq!(records.len(), usize::from(reads == 3), "{reads}");
    }
}

/// A lineage that has another latest state when a run of it begins than when it was looked for.
struct Moved {
    seen: Option<usize>,
    then: Option<Checkpoint>,
    reads: Arc<AtomicUsize>,
}

impl CheckpointStore for Moved {
    fn save(&mut self, _: &RunId, _: usize, _: &Files) -> Result<(), Error> {
        Ok(())
    }

    fn latest_at_or_below(&self, _: &RunId, _: usize) -> Result<Option<Checkpoint>, Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(self.then.clone())
    }

    fn latest_step(&self, _: &RunId, _: usize) -> Result<Option<usize>, Error> {
        Ok(self.seen)
    }

    fn prune(&mut self, _: &RunId, _: &[usize]) -> Result<(), Error> {
        Ok(())
    }
}

/// Keeps the first step that is trained.
#[derive(Default)]
struct FirstStep(Option<usize>);

impl Observer for FirstStep {
    fn progress(&mut self, event: &Progress) -> Flow {
        if event.stage == Stage::Train {
            self.0.get_or_insert(event.step);
        }
        Flow::Continue
    }
}

fn with_store(setting: &Setting, store: impl CheckpointStore + 'static) -> NativeTrainer<'_, Toy, Points> {
    NativeTrainer::new(&setting.model, &setting.train, &setting.validation, options()).with_store(store)
}

/// Another process may go on with its lineage meanwhile, and remove the state that was there.
#[test]
fn a_run_begins_at_the_state_that_is_there_at_its_turn_which_is_read_once() {
    let (setting, whole) = (Setting::new(), spec(4, 4, 0, 40));
    let train = |store: Moved, observer: &mut FirstStep| {
        with_store(&setting, store).train(std::slice::from_ref(&whole), observer).remove(0)
    };
    let state = |steps: usize| {
        let place = tempfile::tempdir().unwrap();
        let store = DirectoryCheckpoints::new(place.path());
        with_store(&setting, store.clone()).train(&[spec(4, 4, 0, steps)], &mut Silent);
        store.latest_at_or_below(&whole.lineage(), steps).unwrap()
    };
    let empty = Moved { seen: None, then: None, reads: Arc::default() };
    let straight = timeless(train(empty, &mut FirstStep::default()));
    let some = |step: usize| Some(step).filter(|step| *step > 0);
    for (seen, then) in [(20, 20), (20, 30), (20, 10), (20, 0), (0, 30)] {
        let (reads, mut first) = (Arc::new(AtomicUsize::new(0)), FirstStep::default());
        let store = Moved { seen: some(seen), then: some(then).and_then(&state), reads: reads.clone() };
        let record = train(store, &mut first);
        assert_eq!(first.0, Some(then + 1), "looked for at {seen}");
        assert_eq!(timeless(record), straight, "from {then}, looked for at {seen}");
        assert_eq!(reads.load(Ordering::Relaxed), 1, "from {then}, looked for at {seen}");
    }
}
