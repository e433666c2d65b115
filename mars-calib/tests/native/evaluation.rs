//! Scores of a split do not depend on how its passes are divided.

use crate::toy::{Setting, points, spec};
use mars_calib::native::{Evaluation, NativeOptions, NativeTrainer, evaluate};
use mars_calib::{RunSpec, Silent, Trainer};
use mars_lora::{Adapter, AdapterStack};

fn trained(setting: &Setting, specs: &[RunSpec]) -> Vec<Adapter> {
    let (model, train, validation) = (&setting.model, &setting.train, &setting.validation);
    let mut trainer = NativeTrainer::new(model, train, validation, NativeOptions::default());
    trainer.train(specs, &mut Silent);
    specs.iter().map(|spec| trainer.adapter(spec).unwrap().unwrap()).collect()
}

#[test]
fn scores_come_in_order_with_the_same_bits_in_batches_of_any_size_and_on_any_threads() {
    let setting = Setting::new();
    let adapters = trained(&setting, &[spec(4, 2, 0, 10), spec(1, 6, 1, 10), spec(2, 2, 2, 10)]);
    let (model, test) = (&setting.model, points(5, 23));
    // In no order, and some of them twice.
    let rows: Vec<usize> = (0..31).map(|place| place * 7 % 23).collect();
    let stack = AdapterStack::new(&adapters, model).unwrap();
    let alone: Vec<Vec<Evaluation>> = adapters
        .iter()
        .map(|adapter| {
            let stack = AdapterStack::new(std::slice::from_ref(adapter), model).unwrap();
            let one = |row: &usize| evaluate(model, &test, &[*row], 1, &stack).unwrap().remove(0);
            rows.iter().map(one).collect()
        })
        .collect();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for batch in [1, 2, 7, 31, 64] {
            let all = pool.install(|| evaluate(model, &test, &rows, batch, &stack)).unwrap();
            for (found, expected) in all.iter().zip(&alone) {
                let samples: Vec<_> = expected.iter().flat_map(|one| one.samples.clone()).collect();
                assert_eq!(found.samples, samples, "batches of {batch}, {threads} threads");
                let flops: f64 = expected.iter().map(|one| one.flops).sum();
                assert!((found.flops / flops - 1.0).abs() < 1e-12, "{} and {flops} FLOPs", found.flops);
            }
        }
    }
    assert!(evaluate(model, &test, &[], 4, &stack).is_err());
}
