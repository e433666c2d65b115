//! GeoLoRA on a planted update of one linear layer, through the trait and the model's own gradients.

use crate::net::{Batch, Net, tensor};
use mars_lora::methods::{GeoLora, GeoLoraConfig, MethodTraining, RankLimits, RankMethod};
use mars_lora::{AdamWConfig, AdapterConfig, Model, ScaleConvention};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const INPUTS: usize = 24;
const OUTPUTS: usize = 18;
const RANK: usize = 5;

pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0f32..1.0)).collect()
}

/// `[rows, inner] x [inner, columns]`.
pub(crate) fn product(left: &[f32], right: &[f32], inner: usize) -> Vec<f32> {
    let columns = right.len() / inner;
    let row = |row: &[f32]| {
        (0..columns).map(|j| (0..inner).map(|i| row[i] * right[i * columns + j]).sum()).collect::<Vec<f32>>()
    };
    left.chunks(inner).flat_map(row).collect()
}

/// A frozen layer with weight zero, and inputs that are an orthogonal design: the loss is
/// `|s U S V^T - target|^2` up to a factor.
fn task() -> (Net, Batch, Vec<f32>) {
    let target = product(&numbers(1, OUTPUTS * RANK), &numbers(2, RANK * INPUTS), RANK);
    let net = Net::new(&[("fc", INPUTS, OUTPUTS, vec![0.0; INPUTS * OUTPUTS], vec![0.0; OUTPUTS])]);
    let x: Vec<f32> = (0..INPUTS * INPUTS).map(|i| if i % (INPUTS + 1) == 0 { 1.0 } else { 0.0 }).collect();
    let y: Vec<f32> = (0..INPUTS)
        .flat_map(|i| (0..OUTPUTS).map(move |o| (i, o)))
        .map(|(i, o)| target[o * INPUTS + i])
        .collect();
    let batch = Batch { x: tensor(&x, [1, INPUTS, INPUTS]), y: tensor(&y, [INPUTS, OUTPUTS]) };
    (net, batch, target)
}

fn method(
    net: &Net,
    start: usize,
    config: GeoLoraConfig,
    limits: RankLimits,
    training: MethodTraining,
) -> GeoLora {
    let scale = ScaleConvention::Constant { scale: 2.0 };
    let adapter = AdapterConfig { scale, ..AdapterConfig::new([("llm", start)], 3) };
    GeoLora::with_limits(config, limits, training, adapter, net.modules(), net.sites()).unwrap()
}

/// Relative error of the adapter's update.
fn error(method: &GeoLora, target: &[f32]) -> f64 {
    let result = method.result();
    let f = &result.factors[0];
    let scale = result.config.site_scale("fc", f.rank) as f32;
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    let found = product(&f.b, &f.a, f.rank);
    let gap = square(&mut found.iter().zip(target).map(|(f, t)| scale * f - t));
    (gap / square(&mut target.iter().copied())).sqrt()
}

#[test]
fn the_planted_rank_is_found_from_below_and_from_above() {
    let (net, batch, target) = task();
    for start in [2, 3, 8] {
        // The loss is a mean over 24 x 18 entries, its gradient in the product 2 s / 432 of the gap.
        let config = GeoLoraConfig {
            tau: 0.01,
            coefficient_steps: 0,
            last_augmentation: usize::MAX - 1,
            ..GeoLoraConfig::new(200)
        };
        let limits = RankLimits { max_rank: 16, total: None };
        let optimizer = AdamWConfig { clip_norm: None, ..AdamWConfig::default() };
        let training = MethodTraining { optimizer, ..MethodTraining::new(200, 0.2 * 432.0 / 8.0) };
        let mut method = method(&net, start, config, limits, training);
        for step in 1..=150 {
            net.step(&mut method, &batch, step, 1.0);
        }
        assert_eq!(method.rank_map()["fc"], RANK, "from {start}");
        let error = error(&method, &target);
        assert!(error < 1e-4, "from {start}: {error}");
    }
}

#[test]
fn rounds_of_coefficient_steps_reach_it_too() {
    let (net, batch, target) = task();
    for start in [2, 8] {
        let config = GeoLoraConfig { tau: 0.02, coefficient_steps: 4, ..GeoLoraConfig::new(600) };
        let limits = RankLimits { max_rank: 32, total: None };
        let mut method = method(&net, start, config, limits, MethodTraining::new(600, 0.05));
        for step in 1..=600 {
            let schedule = 1.0 - (step as f64 - 1.0) / 600.0;
            net.step(&mut method, &batch, step, schedule);
        }
        assert_eq!(method.rank_map()["fc"], RANK, "from {start}");
        let error = error(&method, &target);
        assert!(error < 1e-2, "from {start}: {error}");
    }
}

#[test]
fn a_common_budget_is_kept_wherever_training_ends() {
    let (net, batch, _) = task();
    for steps in 1..=40 {
        let config = GeoLoraConfig { coefficient_steps: 9, ..GeoLoraConfig::new(steps) };
        let limits = RankLimits { max_rank: 16, total: Some(4) };
        let mut method = method(&net, 4, config, limits, MethodTraining::new(steps, 0.05));
        for step in 1..=steps {
            net.step(&mut method, &batch, step, 1.0);
        }
        assert!(method.rank_map()["fc"] <= 4, "after {steps} steps: {:?}", method.rank_map());
    }
}

#[test]
fn a_common_budget_is_kept() {
    let (net, batch, _) = task();
    let config = GeoLoraConfig { tau: 0.0, coefficient_steps: 4, ..GeoLoraConfig::new(50) };
    let limits = RankLimits { max_rank: 32, total: Some(3) };
    let mut method = method(&net, 8, config, limits, MethodTraining::new(50, 0.05));
    for step in 1..=50 {
        net.step(&mut method, &batch, step, 1.0);
        assert!(step % 5 != 0 || method.rank_map()["fc"] <= 3, "step {step}");
    }
}
