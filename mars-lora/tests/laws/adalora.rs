//! AdaLoRA beside PEFT 0.18.1: `tests/oracle/adalora.py` writes what PEFT did in 200 steps.

use crate::net::{Batch, Net, tensor};
use mars_lora::methods::{AdaLora, AdaLoraConfig, MethodTraining, RankMethod, Triplets};
use mars_lora::{AdamWConfig, AdapterConfig, Error, Model};
use safetensors::SafeTensors;
use std::collections::BTreeMap;

const NAMES: [&str; 3] = ["fc1", "fc2", "fc3"];
const WIDTHS: [usize; 4] = [16, 12, 10, 6];
const RANK: usize = 6;
const STEPS: usize = 200;

struct Peft<'a>(SafeTensors<'a>);

impl Peft<'_> {
    fn floats(&self, name: &str) -> Vec<f32> {
        let data = self.0.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.0.tensor(name).unwrap().data().to_vec()
    }

    fn triplets(&self, moment: &str) -> Vec<Triplets> {
        let of = |(i, name): (usize, &&str)| Triplets {
            path: (*name).into(),
            module: "llm".into(),
            inputs: WIDTHS[i],
            outputs: WIDTHS[i + 1],
            a: self.floats(&format!("{moment}.{name}.A")),
            e: self.floats(&format!("{moment}.{name}.E")),
            b: self.floats(&format!("{moment}.{name}.B")),
        };
        NAMES.iter().enumerate().map(of).collect()
    }

    fn net(&self) -> Net {
        let layers: Vec<_> = NAMES
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
                (*name, WIDTHS[i], WIDTHS[i + 1], self.floats(&weight), self.floats(&bias))
            })
            .collect();
        Net::new(&layers)
    }

    fn batches(&self) -> Vec<Batch> {
        let (x, y) = (self.floats("x"), self.floats("y"));
        let batch = |(x, y): (&[f32], &[f32])| Batch { x: tensor(x, [1, 16, 16]), y: tensor(y, [16, 6]) };
        x.chunks(16 * 16).zip(y.chunks(16 * 6)).map(batch).collect()
    }
}

/// Half of the initial rank is left at the end.
fn config() -> AdaLoraConfig {
    AdaLoraConfig {
        init_ratio: 2.0,
        alpha: Some(12.0),
        warmup: 20,
        tail: 40,
        interval: 5,
        ..AdaLoraConfig::new(STEPS)
    }
}

fn training() -> MethodTraining {
    let optimizer = AdamWConfig { weight_decay: 0.01, ..AdamWConfig::default() };
    MethodTraining { optimizer, ..MethodTraining::new(STEPS, 1e-2) }
}

fn adapter() -> AdapterConfig {
    AdapterConfig::new([("llm", RANK / 2)], 0)
}

/// Largest difference of entries.
fn gap(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn compare(found: &AdaLora, expected: &[Triplets], within: f32) {
    for (found, expected) in found.triplets().zip(expected) {
        for (name, a, b) in
            [("A", &found.a, &expected.a), ("E", &found.e, &expected.e), ("B", &found.b, &expected.b)]
        {
            let gap = gap(a, b);
            assert!(gap < within, "{} {name}: {gap}", found.path);
        }
    }
}

#[test]
fn two_hundred_steps_as_peft_does_them() {
    let file = include_bytes!("../fixtures/adalora/peft.safetensors");
    let peft = Peft(SafeTensors::deserialize(file).unwrap());
    let (net, batches) = (peft.net(), peft.batches());
    let mut method =
        AdaLora::from_triplets(config(), training(), adapter(), peft.triplets("initial")).unwrap();
    let budgets = peft.bytes("budgets");
    let budgets: Vec<i32> =
        budgets.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap())).collect();
    let (asks, masks) = (peft.bytes("asks"), peft.bytes("masks"));
    let regularised = peft.floats("losses");
    for step in 1..=STEPS {
        let loss = net.step(&mut method, &batches[(step - 1) % batches.len()], step, 1.0);
        // PEFT's loss holds the regulariser as well.
        assert!(loss < f64::from(regularised[step - 1]), "step {step}");
        let (budget, ask) = method.budget(step);
        assert_eq!((budget as i32, u8::from(ask)), (budgets[step - 1], asks[step - 1]), "step {step}");
        let living: Vec<u8> =
            method.triplets().flat_map(|t| t.e.iter().map(|e| u8::from(*e != 0.0))).collect();
        assert_eq!(living, masks[(step - 1) * 18..step * 18], "mask after step {step}");
        if step == 100 {
            compare(&method, &peft.triplets("half"), 1e-4);
        }
    }
    compare(&method, &peft.triplets("final"), 1e-4);
    let pattern = peft.bytes("pattern");
    let kept: BTreeMap<String, usize> = NAMES
        .iter()
        .zip(pattern.chunks(RANK))
        .map(|(name, own)| (name.to_string(), own.iter().filter(|keep| **keep == 1).count()))
        .collect();
    assert_eq!(method.rank_map(), kept);
    // What is handed out has PEFT's ranks and computes the same.
    let result = method.result();
    assert_eq!(result.factors.iter().map(|f| (f.path.clone(), f.rank)).collect::<BTreeMap<_, _>>(), kept);
}

#[test]
fn the_scale_is_matched_unless_alpha_is_given() {
    let net =
        Peft(SafeTensors::deserialize(include_bytes!("../fixtures/adalora/peft.safetensors")).unwrap()).net();
    let scale = |config: AdaLoraConfig| {
        let method = AdaLora::new(config, training(), adapter(), net.modules(), net.sites()).unwrap();
        method.adapter().config.site_scale("fc1", RANK)
    };
    assert_eq!(scale(config()), 12.0 / (6.0 + 1e-5));
    // The default convention is a constant 2, which plain LoRA has at the target rank.
    assert_eq!(scale(AdaLoraConfig { alpha: None, ..config() }), 2.0);
}

#[test]
fn nothing_is_pruned_when_target_and_initial_rank_are_the_same() {
    let file = include_bytes!("../fixtures/adalora/peft.safetensors");
    let peft = Peft(SafeTensors::deserialize(file).unwrap());
    let (net, batches) = (peft.net(), peft.batches());
    let same = AdaLoraConfig { init_ratio: 1.0, ..config() };
    let full = AdapterConfig::new([("llm", RANK)], 0);
    let mut method = AdaLora::new(same, training(), full, net.modules(), net.sites()).unwrap();
    for step in 1..=STEPS {
        net.step(&mut method, &batches[step % batches.len()], step, 1.0);
        assert!(method.rank_map().values().all(|rank| *rank == RANK));
    }
    assert_eq!(method.budget(STEPS).0, 3 * RANK);
}

#[test]
fn layers_begin_with_no_more_than_their_largest_rank() {
    let file = include_bytes!("../fixtures/adalora/peft.safetensors");
    let peft = Peft(SafeTensors::deserialize(file).unwrap());
    let (net, batches) = (peft.net(), peft.batches());
    // The smallest layer has 6 outputs; twice as many triplets are asked for.
    let plain = AdapterConfig::new([("llm", RANK)], 0);
    let mut method = AdaLora::new(config(), training(), plain, net.modules(), net.sites()).unwrap();
    let ranks: Vec<usize> = method.triplets().map(Triplets::rank).collect();
    assert_eq!(ranks, [12, 10, 6]);
    for step in 1..=STEPS {
        net.step(&mut method, &batches[step % batches.len()], step, 1.0);
    }
    assert_eq!(method.rank_map().values().sum::<usize>(), 3 * RANK);
    let above = AdapterConfig::new([("llm", RANK + 1)], 0);
    let refused = AdaLora::new(config(), training(), above, net.modules(), net.sites());
    assert!(matches!(refused, Err(Error::RankTooLarge { max: RANK, .. })));
}

#[test]
fn settings_that_leave_nothing_to_do_are_refused() {
    let net =
        Peft(SafeTensors::deserialize(include_bytes!("../fixtures/adalora/peft.safetensors")).unwrap()).net();
    let start =
        |config: AdaLoraConfig| AdaLora::new(config, training(), adapter(), net.modules(), net.sites());
    for bad in [
        AdaLoraConfig { warmup: 160, ..config() },
        AdaLoraConfig { tail: 199, warmup: 0, ..config() },
        AdaLoraConfig { tail: 500, ..config() },
        AdaLoraConfig { interval: 0, ..config() },
        AdaLoraConfig { beta1: 1.0, ..config() },
        AdaLoraConfig { gamma: -1.0, ..config() },
        AdaLoraConfig { alpha: Some(0.0), ..config() },
        // A target rank above the initial one.
        AdaLoraConfig { init_ratio: 0.7, ..config() },
        AdaLoraConfig { init_ratio: f64::NAN, ..config() },
    ] {
        assert!(matches!(start(bad), Err(Error::BadValue { .. })), "{bad:?}");
    }
    let nothing = AdapterConfig::new([("llm", 0)], 0);
    let refused = AdaLora::new(config(), training(), nothing.clone(), net.modules(), net.sites());
    assert!(matches!(refused, Err(Error::NothingAdapted { .. })));
    let triplets = net.sites().iter().map(|site| Triplets::fresh(site, RANK, 0)).collect();
    let refused = AdaLora::from_triplets(config(), training(), nothing, triplets);
    assert!(matches!(refused, Err(Error::BadValue { .. })));
    let dora = AdapterConfig { dora: true, ..adapter() };
    let refused = AdaLora::new(config(), training(), dora, net.modules(), net.sites());
    assert!(matches!(refused, Err(Error::Variant { .. })));
}
