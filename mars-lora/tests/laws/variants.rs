//! DoRA, dropout, PiSSA, EVA, embeddings and convolutions: each against its definition.

use crate::net::{Batch, Net, tensor};
use crate::toy::{HIDDEN, INPUTS, Toy, numbers, samples, toy, toy_with_table};
use burn::module::Param;
use burn::tensor::{Device, Int, Tensor, TensorData};
use mars_lora::{
    Activations, Adapter, AdapterConfig, AdapterStack, Error, Factors, Init, LoraEmbedding, Model,
    ScaleConvention,
};

const ROWS: usize = 8;

fn config(rank: usize, seed: u64) -> AdapterConfig {
    let scale = ScaleConvention::AlphaOverRank { alpha: 5.0 };
    AdapterConfig { scale, ..AdapterConfig::new([("ve", rank), ("llm", rank)], seed) }
}

/// An adapter with random factors and magnitudes.
fn filled(model: &Toy, config: AdapterConfig) -> Adapter {
    let mut adapter = Adapter::fresh(config, model).unwrap();
    for (i, f) in adapter.factors.iter_mut().enumerate() {
        f.b = numbers(700 + i as u64, f.b.len(), 0.3);
        if let Some(magnitude) = &mut f.magnitude {
            *magnitude = numbers(800 + i as u64, magnitude.len(), 1.0);
        }
    }
    adapter
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn gap(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let size = a.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt() / size
}

fn output(model: &Toy, adapters: &[Adapter]) -> Vec<f32> {
    let stack = AdapterStack::new(adapters, model).unwrap();
    let streams: Vec<u64> = adapters.iter().map(|_| 3).collect();
    host(model.output(samples(&streams, 0, ROWS).x, &stack))
}

/// The dense `s * B A` of layer `n`, `[outputs][inputs]`.
fn product(adapter: &Adapter, n: usize) -> Vec<Vec<f64>> {
    let f = &adapter.factors[n];
    let scale = adapter.config.site_scale(&f.path, f.rank);
    let cell = |o: usize, i: usize| {
        let sum = (0..f.rank).map(|r| f64::from(f.b[o * f.rank + r]) * f64::from(f.a[r * f.inputs + i]));
        scale * sum.sum::<f64>()
    };
    (0..f.outputs).map(|o| (0..f.inputs).map(|i| cell(o, i)).collect()).collect()
}

/// The toy with each weight replaced by what `merged` makes of (layer, output, its row of the weight).
fn dense(model: &Toy, merged: impl Fn(usize, usize, Vec<f64>) -> Vec<f64>) -> Toy {
    let mut out = toy();
    for (n, layer) in out.layers.iter_mut().enumerate() {
        let [inputs, outputs] = layer.weight.dims();
        let old = host(model.layers[n].weight.val());
        let mut new = vec![0.0f32; inputs * outputs];
        for o in 0..outputs {
            let row = (0..inputs).map(|i| f64::from(old[i * outputs + o])).collect();
            for (i, w) in merged(n, o, row).into_iter().enumerate() {
                new[i * outputs + o] = w as f32;
            }
        }
        let data = TensorData::new(new, [inputs, outputs]);
        layer.weight = Param::from_tensor(Tensor::from_data(data, &model.device()));
    }
    out
}

fn base_output(model: &Toy) -> Vec<f32> {
    host(model.output(samples(&[3], 0, ROWS).x, &AdapterStack::base(1, model)))
}

#[test]
fn dora_is_its_definition() {
    let model = toy();
    for rank in [1, 4, 16] {
        let adapter = filled(&model, AdapterConfig { dora: true, ..config(rank, 2) });
        let merged = dense(&model, |n, o, row| {
            let delta = product(&adapter, n);
            let sum: Vec<f64> = row.iter().zip(&delta[o]).map(|(w, d)| w + d).collect();
            let norm = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
            let gain = f64::from(adapter.factors[n].magnitude.as_ref().unwrap()[o]) / norm;
            sum.into_iter().map(|x| gain * x).collect()
        });
        assert!(gap(&base_output(&merged), &output(&model, &[adapter])) < 1e-5, "rank {rank}");
    }
}

#[test]
fn dora_on_an_output_without_weights_is_refused_by_name() {
    let zeroed = dense(&toy(), |n, o, row| if (n, o) == (1, 5) { vec![0.0; row.len()] } else { row });
    let begin = |dora| Adapter::fresh(AdapterConfig { dora, ..config(4, 1) }, &zeroed);
    let error = begin(true).unwrap_err();
    assert!(matches!(error, Error::Variant { .. }));
    assert!(error.to_string().contains("output 5 of `model.text.q_proj`"), "{error}");
    assert!(begin(false).is_ok());
}

#[test]
fn fresh_variants_are_the_identity() {
    let model = toy();
    for (dora, init) in
        [(false, Init::Uniform), (false, Init::Gaussian), (true, Init::Uniform), (false, Init::Pissa)]
    {
        let adapter = Adapter::fresh(AdapterConfig { dora, init, ..config(8, 1) }, &model).unwrap();
        assert!(gap(&base_output(&model), &output(&model, &[adapter])) < 1e-6, "{dora} {init:?}");
    }
}

#[test]
fn variants_share_a_stack() {
    let model = toy();
    let all = [
        filled(&model, config(4, 0)),
        filled(&model, AdapterConfig { dora: true, ..config(4, 1) }),
        filled(&model, AdapterConfig { init: Init::Pissa, ..config(3, 2) }),
        filled(&model, AdapterConfig { dora: true, ..config(16, 3) }),
    ];
    let together = output(&model, &all);
    let alone: Vec<f32> = all.iter().flat_map(|a| output(&model, std::slice::from_ref(a))).collect();
    assert!(gap(&alone, &together) < 1e-6);
    let stack = AdapterStack::new(&all, &model).unwrap();
    for (before, after) in all.iter().zip(stack.adapters()) {
        assert_eq!((&before.factors, &before.offset), (&after.factors, &after.offset));
    }
}

#[test]
fn pissa_takes_the_strongest_part_and_a_plain_lora_says_the_same() {
    let model = toy();
    let config = AdapterConfig { init: Init::Pissa, ..config(4, 2) };
    let fresh = Adapter::fresh(config.clone(), &model).unwrap();
    for n in 0..2 {
        // What is left of the weight has no direction stronger than the weakest that was taken.
        let taken = fresh.factors[n].truncated(4).1;
        let taken: Vec<f64> = taken.iter().map(|s| s * fresh.config.site_scale("", 4)).collect();
        let weight = host(model.layers[n].weight.val());
        let [inputs, outputs] = model.layers[n].weight.dims();
        let product = product(&fresh, n);
        let rest = |i: usize, o: usize| f64::from(weight[i * outputs + o]) - product[o][i];
        let mut x: Vec<f64> = (0..outputs).map(|o| 1.0 + o as f64).collect();
        let mut strongest = 0.0;
        for _ in 0..200 {
            let y: Vec<f64> = (0..inputs).map(|i| (0..outputs).map(|o| rest(i, o) * x[o]).sum()).collect();
            x = (0..outputs).map(|o| (0..inputs).map(|i| rest(i, o) * y[i]).sum()).collect();
            let norm = x.iter().map(|x: &f64| x * x).sum::<f64>().sqrt();
            strongest = norm.sqrt();
            x.iter_mut().for_each(|x| *x /= norm);
        }
        assert!(strongest <= taken[3] * 1.001, "{strongest} {taken:?}");
        assert!(strongest > 0.5 * taken[3], "the power iteration found nothing");
    }
    let trained = filled(&model, config);
    let plain = trained.plain();
    assert_eq!(plain.factors[0].rank, 8);
    assert!(gap(&output(&model, &[trained]), &output(&model, &[plain])) < 1e-6);
}

#[test]
fn dropout_keeps_the_mean_depends_on_its_draw_and_is_off_without_one() {
    let model = toy();
    let adapter = filled(&model, AdapterConfig { dropout: 0.3, ..config(8, 4) });
    let stack = AdapterStack::new(&[adapter.clone(), adapter], &model).unwrap();
    let x = samples(&[3, 3], 0, ROWS).x;
    let first = |stack: &AdapterStack| host(model.layers[0].forward(x.clone(), stack));
    let clean = first(&stack);
    let drawn = first(&stack.clone().dropping(vec![1, 2]));
    let half = clean.len() / 2;
    assert_eq!(clean[..half], clean[half..]);
    assert_ne!(drawn[..half], drawn[half..]);
    assert_eq!(first(&stack.clone().dropping(vec![2, 1]))[..half], drawn[half..]);
    assert_eq!(first(&stack.clone().dropping(vec![5, 5]).tracked()), clean);
    let mut mean = vec![0.0f64; clean.len()];
    const DRAWS: u64 = 4000;
    for draw in 0..DRAWS {
        let values = first(&stack.clone().dropping(vec![2 * draw, 2 * draw + 1]));
        mean.iter_mut().zip(values).for_each(|(m, v)| *m += f64::from(v) / DRAWS as f64);
    }
    let mean: Vec<f32> = mean.into_iter().map(|m| m as f32).collect();
    assert!(gap(&clean, &mean) < 0.03, "{}", gap(&clean, &mean));
    let dora = filled(&model, AdapterConfig { dropout: 0.3, dora: true, ..config(8, 4) });
    let dora = AdapterStack::new(&[dora], &model).unwrap();
    let x = samples(&[3], 0, ROWS).x;
    let value = |stack: AdapterStack| host(model.layers[0].forward(x.clone(), &stack));
    assert_ne!(value(dora.clone()), value(dora.dropping(vec![1])));
}

/// PiSSA changes the base, as in PEFT: `(W - s B0 A0) x + s B A drop(x)`.
#[test]
fn dropout_does_not_act_on_what_pissa_leaves_of_the_weight() {
    let model = toy();
    let pissa = filled(&model, AdapterConfig { init: Init::Pissa, dropout: 0.3, ..config(8, 4) });
    let plain = |factors: &[Factors], sign: f32| {
        let config = AdapterConfig { init: Init::Uniform, ..pissa.config.clone() };
        let mut adapter = Adapter { config, factors: factors.to_vec(), offset: Vec::new() };
        adapter.factors.iter_mut().flat_map(|f| &mut f.b).for_each(|b| *b *= sign);
        adapter
    };
    let x = samples(&[3], 0, ROWS).x;
    let first = |adapter: &Adapter, drops: bool| {
        let stack = AdapterStack::new(std::slice::from_ref(adapter), &model).unwrap();
        let stack = if drops { stack.dropping(vec![1]) } else { stack };
        host(model.layers[0].forward(x.clone(), &stack))
    };
    // The draws of a layer depend on neither its factors nor an offset.
    let (trained, left) = (plain(&pissa.factors, 1.0), plain(&pissa.offset, -1.0));
    let (dropped, left) = (first(&trained, true), first(&left, false));
    assert!(gap(&first(&trained, false), &dropped) > 0.1, "nothing is dropped");
    let base = host(model.layers[0].forward(x.clone(), &AdapterStack::base(1, &model)));
    let expected: Vec<f32> = left.iter().zip(&dropped).zip(&base).map(|((l, d), b)| l + d - b).collect();
    assert!(gap(&expected, &first(&pissa, true)) < 1e-5);
}

#[test]
fn an_embedding_adapter_is_a_change_of_the_table() {
    let device = Device::flex();
    let model = toy_with_table(12, 6);
    let table = model.table.as_ref().unwrap();
    let weight = host(table.weight.val());
    let site = model.sites()[2].clone();
    let adapters: Vec<Adapter> = [2, 5]
        .map(|rank| {
            let layer_ranks = [(site.path.clone(), rank)].into();
            let mut adapter = Adapter::fresh(AdapterConfig { layer_ranks, ..config(2, 9) }, &model).unwrap();
            let own = adapter.factors.last_mut().unwrap();
            assert!(own.a.iter().all(|a| *a == 0.0) && own.b.iter().any(|b| *b != 0.0), "as PEFT begins");
            own.a = numbers(rank as u64, own.a.len(), 0.5);
            adapter
        })
        .into();
    let stack = AdapterStack::new(&adapters, &model).unwrap();
    let ids = [3, 0, 11, 7, 7, 1];
    let ids_tensor = Tensor::<1, Int>::from_data(TensorData::new(ids.to_vec(), [6]), &device);
    let found = host(LoraEmbedding::forward(table, ids_tensor, &stack));
    let mut expected = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        let delta = product(&adapters[n / 3], 2);
        let id = *id as usize;
        expected.extend((0..6).map(|o| (f64::from(weight[id * 6 + o]) + delta[o][id]) as f32));
    }
    assert!(gap(&expected, &found) < 1e-6);
    let dora = AdapterConfig { dora: true, layer_ranks: [(site.path, 2)].into(), ..config(2, 9) };
    assert!(matches!(Adapter::fresh(dora, &model), Err(Error::Variant { .. })));
}

#[test]
fn eva_finds_the_directions_of_the_inputs() {
    let model = toy();
    let batches = || (0..4).map(|step| samples(&[3], step, 64));
    let activations = Activations::of(&model, batches(), 8, 1).unwrap();
    let adapter = activations.adapter(config(4, 1), &model).unwrap();
    let f = &adapter.factors[0];
    // X^T X v = lambda v with descending lambda.
    let x: Vec<Vec<f32>> =
        batches().flat_map(|b| host(b.x).chunks(INPUTS).map(<[f32]>::to_vec).collect::<Vec<_>>()).collect();
    let mut last = f64::INFINITY;
    for v in f.a.chunks(INPUTS) {
        let mut image = vec![0.0f64; INPUTS];
        for row in &x {
            let along: f64 = row.iter().zip(v).map(|(x, v)| f64::from(x * v)).sum();
            image.iter_mut().zip(row).for_each(|(i, x)| *i += along * f64::from(*x));
        }
        let value: f64 = image.iter().zip(v).map(|(i, v)| i * f64::from(*v)).sum();
        let rest: f64 = image.iter().zip(v).map(|(i, v)| (i - value * f64::from(*v)).powi(2)).sum();
        assert!(rest.sqrt() < 1e-3 * value && value <= last * 1.0001, "{value} {last}");
        last = value;
    }
    let ranks = activations.ranks(&config(4, 1), &model, 2).unwrap();
    assert_eq!(ranks.values().sum::<usize>(), 8);
    assert!(ranks.values().all(|rank| *rank <= 8));
    assert!(matches!(activations.adapter(config(9, 1), &model), Err(Error::Mismatch { .. })));
    assert!(matches!(Activations::of(&model, [], 8, 1), Err(Error::NothingAdapted { .. })));
}

#[test]
fn eva_moves_ranks_between_the_layers_of_a_module_only() {
    const WIDTH: usize = 48;
    // Layers of a module read inputs of other widths of spectrum: more and more of them are near zero.
    let weight = |layer: usize| -> Vec<f32> {
        let row = |o: usize| numbers((layer * WIDTH + o) as u64, WIDTH, 0.6 / (1 + o * layer) as f32);
        (0..WIDTH).flat_map(row).collect()
    };
    let paths = ["a", "b", "c", "d", "e", "f"];
    let layers: Vec<_> = paths
        .iter()
        .enumerate()
        .map(|(at, path)| (*path, WIDTH, WIDTH, weight(at), vec![0.0; WIDTH]))
        .collect();
    let model = Net::new(&layers).in_modules(&["ve", "ve", "ve", "llm", "llm", "llm"]);
    let x = tensor(&numbers(5, 256 * WIDTH, 1.0), [1, 256, WIDTH]);
    let batch = Batch { x, y: tensor(&vec![0.0; 256 * WIDTH], [256, WIDTH]) };
    let activations = Activations::of(&model, [batch], WIDTH, 1).unwrap();
    let mut moved = false;
    for (ve, llm) in [(4, 32), (32, 4), (6, 6)] {
        let config = AdapterConfig::new([("ve", ve), ("llm", llm)], 1);
        let ranks = activations.ranks(&config, &model, 2).unwrap();
        for (layers, given) in [(&paths[..3], ve), (&paths[3..], llm)] {
            let own: Vec<usize> = layers.iter().map(|path| ranks[*path]).collect();
            assert_eq!(own.iter().sum::<usize>(), 3 * given, "{ve}, {llm}: {ranks:?}");
            assert!(own.iter().all(|rank| *rank <= 2 * given), "{ve}, {llm}: {ranks:?}");
            moved |= own.iter().any(|rank| *rank != given);
        }
    }
    assert!(moved, "each layer has the rank of its module");
}

/// Where both A and B were zero in the new part, neither would ever have a gradient.
#[test]
fn the_new_part_of_a_grown_adapter_can_learn() {
    let model = toy_with_table(12, 6);
    let with = |rank| {
        let layer_ranks = [(model.sites()[2].path.clone(), rank)].into();
        AdapterConfig { layer_ranks, ..config(rank, 9) }
    };
    let adapter = filled(&model, with(2));
    let grown = adapter.resized(with(3), &model).unwrap();
    assert_eq!(grown.factors.len(), 3);
    for (own, old) in grown.factors.iter().zip(&adapter.factors) {
        assert_eq!(own.a[..old.a.len()], old.a);
        let row = own.a[old.a.len()..].iter().any(|a| *a != 0.0);
        let column = own.b.chunks(3).any(|b| b[2] != 0.0);
        assert!(row != column, "{}: A {row}, B {column}", own.path);
    }
}

#[test]
fn growth_keeps_the_function_and_truncation_the_strongest_part() {
    let model = toy();
    for scale in [ScaleConvention::AlphaOverRank { alpha: 5.0 }, ScaleConvention::Constant { scale: 2.0 }] {
        let with = |rank| AdapterConfig { scale, ..AdapterConfig::new([("ve", rank), ("llm", rank)], 1) };
        let adapter = filled(&model, with(4));
        let grown = adapter.resized(with(9), &model).unwrap();
        assert_eq!(grown.factors[0].a[..4 * INPUTS], adapter.factors[0].a);
        let before = output(&model, std::slice::from_ref(&adapter));
        assert!(gap(&before, &output(&model, std::slice::from_ref(&grown))) < 1e-6);
        let back = grown.resized(with(4), &model).unwrap();
        assert!(gap(&before, &output(&model, &[back])) < 1e-5);
        let small = adapter.resized(with(2), &model).unwrap();
        for n in 0..2 {
            let values = adapter.factors[n].truncated(2).1;
            let (own, low) = (product(&adapter, n), product(&small, n));
            let cells = own.iter().flatten().zip(low.iter().flatten());
            let error = cells.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            let scale = adapter.config.site_scale("", 4);
            let best = scale * values[2..].iter().map(|s| s * s).sum::<f64>().sqrt();
            assert!((error / best - 1.0).abs() < 1e-4, "Eckart and Young: {error} {best}");
        }
    }
    assert_eq!(HIDDEN, model.sites()[0].outputs);
}
