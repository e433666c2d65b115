//! A base whose linear layers are packed for products in bf16, multiplied by the emulator of tiles and by what the processor has.

use crate::half::changed;
use crate::kit::{CASES, Samples, fixture, gaps, pass, stack};
use half::bf16;
use mars_kernels::{Compute, Kernel};
use mars_lora::{Adapter, AdapterConfig, AdapterStack, Init, Model, Targets};
use mars_testkit::device::device;
use mars_vlm::Error;
use mars_vlm::checkpoint::{Precision, Storage};
use mars_vlm::model::AnyModel;
use std::path::Path;

const ALL: [&str; 3] = ["ve", "projector", "llm"];

fn packed(dir: &Path, compute: Compute, kernel: Kernel) -> AnyModel {
    let storage = Storage { precision: Precision::F32, packed: Some((compute, kernel)) };
    AnyModel::load(dir, storage, &device()).unwrap()
}

fn plain(dir: &Path) -> AnyModel {
    AnyModel::from_dir(dir, &device()).unwrap()
}

fn values(model: &AnyModel, site: usize) -> Vec<f32> {
    model.weight(site).unwrap().into_data().iter::<f32>().collect()
}

/// The kernels for bf16 that this machine has.
fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|kernel| *kernel != Kernel::F32 && kernel.usable().is_ok())
}

/// A copy of a case whose weights are exactly bf16.
fn exact(case: &str) -> tempfile::TempDir {
    changed(case, |_, v| bf16::from_f32(v).to_f32())
}

#[test]
fn two_parts_give_the_losses_of_f32_to_1e_5_and_its_gradients_where_weights_are_bf16() {
    for &case in CASES {
        let dir = exact(case);
        let batch = Samples::read(&fixture(case)).batch(2);
        let run = |model: &AnyModel, again: bool| {
            let stack = stack(model, &ALL, &Targets::all_linear(), 0.0);
            pass(model, &batch, &stack, again)
        };
        let wide = run(&plain(dir.path()), false);
        for kernel in kernels() {
            let own = packed(dir.path(), Compute::Bf16x2, kernel);
            let (losses, gradients) = gaps(&wide, &run(&own, false));
            assert!(losses > 0.0 && losses < 1e-5, "{case} {kernel}: losses are off by {losses:e}");
            assert!(gradients < 1e-3, "{case} {kernel}: gradients are off by {gradients:e}");
            assert_eq!(gaps(&run(&own, false), &run(&own, true)), (0.0, 0.0), "{case} {kernel}");
        }
    }
}

#[test]
fn one_part_and_weights_that_are_not_bf16_stay_within_their_terms() {
    for &case in CASES {
        let batch = Samples::read(&fixture(case)).batch(1);
        let losses = |model: &AnyModel| {
            let stack = AdapterStack::base(1, model);
            model.forward(&batch, &stack, true).mean().into_data().iter::<f64>().collect::<Vec<f64>>()
        };
        let wide = losses(&plain(&fixture(case)));
        for kernel in kernels() {
            for (compute, most) in [(Compute::Bf16x2, 3e-5), (Compute::Bf16, 0.03)] {
                let own = losses(&packed(&fixture(case), compute, kernel));
                let gap = wide.iter().zip(&own).map(|(x, y)| (x - y).abs() / x.abs()).fold(0.0, f64::max);
                assert!(gap < most, "{case} {kernel} {compute}: {wide:?} and {own:?}");
            }
        }
    }
}

#[test]
fn packed_in_f32_a_model_computes_what_the_plain_one_does() {
    for &case in CASES {
        let batch = Samples::read(&fixture(case)).batch(2);
        let run = |model: &AnyModel| {
            let stack = stack(model, &ALL, &Targets::all_linear(), 0.0);
            pass(model, &batch, &stack, false)
        };
        let own = packed(&fixture(case), Compute::F32, Kernel::F32);
        let (losses, gradients) = gaps(&run(&plain(&fixture(case))), &run(&own));
        assert!(losses < 1e-5 && gradients < 1e-4, "{case}: {losses:e} {gradients:e}");
    }
}

#[test]
fn variants_read_the_packed_weights() {
    for case in ["idefics3/gqa_split", "qwen3_vl/three_deep"] {
        let dir = exact(case);
        let (wide, own) = (plain(dir.path()), packed(dir.path(), Compute::Bf16x2, Kernel::Emulator));
        for site in 0..wide.sites().len() {
            assert_eq!(values(&own, site), values(&wide, site), "{}", wide.sites()[site].path);
        }
        let batch = Samples::read(&fixture(case)).batch(2);
        for (dora, init) in [(true, Init::Uniform), (false, Init::Pissa)] {
            let run = |model: &AnyModel| {
                let adapter = |k| {
                    let ranks = ALL.map(|module| (module, 2));
                    let config = AdapterConfig { dora, init, dropout: 0.25, ..AdapterConfig::new(ranks, k) };
                    let mut adapter = Adapter::fresh(config, model).unwrap();
                    let factors = adapter.factors.iter_mut().flat_map(|factors| &mut factors.b);
                    factors.enumerate().for_each(|(n, b)| *b += ((n * 37) % 101) as f32 / 500.0 - 0.1);
                    adapter
                };
                let stack = AdapterStack::new(&[adapter(0), adapter(1)], model).unwrap();
                pass(model, &batch, &stack, false)
            };
            let (losses, gradients) = gaps(&run(&wide), &run(&own));
            assert!(losses < 1e-5 && gradients < 1e-3, "{case} {dora} {init:?}: {losses:e} {gradients:e}");
        }
    }
}

#[test]
fn packed_weights_are_counted_and_known_to_visitors() {
    let dir = exact("idefics3/gqa_split");
    let (wide, own) = (plain(dir.path()), packed(dir.path(), Compute::F32, Kernel::F32));
    assert_eq!(own.sizes().parameters, wide.sizes().parameters);
    assert_eq!(own.sizes().bytes, wide.sizes().bytes);
    // Tiny layers do not fill their tiles, so that 2 bytes a weight come to more than 4; a weight that is not bf16 takes twice as much.
    let tiles = |dir: &Path| packed(dir, Compute::Bf16x2, Kernel::Emulator).sizes().bytes;
    assert!(tiles(dir.path()) >= wide.sizes().bytes);
    assert!(tiles(&fixture("idefics3/gqa_split")) > tiles(dir.path()));
}

#[test]
fn a_kernel_that_the_processor_lacks_is_refused_with_the_reason() {
    for kernel in Kernel::ALL {
        let storage = Storage { precision: Precision::F32, packed: Some((Compute::Bf16x2, kernel)) };
        let loaded = AnyModel::load(&fixture("idefics3/gqa_split"), storage, &device());
        match kernel.usable() {
            Ok(()) => assert!(loaded.is_ok()),
            Err(reason) => {
                let error = loaded.unwrap_err();
                assert!(matches!(error, Error::Kernel(_)));
                assert!(error.to_string().contains(&reason.to_string()), "{error}");
            }
        }
    }
}
