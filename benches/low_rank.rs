//! The low-rank path of stacked adapters: fused beside batched products, on a GPU.
//!
//! `cargo bench --bench low_rank --features wgpu -- --device wgpu [--rounds N] [--repeats N] [--rows N]` prints a table in Markdown. A round
//! takes each of the two in turn, `repeats` times before the device is waited for; the one that begins changes from round to round. Rows are
//! those of one adapter; sizes are the layers of SmolVLM-256M's decoder and a small one. Without a device nothing is measured: on the CPU the
//! two are one.
#![allow(clippy::print_stdout, missing_docs)]

use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use mars::device::{DeviceName, devices};
use mars_lora::ops;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

const STACKS: [&[usize]; 6] = [&[8], &[64], &[8; 4], &[4, 8, 16, 64], &[8; 8], &[4, 8, 16, 64, 4, 8, 16, 64]];
/// Inputs and outputs.
const LAYERS: [[usize; 2]; 4] = [[64, 64], [576, 576], [576, 1536], [1536, 576]];

/// One layer of a stack.
struct Layer {
    /// x, A, B and base, which all collect gradients.
    tensors: [Tensor<3>; 4],
    ranks: Tensor<1, Int>,
    device: Device,
}

impl Layer {
    fn new(ranks: &[usize], rows: usize, [inputs, outputs]: [usize; 2], device: &Device) -> Self {
        let (adapters, highest) = (ranks.len(), ranks.iter().copied().max().unwrap_or(0));
        let random = |height: usize, width: usize| {
            Tensor::<3>::random([adapters, height, width], Distribution::Uniform(-1.0, 1.0), device)
        };
        // Ones in the rows of an adapter's own rank, zeros below.
        let own = ranks.iter().flat_map(|rank| (0..highest).map(move |row| f32::from(u8::from(row < *rank))));
        let own = TensorData::new(own.collect::<Vec<f32>>(), [adapters, highest, 1]);
        let own = Tensor::<3>::from_data(own, device);
        let tensors = [
            random(rows, inputs),
            random(highest, inputs) * own.clone(),
            random(highest, outputs) * own,
            random(rows, outputs),
        ];
        let ranks: Vec<i32> = ranks.iter().map(|rank| *rank as i32).collect();
        let ranks = Tensor::from_data(TensorData::new(ranks, [adapters]), device);
        Self { tensors, ranks, device: device.clone() }
    }

    fn compute(&self, [x, a, b, base]: [Tensor<3>; 4], fused: bool) -> Tensor<3> {
        match fused {
            true => ops::fused_low_rank(x, [a, b], base, self.ranks.clone(), 2.0),
            false => ops::low_rank(x, [a, b], base, 2.0),
        }
    }

    /// Milliseconds of one pass.
    fn time(&self, fused: bool, backward: bool, repeats: usize) -> Result<f64, Failure> {
        self.device.sync()?;
        let began = Instant::now();
        for _ in 0..repeats {
            if backward {
                let leaves = self.tensors.clone().map(|x| x.autodiff().require_grad());
                drop(self.compute(leaves, fused).backward());
            } else {
                drop(self.compute(self.tensors.clone(), fused));
            }
        }
        self.device.sync()?;
        Ok(began.elapsed().as_secs_f64() * 1e3 / repeats as f64)
    }

    /// Times of the fused and of the other form, in order.
    fn times(&self, backward: bool, rounds: usize, repeats: usize) -> Result<[Vec<f64>; 2], Failure> {
        let mut times = [Vec::new(), Vec::new()];
        // The first round compiles kernels and chooses between them.
        for round in 0..=rounds {
            for turn in 0..2 {
                let which = (round + turn) % 2;
                let time = self.time(which == 0, backward, if round == 0 { 1 } else { repeats })?;
                if round > 0 {
                    times[which].push(time);
                }
            }
        }
        times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
        Ok(times)
    }
}

/// Of times in order.
fn median(times: &[f64]) -> f64 {
    times[times.len() / 2]
}

/// The median, and the quartiles.
fn summary(times: &[f64]) -> String {
    let [low, high] = [times[times.len() / 4], times[(3 * times.len() / 4).min(times.len() - 1)]];
    format!("{:.3} ({low:.3} to {high:.3})", median(times))
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let text = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1);
    let number = |name: &str, default: usize| text(name).map_or(Ok(default), |value| value.parse());
    let Some(name) = text("--device") else {
        println!("low_rank: no --device, nothing measured");
        return Ok(());
    };
    let (rounds, repeats) = (number("--rounds", 20)?.max(1), number("--repeats", 20)?.max(1));
    let rows = number("--rows", 1000)?;
    let name = DeviceName::parse(name)?;
    let device = name.open()?;
    let full = format!("{}:{}", name.backend, name.index);
    let found = devices().into_iter().find(|found| found.name == full);
    let hardware = found.and_then(|found| found.hardware).unwrap_or_default();
    println!("`{full}` {hardware}: {rounds} rounds of {repeats}; medians and quartiles in ms");
    println!();
    println!("| ranks | rows of each | layer | pass | fused | products | products / fused |");
    println!("|---|---|---|---|---|---|---|");
    for sizes in LAYERS {
        let rows = if sizes[0] == 64 { 64 } else { rows };
        for ranks in STACKS {
            let layer = Layer::new(ranks, rows, sizes, &device);
            for (pass, backward) in [("forward", false), ("and backward", true)] {
                let [fused, products] = layer.times(backward, rounds, repeats)?;
                let (gain, [inputs, outputs]) = (median(&products) / median(&fused), sizes);
                let [fused, products] = [fused, products].map(|times| summary(&times));
                let ranks = ranks.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
                println!(
                    "| {ranks} | {rows} | {inputs} x {outputs} | {pass} | {fused} | {products} | {gain:.2} |"
                );
            }
        }
    }
    Ok(())
}
