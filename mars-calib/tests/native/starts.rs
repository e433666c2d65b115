//! Where runs begin: what EVA reads before the first step, when a run that waits is begun, and a store that cannot be read.

use crate::toy::{Batch, Points, Setting, StopAt, Toy, points, spec, toy};
use burn::tensor::Device;
use mars_calib::native::{NativeOptions, NativeTrainer};
use mars_calib::{
    Campaign, Checkpoint, CheckpointStore, Error, Init, MemoryCheckpoints, OnChange, RunEnd, RunId, RunSpec,
    Settings, Silent, Trainer, Variant, checkpoint::Files,
};
use mars_lora::Examples;
use std::io;
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
