//! DoRA beside PEFT 0.18.1: `tests/oracle/dora_gradients.py` writes the gradients of one backward pass.

use crate::toy::{Batch, Toy};
use burn::tensor::Tensor;
use mars_lora::{Adapter, AdapterConfig, AdapterStack, Factors, Model, ScaleConvention};
use mars_testkit::device::device;
use mars_testkit::toy::Layer;
use safetensors::SafeTensors;

const NAMES: [&str; 2] = ["fc1", "fc2"];
const MODULES: [&str; 2] = ["ve", "llm"];
const WIDTHS: [usize; 3] = [9, 7, 5];
const RANK: usize = 3;

struct Peft<'a>(SafeTensors<'a>);

impl Peft<'_> {
    fn words(&self, name: &str) -> Vec<[u8; 4]> {
        let data = self.0.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| b.try_into().unwrap()).collect()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.words(name).into_iter().map(f32::from_le_bytes).collect()
    }

    fn layer(&self, n: usize) -> Layer {
        let (name, inputs, outputs) = (NAMES[n], WIDTHS[n], WIDTHS[n + 1]);
        // Theirs is `[outputs, inputs]`.
        let weight = self.floats(&format!("{name}.weight"));
        let weight = (0..inputs * outputs).map(|at| weight[at % outputs * inputs + at / outputs]).collect();
        let bias = Some(self.floats(&format!("{name}.bias")));
        Layer { path: name, module: MODULES[n], pattern: name, sizes: [inputs, outputs], weight, bias }
    }

    /// What `kind` has of each layer: nothing for the factors themselves, or `gradient.`.
    fn factors(&self, kind: &str) -> Vec<Factors> {
        let of = |n: usize| Factors {
            path: NAMES[n].into(),
            rank: RANK,
            inputs: WIDTHS[n],
            outputs: WIDTHS[n + 1],
            a: self.floats(&format!("{kind}{}.a", NAMES[n])),
            b: self.floats(&format!("{kind}{}.b", NAMES[n])),
            magnitude: Some(self.floats(&format!("{kind}{}.magnitude", NAMES[n]))),
        };
        (0..NAMES.len()).map(of).collect()
    }
}

/// That of the magnitude does not tell whether the norm is constant; those of A and B do.
#[test]
fn dora_trains_with_a_norm_that_is_constant() {
    let file = include_bytes!("../fixtures/dora/peft.safetensors");
    let peft = Peft(SafeTensors::deserialize(file).unwrap());
    let model = Toy::new([peft.layer(0), peft.layer(1)], Tensor::tanh);
    let config = AdapterConfig {
        dora: true,
        scale: ScaleConvention::AlphaOverRank { alpha: 6.0 },
        ..AdapterConfig::new(MODULES.map(|module| (module, RANK)), 0)
    };
    let adapter = Adapter { config, factors: peft.factors(""), offset: Vec::new() };
    let stack = AdapterStack::new(&[adapter], &model).unwrap();
    let classes = peft.words("classes").into_iter().map(i32::from_le_bytes).collect();
    let batch = Batch::new(1, peft.floats("x"), classes, &device());

    let tracked = stack.tracked();
    let loss = model.forward(&batch, &tracked, false).mean().sum();
    let found: f32 = loss.clone().into_data().iter::<f32>().sum();
    assert!((found - peft.floats("loss")[0]).abs() < 1e-5, "loss {found}");
    let mut gradients = loss.backward();
    let found = stack.unpad(&tracked.gradients(&mut gradients)).swap_remove(0);
    // Sums of at most 12 products in f32.
    for (found, expected) in found.iter().zip(peft.factors("gradient.")) {
        let (own, magnitude) = (found.magnitude.as_ref().unwrap(), expected.magnitude.as_ref().unwrap());
        for (part, found, expected) in
            [("A", &found.a, &expected.a), ("B", &found.b, &expected.b), ("m", own, magnitude)]
        {
            let size = expected.iter().fold(0.0f32, |size, g| size.max(g.abs()));
            assert!(size > 1e-2 && found.len() == expected.len(), "{} {part}", expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5 * size, "{part}: {found} {expected} of {size}");
            }
        }
    }
}
