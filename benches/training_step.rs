//! Seconds and peak memory of one LoRA training step on the embedded model.
//!
//! `cargo bench --bench training_step -- [--stack K] [--batch B] [--rank R] [--steps N]` prints one line of JSON.
//! `benches/training_step.py` runs it beside PyTorch and prints a table.
#![allow(clippy::print_stdout)]

use burn::tensor::Device;
use mars::calib::native::{NativeOptions, NativeTrainer};
use mars::calib::{Flow, Observer, OptimSpec, Progress, RunEnd, RunSpec, ScaleConvention, Stage, Trainer};
use mars::laws::Ranks;
use mars::vlm::data::{Dataset, ImageStore};
use mars::vlm::model::{AnyModel, EncodedExamples};
use mars::vlm::processor::Processor;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Notes when each training step ended.
#[derive(Default)]
struct Clock(Vec<Instant>);

impl Observer for Clock {
    fn progress(&mut self, event: &Progress) -> Flow {
        if event.stage == Stage::Train {
            self.0.push(Instant::now());
        }
        Flow::Continue
    }
}

fn argument(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|a| a != name);
    arguments.nth(1).and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (stack, batch) = (argument("--stack", 1), argument("--batch", 16));
    let (rank, steps) = (argument("--rank", 8), argument("--steps", 60));
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let device = Device::flex();
    let model = AnyModel::from_dir(&assets.join("model"), &device)?;
    let processor = Arc::new(Processor::from_dir(&assets.join("model"))?);
    let store = Arc::new(ImageStore::open(&assets.join("digits/images.zip"))?);
    let examples = |name: &str| -> Result<EncodedExamples, Box<dyn std::error::Error>> {
        let samples = Dataset::read(&assets.join("digits").join(name))?.samples;
        Ok(EncodedExamples::new(processor.clone(), store.clone(), samples)?)
    };
    let (train, validation) = (examples("train.json")?, examples("val.json")?);
    let options = NativeOptions { stack, validation_samples: 1, ..NativeOptions::default() };
    let mut trainer = NativeTrainer::new(&model, &train, &validation, options);
    let run = |seed: u64| RunSpec {
        ranks: Ranks::new().with("ve", rank).with("llm", rank),
        samples: train.samples().len(),
        seed,
        batch,
        steps,
        horizon: steps,
        eval_every: steps,
        learning_rates: [("ve".to_string(), 1e-3), ("llm".to_string(), 1e-3)].into(),
        scale: ScaleConvention::Constant { scale: 2.0 },
        optim: OptimSpec::default(),
        fingerprint: String::new(),
        method: None,
        variant: mars::calib::Variant::default(),
        continues: None,
    };
    let runs: Vec<RunSpec> = (0..stack as u64).map(run).collect();
    let mut clock = Clock::default();
    let records = trainer.train(&runs, &mut clock);
    if let Some(bad) = records.iter().find(|r| r.end != RunEnd::Finished) {
        return Err(format!("a run ended: {}", bad.end).into());
    }
    // One event for each run and step; the first ten steps warm up.
    let ends: Vec<Instant> = clock.0.iter().step_by(stack).copied().collect();
    let mut seconds: Vec<f64> = ends.windows(2).skip(10).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN);
    let flops = records[0].flops / steps as f64;
    println!(
        "{{\"stack\":{stack},\"batch\":{batch},\"rank\":{rank},\"step_s\":{median:.6},\"flops\":{flops:.0},\"peak_mb\":{:.1}}}",
        peak_mb()
    );
    Ok(())
}

/// Peak resident memory of this process, MB (Linux; 0 elsewhere).
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
