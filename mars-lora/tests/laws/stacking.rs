//! K stacked adapters are K separate ones.

use crate::toy::{CLASSES, HIDDEN, INPUTS, Toy, samples, toy};
use burn::tensor::{Tensor, TensorData};
use mars_lora::{
    AdamWConfig, Adapter, AdapterConfig, AdapterStack, Error, LearningRates, Model, ScaleConvention,
    StackedAdamW,
};

const STEPS: usize = 50;
const ROWS: usize = 8;
const RANKS: [usize; 6] = [1, 2, 3, 8, 16, 64];

fn config(rank: usize, seed: u64, scale: ScaleConvention) -> AdapterConfig {
    AdapterConfig { scale, ..AdapterConfig::new([("ve", rank), ("llm", rank)], seed) }
}

fn fresh(model: &Toy, config: AdapterConfig) -> Adapter {
    Adapter::fresh(config, model).unwrap()
}

/// An adapter whose B is not zero.
fn filled(model: &Toy, config: AdapterConfig) -> Adapter {
    let mut adapter = fresh(model, config);
    for (i, f) in adapter.factors.iter_mut().enumerate() {
        f.b = crate::toy::numbers(700 + i as u64, f.b.len(), 0.3);
    }
    adapter
}

/// One step; adapter k reads the four batches of stream `streams[k]` in turn.
fn step(
    model: &Toy,
    stack: &mut AdapterStack,
    optimizer: &mut StackedAdamW,
    streams: &[u64],
    at: usize,
) -> Vec<f32> {
    let tracked = stack.tracked();
    let losses = model.forward(&samples(streams, at % 4, ROWS), &tracked, false).mean();
    let mut gradients = losses.clone().sum().backward();
    let gradients = tracked.gradients(&mut gradients);
    let schedule: Vec<f64> = streams.iter().map(|_| ((at + 1) as f64 / 10.0).min(1.0)).collect();
    optimizer.step(stack, gradients, &schedule);
    losses.into_data().iter::<f32>().collect()
}

fn rates(k: usize) -> LearningRates {
    LearningRates {
        by_module: [("ve".to_string(), 5e-3), ("llm".to_string(), 1e-2 / (k + 1) as f64)].into(),
        default: 1e-2,
        b_ratio: 1.0,
    }
}

fn optimizer(stack: &AdapterStack, members: &[usize]) -> StackedAdamW {
    let config = AdamWConfig { weight_decay: 0.01, clip_norm: Some(0.05), ..AdamWConfig::default() };
    StackedAdamW::new(config, stack, &members.iter().map(|k| rates(*k)).collect::<Vec<_>>()).unwrap()
}

fn values(adapter: &Adapter) -> Vec<f32> {
    adapter.factors.iter().flat_map(|f| f.a.iter().chain(&f.b)).copied().collect()
}

fn relative_difference(a: &[f32], b: &[f32]) -> f64 {
    let size = a.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let gap = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    gap / size
}

#[test]
fn stacked_equals_separate_for_all_ranks_and_conventions() {
    let model = toy();
    for scale in [
        ScaleConvention::AlphaOverRank { alpha: 16.0 },
        ScaleConvention::AlphaOverSqrtRank { alpha: 4.0 },
        ScaleConvention::Constant { scale: 2.0 },
    ] {
        let adapters: Vec<Adapter> =
            RANKS.iter().enumerate().map(|(k, r)| fresh(&model, config(*r, k as u64, scale))).collect();
        let mut stack = AdapterStack::new(&adapters, &model).unwrap();
        let all: Vec<usize> = (0..RANKS.len()).collect();
        let mut together = optimizer(&stack, &all);
        let streams: Vec<u64> = all.iter().map(|k| *k as u64).collect();
        let mut stacked = Vec::new();
        for at in 0..STEPS {
            stacked.push(step(&model, &mut stack, &mut together, &streams, at));
        }
        let trained = stack.adapters();
        for k in all {
            let mut single = AdapterStack::new(&adapters[k..=k], &model).unwrap();
            let mut alone = optimizer(&single, &[k]);
            let mut losses = Vec::new();
            for at in 0..STEPS {
                losses.extend(step(&model, &mut single, &mut alone, &[k as u64], at));
            }
            let own: Vec<f32> = stacked.iter().map(|all| all[k]).collect();
            let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
            let (first, last) = (mean(&losses[..4]), mean(&losses[STEPS - 4..]));
            assert!(last < first - 0.1, "rank {} learnt nothing: {first} to {last}", RANKS[k]);
            assert!(relative_difference(&losses, &own) < 1e-5, "{scale:?} rank {} losses", RANKS[k]);
            let gap = relative_difference(&values(&single.adapters()[0]), &values(&trained[k]));
            assert!(gap < 1e-5, "{scale:?} rank {}: factors differ by {gap}", RANKS[k]);
        }
    }
}

#[test]
fn dropping_adapters_leaves_the_others_bit_identical() {
    let model = toy();
    let scale = ScaleConvention::default();
    let adapters: Vec<Adapter> =
        RANKS.iter().enumerate().map(|(k, r)| fresh(&model, config(*r, k as u64, scale))).collect();
    let run = |drop_at: Option<usize>| {
        let mut members: Vec<usize> = (0..RANKS.len()).collect();
        let mut stack = AdapterStack::new(&adapters, &model).unwrap();
        let mut optimizer = optimizer(&stack, &members);
        for at in 0..20 {
            if drop_at == Some(at) {
                stack = stack.keep(&[0, 2, 3]);
                optimizer = optimizer.keep(&[0, 2, 3]);
                members = vec![0, 2, 3];
            }
            let streams: Vec<u64> = members.iter().map(|k| *k as u64).collect();
            step(&model, &mut stack, &mut optimizer, &streams, at);
        }
        stack.adapters()
    };
    let (whole, part) = (run(None), run(Some(7)));
    for (k, adapter) in [0, 2, 3].into_iter().zip(&part) {
        assert_eq!(values(&whole[k]), values(adapter), "adapter {k}");
    }
}

#[test]
fn joining_adapters_leaves_the_others_bit_identical() {
    let model = toy();
    let scale = ScaleConvention::default();
    let fresh = |k: usize| fresh(&model, config(RANKS[k], k as u64, scale));
    let run = |join_at: Option<usize>| {
        let mut members = vec![1, 3];
        let mut stack = AdapterStack::new(&[fresh(1), fresh(3)], &model).unwrap();
        let mut optimizer = optimizer(&stack, &members);
        for at in 0..20 {
            if join_at == Some(at) {
                // Ranks above and below those of the stack, so that rows become wider.
                let wider = stack.join(&[fresh(0), fresh(4)], &model).unwrap();
                optimizer = optimizer.join(&stack, &wider, &[rates(0), rates(4)]);
                (stack, members) = (wider, vec![1, 3, 0, 4]);
            }
            let streams: Vec<u64> = members.iter().map(|k| *k as u64).collect();
            step(&model, &mut stack, &mut optimizer, &streams, at);
        }
        stack.adapters()
    };
    let (without, with) = (run(None), run(Some(7)));
    for (a, b) in without.iter().zip(&with) {
        assert_eq!(values(a), values(b));
    }
    // What joined has trained, too.
    assert!(with[2..].iter().all(|adapter| adapter.factors[0].b.iter().any(|b| *b != 0.0)));
}

#[test]
fn a_nan_stays_with_its_adapter() {
    let model = toy();
    let scale = ScaleConvention::default();
    let mut adapters: Vec<Adapter> = (0..3).map(|k| filled(&model, config(4, k, scale))).collect();
    let clean = AdapterStack::new(&adapters, &model).unwrap();
    adapters[1].factors[0].b[0] = f32::NAN;
    let poisoned = AdapterStack::new(&adapters, &model).unwrap();
    let train = |mut stack: AdapterStack| {
        let mut optimizer = optimizer(&stack, &[0, 1, 2]);
        let losses: Vec<Vec<f32>> =
            (0..10).map(|at| step(&model, &mut stack, &mut optimizer, &[0, 1, 2], at)).collect();
        (losses, stack.adapters())
    };
    let ((clean_losses, clean), (losses, poisoned)) = (train(clean), train(poisoned));
    for k in [0, 2] {
        assert_eq!(values(&clean[k]), values(&poisoned[k]));
        assert!(losses.iter().zip(&clean_losses).all(|(a, b)| a[k] == b[k]));
    }
    assert!(losses.iter().all(|all| all[1].is_nan()));
}

#[test]
fn padding_is_never_touched() {
    let model = toy();
    let scale = ScaleConvention::Constant { scale: 2.0 };
    let adapters = [fresh(&model, config(1, 0, scale)), fresh(&model, config(16, 1, scale))];
    let mut stack = AdapterStack::new(&adapters, &model).unwrap();
    let mut optimizer = optimizer(&stack, &[0, 1]);
    for at in 0..10 {
        step(&model, &mut stack, &mut optimizer, &[0, 1], at);
    }
    let row: Vec<f32> = stack.flat().narrow(0, 0, 1).into_data().iter::<f32>().collect();
    let used = row.iter().filter(|v| **v != 0.0).count();
    assert_eq!(used, (INPUTS + HIDDEN) + (HIDDEN + CLASSES));
}

#[test]
fn padding_does_not_outlive_the_adapter_that_it_was_for() {
    let model = toy();
    let scale = ScaleConvention::Constant { scale: 2.0 };
    let adapters: Vec<Adapter> =
        [2, 8, 4].into_iter().map(|rank| filled(&model, config(rank, rank as u64, scale))).collect();
    let joined = AdapterStack::new(&adapters[..2], &model).unwrap().keep(&[0]).join(&adapters[2..], &model);
    let (mut joined, mut alone) =
        (joined.unwrap(), AdapterStack::new(&[adapters[0].clone(), adapters[2].clone()], &model).unwrap());
    let (mut one, mut other) = (optimizer(&joined, &[0, 1]), optimizer(&alone, &[0, 1]));
    for at in 0..4 {
        let losses = step(&model, &mut joined, &mut one, &[0, 1], at);
        let expected = step(&model, &mut alone, &mut other, &[0, 1], at);
        assert!(relative_difference(&losses, &expected) < 1e-5, "{losses:?} {expected:?}");
    }
}

#[test]
fn moments_survive_the_host() {
    let model = toy();
    let scale = ScaleConvention::default();
    let adapters: Vec<Adapter> = [3, 8].iter().map(|r| fresh(&model, config(*r, 1, scale))).collect();
    let mut stack = AdapterStack::new(&adapters, &model).unwrap();
    let mut first = optimizer(&stack, &[0, 1]);
    for at in 0..5 {
        step(&model, &mut stack, &mut first, &[0, 1], at);
    }
    let mut restored_stack = AdapterStack::new(&stack.adapters(), &model).unwrap();
    let mut restored = optimizer(&restored_stack, &[0, 1]);
    restored.restore(&restored_stack, first.moments(&stack));
    for at in 5..10 {
        step(&model, &mut stack, &mut first, &[0, 1], at);
        step(&model, &mut restored_stack, &mut restored, &[0, 1], at);
    }
    for (a, b) in stack.adapters().iter().zip(&restored_stack.adapters()) {
        assert_eq!(values(a), values(b));
    }
}

#[test]
fn low_rank_path_equals_merged_weights() {
    let model = toy();
    for (rank, alpha) in [(1, 3.0), (2, 16.0), (8, 4.0), (16, 5.0)] {
        let adapter = filled(&model, config(rank, 5, ScaleConvention::AlphaOverRank { alpha }));
        let stack = AdapterStack::new(std::slice::from_ref(&adapter), &model).unwrap();
        let x = samples(&[3], 0, ROWS).x;
        let found: Vec<f32> = model.output(x.clone(), &stack).into_data().iter::<f32>().collect();

        let mut merged = toy();
        for (layer, f) in merged.layers.iter_mut().zip(&adapter.factors) {
            let scale = (alpha / rank as f64) as f32;
            let mut dense = vec![0.0f32; f.inputs * f.outputs];
            for i in 0..f.inputs {
                for o in 0..f.outputs {
                    let product: f32 = (0..rank).map(|r| f.b[o * rank + r] * f.a[r * f.inputs + i]).sum();
                    dense[i * f.outputs + o] = scale * product;
                }
            }
            let delta = Tensor::from_data(TensorData::new(dense, [f.inputs, f.outputs]), &model.device());
            layer.weight = layer.weight.clone().map(|w| w + delta);
        }
        let base = AdapterStack::base(1, &merged);
        let expected: Vec<f32> = merged.output(x.clone(), &base).into_data().iter::<f32>().collect();
        assert!(relative_difference(&expected, &found) < 1e-5, "rank {rank} alpha {alpha}");
        let untouched: Vec<f32> =
            model.output(x, &AdapterStack::base(1, &model)).into_data().iter::<f32>().collect();
        assert!(relative_difference(&untouched, &found) > 1e-2, "the adapter does nothing");
    }
}

#[test]
fn a_fresh_adapter_is_the_identity() {
    let model = toy();
    let stack =
        AdapterStack::new(&[fresh(&model, config(8, 1, ScaleConvention::default()))], &model).unwrap();
    let x = samples(&[3], 0, ROWS).x;
    let base = model.output(x.clone(), &AdapterStack::base(1, &model));
    assert_eq!(model.output(x, &stack).into_data(), base.into_data());
}

#[test]
fn bad_ranks_are_named() {
    let model = toy();
    let build = |ranks: &[(&str, usize)]| Adapter::fresh(AdapterConfig::new(ranks.to_vec(), 0), &model);
    assert!(matches!(build(&[("ve", 73)]), Err(Error::RankTooLarge { rank: 73, max: 72, .. })));
    let most = model.sites().iter().map(|site| site.max_rank()).min().unwrap();
    let both = build(&[("ve", 400), ("llm", 400)]);
    assert!(matches!(both, Err(Error::RankTooLarge { max, .. }) if max == most), "{both:?}");
    assert!(matches!(build(&[("ve", 0)]), Err(Error::NothingAdapted { .. })));
    assert!(matches!(build(&[("audio", 4)]), Err(Error::UnknownModule { .. })));
}
