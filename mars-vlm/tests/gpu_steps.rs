//! Ten optimizer steps on a GPU: the losses of the CPU, and nothing comes back to the host but the losses, so that no operation falls
//! back to the processor.
//!
//! Buffers that the host reads are counted where wgpu logs them; other back ends are compared only. Left out where tests compute on the CPU.
#![cfg(feature = "model")]
#![allow(clippy::unwrap_used, clippy::print_stdout, dead_code)]

#[path = "model/kit.rs"]
mod kit;

use burn::tensor::{Device, Tensor};
use kit::{Samples, fixture, pass, stack};
use log::{LevelFilter, Log, Metadata, Record};
use mars_lora::{AdamWConfig, LearningRates, StackedAdamW, Targets};
use mars_testkit::device::device;
use mars_vlm::checkpoint::Precision;
use mars_vlm::model::AnyModel;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One checkpoint of every family, and what its base is kept in and whether it recomputes.
const CASES: [(&str, Precision, bool); 9] = [
    ("idefics3/gqa_split", Precision::F32, false),
    ("idefics3/gqa_split", Precision::F32, true),
    ("idefics3/gqa_split", Precision::Q8, false),
    ("llava/next_mistral", Precision::F32, false),
    ("llava_onevision/gqa_tied", Precision::F32, false),
    ("qwen2_vl/windows_tied", Precision::F32, false),
    ("qwen3_vl/tied_grouped", Precision::F32, false),
    ("internvl/qwen2_tied", Precision::F32, false),
    ("gemma3/grouped_local", Precision::F32, false),
];

/// Buffers that were mapped for the host to read.
static READS: AtomicUsize = AtomicUsize::new(0);

struct Reads;

impl Log for Reads {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string();
            if text.starts_with("Buffer::map_async") && text.contains("Read") {
                READS.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn flush(&self) {}
}

/// How many reads `work` makes.
fn reads(device: &Device, work: impl FnOnce()) -> usize {
    device.sync().unwrap();
    let before = READS.load(Ordering::SeqCst);
    work();
    device.sync().unwrap();
    READS.load(Ordering::SeqCst) - before
}

/// Losses of ten steps of two adapters, the first `[step][adapter]`, and the reads of each step.
fn train(
    (case, precision, recompute): (&str, Precision, bool),
    device: &Device,
) -> (Vec<Vec<f64>>, Vec<usize>) {
    let model = AnyModel::load(&fixture(case), precision, device).unwrap();
    let mut adapters = stack(&model, &["ve", "llm"], &Targets::default(), 0.1);
    let rates = vec![LearningRates::same(1e-3); adapters.len()];
    let mut optimizer = StackedAdamW::new(AdamWConfig::default(), &adapters, &rates).unwrap();
    let batch = Samples::read(&fixture(case)).batch_on(adapters.len(), device);
    let (mut losses, mut read) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        read.push(reads(device, || {
            let pass = pass(&model, &batch, &adapters, recompute);
            losses.push(pass.losses);
            optimizer.step(&mut adapters, pass.gradients, &[1.0, 1.0]);
        }));
    }
    (losses, read)
}

#[test]
fn ten_steps_have_the_losses_of_the_cpu_and_bring_back_nothing_else() {
    let device = device();
    if device == Device::flex() {
        println!("left out: the tests compute on the CPU");
        return;
    }
    log::set_logger(&Reads).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let one = || {
        let values: Vec<f32> = Tensor::<1>::ones([3], &device).into_data().iter::<f32>().collect();
        assert_eq!(values, [1.0; 3]);
    };
    // Waiting for the device may be a read of its own.
    let waiting = reads(&device, || {});
    let counts = reads(&device, one) > waiting;
    println!("reads are counted: {counts}");
    for case in CASES {
        let ((gpu, read), (cpu, _)) = (train(case, &device), train(case, &Device::flex()));
        for (step, (gpu, cpu)) in gpu.iter().zip(&cpu).enumerate() {
            for (gpu, cpu) in gpu.iter().zip(cpu) {
                assert!(
                    (gpu - cpu).abs() < 1e-3 * cpu.max(1.0),
                    "{case:?}, step {step}: {gpu}, {cpu} on the CPU"
                );
            }
        }
        assert!(cpu[9][0] < cpu[0][0], "{case:?}: nothing is learnt, {cpu:?}");
        // Tables that last are made in the first step.
        assert!(!counts || read[1..].iter().all(|read| *read == waiting + 1), "{case:?}: {read:?}");
    }
}
