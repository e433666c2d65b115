//! A quantised base: linear layers in 8 or 4 bits.

use crate::kit::{CASES, Samples, fixture, pass, stack};
use mars_lora::ops::BLOCK;
use mars_lora::{Adapter, AdapterConfig, AdapterStack, Init, Model, Targets};
use mars_testkit::device::device;
use mars_vlm::checkpoint::Precision;
use mars_vlm::model::AnyModel;

const ALL: [&str; 3] = ["ve", "projector", "llm"];

fn load(case: &str, precision: Precision) -> AnyModel {
    AnyModel::load(&fixture(case), precision, &device()).unwrap()
}

fn values(model: &AnyModel, site: usize) -> Vec<f32> {
    model.weight(site).unwrap().into_data().iter::<f32>().collect()
}

#[test]
fn losses_stay_near_those_of_the_base_in_f32() {
    let mut quantised = 0;
    for &case in CASES {
        let batch = Samples::read(&fixture(case)).batch(2);
        let losses = |precision| {
            let model = load(case, precision);
            let stack = stack(&model, &ALL, &Targets::all_linear(), 0.0);
            let [plain, again] = [false, true].map(|again| pass(&model, &batch, &stack, again).losses);
            assert_eq!(plain, again, "{case} {precision}");
            (plain, model.sizes().bytes)
        };
        let (exact, bytes) = losses(Precision::F32);
        for (precision, most) in [(Precision::Q8, 0.005), (Precision::Q4, 0.05)] {
            let (own, fewer) = losses(precision);
            let gaps = exact.iter().zip(&own).map(|(x, y)| (x - y).abs() / x);
            let gap = gaps.fold(0.0, f64::max);
            assert!(gap < most, "{case} {precision}: {exact:?} and {own:?}");
            // The tiniest models have no layer of a whole number of blocks.
            assert_eq!(gap > 0.0, fewer < bytes, "{case} {precision}: {fewer} of {bytes} bytes");
            quantised += usize::from(fewer < bytes);
        }
    }
    assert!(quantised >= 16, "{quantised} of {} are quantised", 2 * CASES.len());
}

#[test]
fn weights_are_off_by_half_a_step_of_their_block_at_most() {
    let exact = load("idefics3/gqa_split", Precision::F32);
    for (precision, steps) in [(Precision::Q8, 127.0), (Precision::Q4, 7.0)] {
        let model = load("idefics3/gqa_split", precision);
        for (index, site) in model.sites().iter().enumerate() {
            let (known, own) = (values(&exact, index), values(&model, index));
            if known == own {
                continue;
            }
            for (known, own) in known.chunks(BLOCK).zip(own.chunks(BLOCK)) {
                let step = known.iter().fold(0.0f32, |most, v| most.max(v.abs())) / steps;
                let within = known.iter().zip(own).all(|(a, b)| (a - b).abs() <= 0.5001 * step);
                assert!(within, "{precision} {}", site.path);
            }
        }
    }
}

#[test]
fn variants_that_read_weights_take_quantised_ones() {
    let case = "qwen3_vl/three_deep";
    let batch = Samples::read(&fixture(case)).batch(2);
    let losses = |precision, dora, init| {
        let model = load(case, precision);
        let ranks = ALL.map(|module| (module, 2));
        let adapter = |k| {
            let config = AdapterConfig { dora, init, dropout: 0.25, ..AdapterConfig::new(ranks, k) };
            Adapter::fresh(config, &model).unwrap()
        };
        let stack = AdapterStack::new(&[adapter(0), adapter(1)], &model).unwrap();
        pass(&model, &batch, &stack, false).losses
    };
    for (dora, init) in [(true, Init::Uniform), (false, Init::Pissa)] {
        let (exact, own) = (losses(Precision::F32, dora, init), losses(Precision::Q8, dora, init));
        let near = |(x, y): (&f64, &f64)| (x - y).abs() < 0.01 * x;
        assert!(exact.iter().zip(&own).all(near), "{dora} {init:?}: {exact:?} and {own:?}");
        assert_ne!(exact, own);
    }
}
