//! Seconds and peak memory of one LoRA training step on the embedded model, or on another.
//!
//! `cargo bench --bench training_step -- [--stack K] [--batch B] [--rank R] [--steps N] [--warm N] [--parts P]
//! [--model DIR --data DIR] [--gradient-checkpointing] [--dtype bf16] [--compute bf16]` prints one line of JSON. A data
//! directory holds `train.json`, `val.json` and the images. `benches/training_step.py` runs it beside PyTorch and prints
//! a table.
#![allow(clippy::print_stdout)]

use burn::tensor::Device;
use mars_calib::native::{NativeOptions, NativeTrainer};
use mars_calib::{Flow, Observer, OptimSpec, Progress, RunEnd, RunSpec, ScaleConvention, Stage, Trainer};
use mars_kernels::{Compute, Kernel};
use mars_laws::Ranks;
use mars_vlm::checkpoint::{Precision, Storage};
use mars_vlm::data::{Dataset, ImageStore};
use mars_vlm::model::{AnyModel, EncodedExamples};
use mars_vlm::processor::Processor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// As in the program `mars`, which also has MIMALLOC_PURGE_DELAY=-1.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Notes when each training step ended, and what the process had computed by then.
#[derive(Default)]
struct Clock(Vec<(Instant, f64)>);

impl Observer for Clock {
    fn progress(&mut self, event: &Progress) -> Flow {
        if event.stage == Stage::Train {
            self.0.push((Instant::now(), cpu_seconds()));
        }
        Flow::Continue
    }
}

fn argument(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|a| a != name);
    arguments.nth(1).and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn text(name: &str) -> Option<String> {
    std::env::args().skip_while(|a| a != name).nth(1)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (stack, batch) = (argument("--stack", 1), argument("--batch", 16));
    let (rank, steps, warm) = (argument("--rank", 8), argument("--steps", 60), argument("--warm", 10));
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let given = |name: &str| text(name).map(PathBuf::from);
    let directory = given("--model").unwrap_or_else(|| assets.join("model"));
    let data = given("--data");
    let images = data.clone().unwrap_or_else(|| assets.join("digits/images.zip"));
    let data = data.unwrap_or_else(|| assets.join("digits"));
    let precision = match text("--dtype").as_deref() {
        Some("bf16") => Precision::Bf16,
        Some("f16") => Precision::F16,
        _ => Precision::F32,
    };
    let device = Device::flex();
    let compute: Compute = text("--compute").map_or(Ok(Compute::F32), |name| name.parse())?;
    let packed =
        (compute != Compute::F32).then(|| Kernel::of(compute).map(|kernel| (compute, kernel))).transpose()?;
    let model = AnyModel::load(&directory, Storage { precision, packed }, &device)?;
    let processor = Arc::new(Processor::from_dir(&directory)?);
    let store = Arc::new(ImageStore::open(&images)?);
    let examples = |name: &str| -> Result<EncodedExamples, Box<dyn std::error::Error>> {
        let samples = Dataset::read(&data.join(name))?.samples;
        Ok(EncodedExamples::new(processor.clone(), store.clone(), samples)?)
    };
    let (train, validation) = (examples("train.json")?, examples("val.json")?);
    let options = NativeOptions {
        stack,
        parts: argument("--parts", 1),
        validation_samples: 1,
        gradient_checkpointing: std::env::args().any(|a| a == "--gradient-checkpointing"),
        ..NativeOptions::default()
    };
    let mut trainer = NativeTrainer::new(&model, &train, &validation, options);
    let run = |seed: u64| RunSpec {
        ranks: Ranks::new().with("ve", rank).with("llm", rank),
        samples: train.samples().len(),
        seed,
        batch,
        steps,
        horizon: steps,
        eval_every: steps,
        evaluate_from: 0,
        stop_when_converged: false,
        stop_when_overfit: false,
        validation: None,
        learning_rates: [("ve".to_string(), 1e-3), ("llm".to_string(), 1e-3)].into(),
        scale: ScaleConvention::Constant { scale: 2.0 },
        optim: OptimSpec::default(),
        fingerprint: String::new(),
        method: None,
        variant: mars_calib::Variant::default(),
        continues: None,
    };
    let runs: Vec<RunSpec> = (0..stack as u64).map(run).collect();
    let mut clock = Clock::default();
    let records = trainer.train(&runs, &mut clock);
    if let Some(bad) = records.iter().find(|r| r.end != RunEnd::Finished) {
        return Err(format!("a run ended: {}", bad.end).into());
    }
    // One event for each run and step; the first steps warm up.
    let ends: Vec<(Instant, f64)> = clock.0.iter().step_by(stack).copied().collect();
    let mut seconds: Vec<f64> = ends.windows(2).skip(warm).map(|w| (w[1].0 - w[0].0).as_secs_f64()).collect();
    let counted = ends.get(warm..).and_then(|ends| Some((ends.first()?, ends.last()?, ends.len() - 1)));
    let cpu = counted.map_or(f64::NAN, |(first, last, steps)| (last.1 - first.1) / steps as f64);
    let tokens = train.tokens(0);
    let (first, last) = (records[0].train[0].loss, records[0].train[steps - 1].loss);
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN);
    let flops = records[0].flops / steps as f64;
    println!(
        "{{\"stack\":{stack},\"batch\":{batch},\"rank\":{rank},\"tokens\":{tokens},\"step_s\":{median:.6},\"cpu_s\":{cpu:.4},\
         \"flops\":{flops:.0},\"first\":{first:.5},\"last\":{last:.5},\"peak_mb\":{:.1}}}",
        peak_mb()
    );
    Ok(())
}

/// Seconds that the threads of this process have computed (Linux; 0 elsewhere).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.split_whitespace().skip(13).take(2).filter_map(|v| v.parse().ok()).collect();
    fields.iter().sum::<f64>() / 100.0
}

/// Peak resident memory of this process, MB (Linux; 0 elsewhere).
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
