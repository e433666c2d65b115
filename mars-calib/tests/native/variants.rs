//! Runs of DoRA, dropout, other first values and LoRA+.

use crate::toy::{Setting, StopAt, spec, timeless};
use mars_calib::Init;
use mars_calib::{RunEnd, RunRecord, RunSpec, Silent, Trainer, Variant};

fn variants() -> Vec<RunSpec> {
    let with = |variant: Variant, seed| RunSpec { variant, ..spec(4, 2, seed, 40) };
    vec![
        with(Variant { dropout: 0.2, ..Variant::default() }, 0),
        with(Variant { dora: true, dropout: 0.1, ..Variant::default() }, 1),
        with(Variant { init: Init::Eva, ..Variant::default() }, 4),
        with(Variant { init: Init::Pissa, b_ratio: 4.0, ..Variant::default() }, 2),
        // Its A is as large as 1/r: too large for the learning rate at small ranks.
        RunSpec {
            ranks: spec(8, 5, 0, 1).ranks,
            ..with(Variant { init: Init::Gaussian, ..Variant::default() }, 3)
        },
        spec(4, 2, 0, 40),
    ]
}

#[test]
fn variants_learn_and_neither_company_nor_an_interruption_changes_them() {
    let setting = Setting::new();
    let specs = variants();
    let together = setting.trainer(8, 1).train(&specs, &mut Silent);
    for (spec, record) in specs.iter().zip(&together) {
        let last = |r: &RunRecord| r.val.last().unwrap().loss;
        assert!(last(record) < 0.9 * record.val[0].loss, "{:?} learns nothing", spec.variant);
        let straight = setting.trainer(1, 1).train(std::slice::from_ref(spec), &mut Silent).remove(0);
        assert!((last(&straight) - last(record)).abs() < 1e-5 * last(record), "{:?}", spec.variant);
        let mut trainer = setting.trainer(1, 1);
        trainer.train(std::slice::from_ref(spec), &mut StopAt(13));
        let resumed = trainer.train(std::slice::from_ref(spec), &mut Silent).remove(0);
        assert_eq!(timeless(resumed), timeless(straight), "{:?}", spec.variant);
        let adapter = trainer.adapter(spec).unwrap().unwrap();
        assert_eq!(adapter.factors[0].magnitude.is_some(), spec.variant.dora);
        assert_eq!(adapter.offset.is_empty(), spec.variant.init != Init::Pissa);
    }
    let (dropped, plain) = (&together[0], together.last().unwrap());
    assert_eq!(dropped.val[0], plain.val[0]);
    assert_ne!(dropped.train[0].loss + dropped.train[1].loss, plain.train[0].loss + plain.train[1].loss);
}

#[test]
fn a_variant_out_of_range_is_a_record() {
    let setting = Setting::new();
    let variant = Variant { dropout: 1.0, ..Variant::default() };
    let bad = RunSpec { variant, ..spec(4, 2, 0, 40) };
    let record = setting.trainer(1, 1).train(&[bad], &mut Silent).remove(0);
    let RunEnd::Failed { why } = record.end else { panic!("a dropout of 1 was trained") };
    assert!(why.contains("dropout"), "{why}");
}
