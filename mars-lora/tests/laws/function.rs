//! What a method hands out computes what it trained, and changing ranks changes no function.

use crate::net::{Batch, Net, tensor};
use crate::planted::numbers;
use burn::tensor::Tensor;
use mars_lora::methods::{
    AdaLora, AdaLoraConfig, GeoLora, GeoLoraConfig, HydraConfig, HydraStyle, MethodTraining, RankLimits,
    RankMethod,
};
use mars_lora::{Adapter, AdapterConfig, AdapterStack, Error, Model};

fn net() -> Net {
    let layer = |path, seed, inputs, outputs| {
        let weight = numbers(seed, inputs * outputs).iter().map(|w| 0.5 * w).collect();
        (path, inputs, outputs, weight, vec![0.0; outputs])
    };
    Net::new(&[
        layer("layers.0.fc", 1, 12, 10),
        layer("layers.1.fc", 2, 10, 9),
        layer("layers.2.fc", 3, 9, 6),
    ])
}

fn batch(seed: u64) -> Batch {
    Batch {
        x: tensor(&numbers(seed, 20 * 12), [1, 20, 12]),
        y: tensor(&numbers(100 + seed, 20 * 6), [20, 6]),
    }
}

fn methods(net: &Net) -> Vec<Box<dyn RankMethod>> {
    let adapter = || AdapterConfig::new([("llm", 4)], 1);
    let (modules, sites) = (net.modules(), net.sites());
    let training = || MethodTraining::new(60, 2e-2);
    let ada = AdaLoraConfig { init_ratio: 2.0, warmup: 10, tail: 10, ..AdaLoraConfig::new(60) };
    let half = AdapterConfig::new([("llm", 2)], 1);
    let geo = GeoLoraConfig { coefficient_steps: 5, ..GeoLoraConfig::new(60) };
    let limits = RankLimits { max_rank: 32, total: None };
    let hydra = HydraConfig { warmup: 10, interval: 5, min_rank: 1, ..HydraConfig::new(60) };
    vec![
        Box::new(AdaLora::new(ada, training(), half, modules, sites).unwrap()),
        Box::new(GeoLora::with_limits(geo, limits, training(), adapter(), modules, sites).unwrap()),
        Box::new(HydraStyle::new(hydra, training(), adapter(), modules, sites).unwrap()),
    ]
}

fn output(net: &Net, adapter: Adapter) -> Tensor<2> {
    let stack = AdapterStack::new(&[adapter], net).unwrap();
    net.output(batch(50).x, &stack)
}

fn gap(a: &Tensor<2>, b: &Tensor<2>) -> f32 {
    let size = |t: Tensor<2>| t.abs().max().into_data().iter::<f32>().next().unwrap();
    size(a.clone() - b.clone()) / size(a.clone())
}

#[test]
fn the_result_computes_what_was_trained() {
    let net = net();
    for mut method in methods(&net) {
        let name = method.name();
        let base = net.output(batch(50).x, &AdapterStack::base(1, &net));
        assert!(gap(&base, &output(&net, method.adapter())) < 1e-6, "{name} begins as the identity");
        let mut losses = Vec::new();
        for step in 1..=60 {
            losses.push(net.step(method.as_mut(), &batch(1), step, 1.0));
            let (shown, result) = (output(&net, method.adapter()), output(&net, method.result()));
            assert!(gap(&shown, &result) < 1e-5, "{name}, step {step}");
        }
        assert!(losses[59] < 0.7 * losses[0], "{name} learns: {} to {}", losses[0], losses[59]);
        let ranks = method.result().factors.iter().map(|f| (f.path.clone(), f.rank)).collect::<Vec<_>>();
        let map: Vec<_> = method.rank_map().into_iter().filter(|(_, rank)| *rank > 0).collect();
        assert_eq!(ranks, map, "{name}");
    }
}

#[test]
fn a_plain_adapter_grows_and_shrinks_without_changing_its_function() {
    let net = net();
    let mut trained = HydraStyle::new(
        HydraConfig { warmup: 99, ..HydraConfig::new(99) },
        MethodTraining::new(99, 2e-2),
        AdapterConfig::new([("llm", 3)], 1),
        net.modules(),
        net.sites(),
    )
    .unwrap();
    for step in 1..=20 {
        net.step(&mut trained, &batch(1), step, 1.0);
    }
    let start = trained.result();
    let of_rank = |adapter: &Adapter, rank: usize| {
        let mut config = adapter.config.clone();
        config.layer_ranks.values_mut().for_each(|own| *own = rank);
        let resized = adapter.resized(config, &net).unwrap();
        assert!(resized.factors.iter().all(|f| f.rank == rank));
        resized
    };
    let before = output(&net, start.clone());
    let grown = of_rank(&start, 6);
    assert!(gap(&before, &output(&net, grown.clone())) < 1e-6);
    assert!(gap(&before, &output(&net, of_rank(&grown, 3))) < 1e-5);
}

#[test]
fn gradients_of_something_else_are_refused() {
    let net = net();
    for mut method in methods(&net) {
        let mut gradients = method.adapter().factors;
        gradients[1].a.pop();
        let feedback =
            mars_lora::methods::Feedback { gradients: &gradients, loss: 1.0, step: 1, schedule: 1.0 };
        assert!(matches!(method.step(&feedback), Err(Error::Mismatch { .. })), "{}", method.name());
        let feedback = mars_lora::methods::Feedback { gradients: &[], ..feedback };
        assert!(matches!(method.step(&feedback), Err(Error::Mismatch { .. })), "{}", method.name());
    }
}
