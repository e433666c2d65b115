//! A pass in parts, and one that computes its blocks again, are the pass over the whole batch.

use crate::toy::{Batch, CLASSES, INPUTS, Toy, samples, toy};
use burn::tensor::Tensor;
use mars_lora::{Adapter, AdapterConfig, AdapterStack, Error, Model, Parts, Pass, Share};
use std::ops::Range;

const SAMPLES: usize = 12;

fn stack(model: &Toy, ranks: &[usize], dropout: f64) -> AdapterStack {
    let adapter = |(k, rank): (usize, &usize)| {
        let config =
            AdapterConfig { dropout, ..AdapterConfig::new([("ve", *rank), ("llm", *rank)], k as u64) };
        let mut adapter = Adapter::fresh(config, model).unwrap();
        for (i, f) in adapter.factors.iter_mut().enumerate() {
            f.b = crate::toy::numbers((70 + 10 * k + i) as u64, f.b.len(), 0.3);
        }
        adapter
    };
    let adapters: Vec<Adapter> = ranks.iter().enumerate().map(adapter).collect();
    AdapterStack::new(&adapters, model).unwrap()
}

/// The examples `rows[k]` of stream k.
fn batch(model: &Toy, adapters: Range<usize>, rows: &[Vec<usize>]) -> Batch {
    let streams: Vec<u64> = adapters.clone().map(|k| k as u64).collect();
    let whole = samples(&streams, 0, SAMPLES);
    let places: Vec<i32> = rows
        .iter()
        .enumerate()
        .flat_map(|(k, own)| own.iter().map(move |i| (k * SAMPLES + i) as i32))
        .collect();
    let places = Tensor::<1, burn::tensor::Int>::from_data(places.as_slice(), &model.device());
    Batch {
        adapters: adapters.len(),
        x: whole.x.select(0, places.clone()),
        targets: whole.targets.select(0, places),
    }
}

fn pass(model: &Toy, stack: &AdapterStack, parts: &Parts, draws: Option<&[u64]>) -> Pass {
    let rows = vec![(0..SAMPLES).collect::<Vec<_>>(); stack.len()];
    let shares = parts.shares(&rows).into_iter();
    let batches = shares.map(|Share { adapters, rows }| (adapters.clone(), batch(model, adapters, &rows)));
    parts.pass(model, batches.collect(), stack, draws).unwrap()
}

/// One row for each adapter.
fn gradients(pass: &Pass) -> Vec<Vec<f32>> {
    let width = pass.gradients.dims()[1];
    let all: Vec<f32> = pass.gradients.clone().into_data().iter::<f32>().collect();
    all.chunks(width).map(<[f32]>::to_vec).collect()
}

fn close(a: &Pass, b: &Pass, most: f64) {
    assert_eq!(a.tokens, b.tokens);
    for (x, y) in a.losses.iter().zip(&b.losses) {
        assert!((x - y).abs() <= most * x.abs(), "losses {x} and {y}");
    }
    for (k, (x, y)) in gradients(a).iter().zip(&gradients(b)).enumerate() {
        let norm = |v: &mut dyn Iterator<Item = f32>| v.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let gap = norm(&mut x.iter().zip(y).map(|(x, y)| x - y)) / norm(&mut x.iter().copied());
        assert!(gap <= most, "gradients of adapter {k} differ by {gap}");
    }
}

#[test]
fn parts_add_up_to_the_whole() {
    let model = toy();
    for ranks in [&[4][..], &[2, 8], &[1, 8, 3], &[4, 4, 4, 16]] {
        let stack = stack(&model, ranks, 0.0);
        let whole = pass(&model, &stack, &Parts::new(1).unwrap(), None);
        let tracked = stack.tracked();
        let rows = vec![(0..SAMPLES).collect::<Vec<_>>(); stack.len()];
        let means = model.forward(&batch(&model, 0..stack.len(), &rows), &tracked, false).mean();
        let plain = tracked.gradients(&mut means.clone().sum().backward());
        let losses = means.into_data().iter::<f64>().collect();
        close(&Pass { losses, gradients: plain, tokens: whole.tokens.clone() }, &whole, 1e-6);
        for count in [2, 3, 5, 30] {
            let parts = Parts::new(count).unwrap();
            let found = pass(&model, &stack, &parts, None);
            close(&whole, &found, 1e-6);
            assert_eq!(gradients(&whole), gradients(&found), "{count} parts differ in some bit");
            assert_eq!(whole.losses, found.losses);
        }
    }
}

#[test]
fn shares_cover_every_example_of_every_adapter_once() {
    for count in 1..6 {
        let parts = Parts::new(count).unwrap();
        for adapters in 1..6 {
            for examples in 1..8 {
                let rows: Vec<Vec<usize>> =
                    (0..adapters).map(|k| (0..examples).map(|i| 10 * k + i).collect()).collect();
                let shares = parts.shares(&rows);
                assert!(shares.len() <= count.max(2 * adapters), "{} shares", shares.len());
                assert!(shares.len() >= count.min(adapters * examples.min(2)), "{} shares", shares.len());
                let mut seen = vec![Vec::new(); adapters];
                for share in shares {
                    assert!(share.rows.iter().all(|own| own.len() == share.rows[0].len()));
                    for (k, own) in share.adapters.zip(share.rows) {
                        seen[k].extend(own);
                    }
                }
                assert_eq!(seen, rows, "{count} parts of {adapters} adapters with {examples} examples");
            }
        }
    }
}

/// Adapters with the same examples could be one share, which others would wait for.
#[test]
fn no_share_is_larger_than_an_equal_part() {
    for count in 1..6_usize {
        let parts = Parts::new(count).unwrap();
        for same in 0..6 {
            for others in (0..4).filter(|others| same + others > 0) {
                for examples in 1..4 {
                    let of = |k: usize| (0..examples).map(|i| 10 * k + i).collect::<Vec<_>>();
                    let rows: Vec<Vec<usize>> =
                        vec![of(0); same].into_iter().chain((1..=others).map(of)).collect();
                    let shares = parts.shares(&rows);
                    let equal = (rows.len() * examples.min(2)).div_ceil(count);
                    assert!(
                        shares.iter().all(|share| share.adapters.len() <= equal),
                        "{count} {same} {others}"
                    );
                    let mut seen = vec![Vec::new(); rows.len()];
                    for share in shares {
                        share.adapters.zip(share.rows).for_each(|(k, own)| seen[k].extend(own));
                    }
                    assert_eq!(seen, rows, "{count} {same} {others}");
                }
            }
        }
    }
}

#[test]
fn a_nan_stays_with_its_adapter_in_parts() {
    let model = toy();
    let clean = stack(&model, &[4, 4, 4], 0.0);
    let mut adapters = clean.adapters();
    adapters[1].factors[0].b[0] = f32::NAN;
    let poisoned = AdapterStack::new(&adapters, &model).unwrap();
    for parts in [1, 2, 3] {
        let parts = Parts::new(parts).unwrap();
        let (a, b) = (pass(&model, &clean, &parts, None), pass(&model, &poisoned, &parts, None));
        for k in [0, 2] {
            assert_eq!(gradients(&a)[k], gradients(&b)[k]);
            assert_eq!(a.losses[k], b.losses[k]);
        }
        assert!(b.losses[1].is_nan() && gradients(&b)[1].iter().any(|v| v.is_nan()));
    }
}

#[test]
fn parts_drop_different_inputs() {
    let model = toy();
    let stack = stack(&model, &[4], 0.5);
    let parts = Parts::new(2).unwrap();
    // The same examples twice: without dropout both parts find the same, with it they do not.
    let twice = |draws: Option<&[u64]>| {
        let half = || (0..1, batch(&model, 0..1, &[(0..SAMPLES).collect()]));
        let both = parts.pass(&model, vec![half(), half()], &stack, draws).unwrap();
        let once = parts.pass(&model, vec![half()], &stack, draws).unwrap();
        (both.losses[0], once.losses[0])
    };
    let (both, once) = twice(None);
    assert!((both - once).abs() < 1e-6 * once);
    let (both, once) = twice(Some(&[7]));
    assert!((both - once).abs() > 1e-4 * once, "both parts dropped the same: {both}");
    assert_eq!(twice(Some(&[7])), (both, once));
}

#[test]
fn blocks_computed_twice_give_the_same_gradients() {
    let model = toy();
    for (ranks, dropout) in [(&[4][..], 0.0), (&[2, 8], 0.0), (&[8, 8], 0.3)] {
        let stack = stack(&model, ranks, dropout);
        let draws: Vec<u64> = (0..ranks.len() as u64).collect();
        let plain = pass(&model, &stack, &Parts::new(1).unwrap(), Some(&draws));
        for parts in [1, 2] {
            let plain = match parts {
                1 => plain.clone(),
                _ => pass(&model, &stack, &Parts::new(parts).unwrap(), Some(&draws)),
            };
            let again = Parts::new(parts).unwrap().recomputing(true);
            close(&plain, &pass(&model, &stack, &again, Some(&draws)), 1e-5);
        }
        assert!(gradients(&plain).iter().flatten().filter(|v| **v != 0.0).count() > INPUTS + CLASSES);
    }
}

#[test]
fn batches_of_the_wrong_adapters_are_refused() {
    let model = toy();
    let stack = stack(&model, &[4, 4], 0.0);
    let parts = Parts::new(1).unwrap();
    let part = |adapters: Range<usize>| {
        (adapters.clone(), batch(&model, adapters.clone(), &vec![vec![0]; adapters.len()]))
    };
    for wrong in [vec![part(0..1)], vec![part(1..2)], Vec::new()] {
        assert!(matches!(parts.pass(&model, wrong, &stack, None), Err(Error::Batch(_))));
    }
    assert!(parts.pass(&model, vec![part(1..2), part(0..1)], &stack, None).is_ok());
}
