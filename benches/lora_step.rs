//! Seconds and peak memory of a LoRA training step on a decoder of four layers.
//!
//! `cargo bench --bench lora_step` measures with criterion. With `--steps N`, and any of `--adapters K`, `--batch B`,
//! `--sequence S`, `--ranks 4,8`, `--parts P`, `--compute bf16`, `--recompute`, `--unfused`, `--sequential` and `--burn`, it takes
//! N steps of one setting and prints a line of JSON; `benches/lora_step.py` makes a table of such lines and of PyTorch's.
#![allow(clippy::print_stdout, missing_docs)]

mod decoder;

use burn::module::{Lora, Module};
use burn::optim::{AdamWConfig as BurnAdamW, GradientsParams};
use burn::tensor::{Device, Tensor};
use criterion::{BenchmarkId, Criterion};
use decoder::{Batch, Context, Decoder, Task};
use mars_kernels::{Compute, Kernel};
use mars_lora::{
    AdamWConfig, Adapter, AdapterConfig, AdapterStack, LearningRates, Parts, Share, StackedAdamW,
};
use std::time::{Duration, Instant};

/// As in the program `mars`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error>;

/// What is measured.
#[derive(Clone, Debug)]
struct Setting {
    adapters: usize,
    batch: usize,
    sequence: usize,
    /// Ranks of the adapters, in turn.
    ranks: Vec<usize>,
    parts: usize,
    /// Arithmetic of products with frozen weights, which are packed unless it is f32.
    compute: Compute,
    recompute: bool,
    /// Whether norms, attention and activation have gradients of their own.
    fused: bool,
}

impl Default for Setting {
    fn default() -> Self {
        let ranks = vec![8];
        Self {
            adapters: 1,
            batch: 4,
            sequence: 256,
            ranks,
            parts: 1,
            compute: Compute::F32,
            recompute: false,
            fused: true,
        }
    }
}

/// Adapters that are trained together.
struct Stacked {
    task: Task,
    batch: Batch,
    samples: usize,
    stack: AdapterStack,
    optimizer: StackedAdamW,
    parts: Parts,
}

impl Stacked {
    fn new(setting: &Setting) -> Result<Self, Failure> {
        let task = Task::new(setting.sequence, setting.fused, setting.compute)?;
        let fresh = |k: usize| {
            let rank = setting.ranks[k % setting.ranks.len()];
            Adapter::fresh(AdapterConfig::new([("llm", rank)], k as u64), &task)
        };
        let adapters = (0..setting.adapters).map(fresh).collect::<Result<Vec<_>, _>>()?;
        let stack = AdapterStack::new(&adapters, &task)?;
        let config = AdamWConfig { clip_norm: None, ..AdamWConfig::default() };
        let rates = vec![LearningRates::same(1e-3); setting.adapters];
        Ok(Self {
            optimizer: StackedAdamW::new(config, &stack, &rates)?,
            batch: task.batch(setting.adapters, setting.batch),
            samples: setting.batch,
            parts: Parts::new(setting.parts)?.recomputing(setting.recompute),
            task,
            stack,
        })
    }

    fn step(&mut self) -> Result<f64, Failure> {
        let rows = vec![(0..self.samples).collect::<Vec<_>>(); self.stack.len()];
        let part = |Share { adapters, rows }| (adapters.clone(), self.batch.part(adapters, &rows));
        let batches = self.parts.shares(&rows).into_iter().map(part).collect();
        let pass = self.parts.pass(&self.task, batches, &self.stack, None)?;
        let schedule = vec![1.0; pass.losses.len()];
        self.optimizer.step(&mut self.stack, pass.gradients, &schedule);
        Ok(pass.losses.iter().sum())
    }
}

/// The same decoder with burn's own LoRA and optimizer.
struct Burn {
    decoder: Option<Decoder>,
    context: Context,
    base: AdapterStack,
    batch: Batch,
}

impl Burn {
    fn new(setting: &Setting) -> Result<Self, Failure> {
        let device = Device::flex().autodiff();
        let task = Task::new(setting.sequence, false, Compute::F32)?;
        let batch = task.batch(1, setting.batch);
        let move_over = |x: Tensor<3>| x.autodiff();
        Ok(Self {
            decoder: Some(Decoder::new(&device).apply_lora(Lora::new(setting.ranks[0], 16.0))),
            context: Context::new(setting.sequence, false, &Device::flex()),
            base: AdapterStack::base(1, &task),
            batch: Batch { adapters: 1, x: move_over(batch.x), y: move_over(batch.y) },
        })
    }

    fn steps(&mut self, count: usize, mut each: impl FnMut(f64)) {
        let mut optimizer = BurnAdamW::new().with_weight_decay(0.0).init();
        let Some(mut decoder) = self.decoder.take() else { return };
        for _ in 0..count {
            let out = decoder.forward(self.batch.x.clone(), &self.context, &self.base);
            let loss = (out - self.batch.y.clone()).square().mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &decoder);
            decoder = optimizer.step(1e-3, decoder, gradients);
            each(f64::from(loss.into_scalar::<f32>()));
        }
        self.decoder = Some(decoder);
    }
}

/// Takes the steps of one setting in a fresh process.
fn measure(arguments: &[String], steps: usize) -> Result<(), Failure> {
    let has = |name: &str| arguments.iter().any(|a| a == name);
    let text = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1);
    let number = |name: &str, default: usize| text(name).map_or(Ok(default), |value| value.parse());
    let ranks = match text("--ranks") {
        Some(ranks) => ranks.split(',').map(str::parse).collect::<Result<_, _>>()?,
        None => vec![8],
    };
    let setting = Setting {
        adapters: number("--adapters", 1)?,
        batch: number("--batch", 4)?,
        sequence: number("--sequence", 256)?,
        ranks,
        parts: number("--parts", 1)?,
        compute: text("--compute").map_or(Ok(Compute::F32), |name| name.parse())?,
        recompute: has("--recompute"),
        fused: !has("--unfused"),
    };
    let (mut seconds, mut losses) = (Vec::new(), Vec::new());
    let mut cpu = 0.0;
    let mut began = Instant::now();
    let mut note = |loss: f64| {
        seconds.push(began.elapsed().as_secs_f64());
        losses.push(loss);
        if seconds.len() == 1 {
            cpu = cpu_seconds();
        }
        began = Instant::now();
    };
    if has("--burn") {
        Burn::new(&setting)?.steps(steps + 1, &mut note);
    } else if has("--sequential") {
        let alone = Setting { adapters: 1, ..setting.clone() };
        let mut all =
            (0..setting.adapters).map(|_| Stacked::new(&alone)).collect::<Result<Vec<_>, Failure>>()?;
        for _ in 0..=steps {
            let sum = all.iter_mut().map(Stacked::step).sum::<Result<f64, Failure>>()?;
            note(sum);
        }
    } else {
        let mut stacked = Stacked::new(&setting)?;
        for _ in 0..=steps {
            let sum = stacked.step()?;
            note(sum);
        }
    }
    let cpu = (cpu_seconds() - cpu) / steps as f64;
    // The first step warms up.
    let wall: Vec<String> = seconds[1..].iter().map(|s| format!("{s:.6}")).collect();
    let (first, last, peak) = (losses[0], losses[steps], peak_mb());
    println!(
        "{{\"wall\":[{}],\"cpu\":{cpu:.6},\"first\":{first:.6},\"last\":{last:.6},\"peak_mb\":{peak:.1}}}",
        wall.join(",")
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

fn bench(criterion: &mut Criterion) -> Result<(), Failure> {
    let mut group = criterion.benchmark_group("step");
    let base = Setting::default;
    for (name, setting) in [
        ("mars", base()),
        ("mars, 2 parts", Setting { parts: 2, ..base() }),
        ("mars, recomputing", Setting { recompute: true, ..base() }),
        ("mars, burn's operations", Setting { fused: false, ..base() }),
        ("mars, bf16x2", Setting { compute: Compute::Bf16x2, ..base() }),
        ("mars, bf16", Setting { compute: Compute::Bf16, ..base() }),
        ("ranks 4 8 16 64", Setting { adapters: 4, batch: 1, ranks: vec![4, 8, 16, 64], ..base() }),
        ("ranks 64 64 64 64", Setting { adapters: 4, batch: 1, ranks: vec![64], ..base() }),
    ] {
        if Kernel::of(setting.compute).is_err() {
            continue;
        }
        let mut stacked = Stacked::new(&setting)?;
        group.bench_function(name, |b| b.iter(|| stacked.step().is_ok()));
    }
    let mut own = Burn::new(&base())?;
    group.bench_function("burn", |b| {
        b.iter_custom(|count| {
            let began = Instant::now();
            own.steps(count as usize, |_| ());
            began.elapsed()
        });
    });
    group.finish();

    // At batch 16 a quarter of the sequence.
    for (batch, sequence) in [(1, 256), (16, 64)] {
        let mut group = criterion.benchmark_group(format!("stack, batch {batch}, sequence {sequence}"));
        // More of them in benches/lora_step.py; these leave `cargo bench` below ten minutes.
        for adapters in [1, 4] {
            let setting = Setting { adapters, batch, sequence, ..base() };
            let mut stacked = Stacked::new(&setting)?;
            let id = BenchmarkId::new("together", adapters);
            group.bench_function(id, |b| b.iter(|| stacked.step().is_ok()));
            let mut alone = Stacked::new(&Setting { adapters: 1, ..setting })?;
            let id = BenchmarkId::new("one after the other", adapters);
            group.bench_function(id, |b| b.iter(|| (0..adapters).all(|_| alone.step().is_ok())));
        }
        group.finish();
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(steps) = arguments.iter().skip_while(|a| *a != "--steps").nth(1) {
        return measure(&arguments, steps.parse()?);
    }
    let criterion = Criterion::default().sample_size(10).warm_up_time(Duration::from_secs(1));
    let mut criterion = criterion.measurement_time(Duration::from_secs(5)).configure_from_args();
    bench(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
