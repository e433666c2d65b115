//! The fake trainer is a trustworthy stand-in: its planted times come out of the convergence rules,
//! continued runs equal straight ones, one run's fault is no other run's.

use crate::spec;
use mars_calib::{
    AloneVal, CheckpointStore, ConvergenceRule, FakeTrainer, MemoryCheckpoints, RunEnd, RunRecord, RunSpec,
    Silent, Trainer, convergence::TimeConstant, fake::Fault,
};
use mars_laws::Ranks;

fn train(trainer: &mut FakeTrainer, specs: &[RunSpec]) -> Vec<RunRecord> {
    trainer.train(specs, &mut Silent)
}

#[test]
fn planted_times_come_out_of_the_rules() {
    let mut trainer = FakeTrainer { noise: 0.0, ..FakeTrainer::default() };
    for (module, rank, samples) in [("llm", 8, 64), ("llm", 64, 256), ("ve", 16, 128)] {
        let planted = trainer.modules[module].time(rank, samples);
        let steps = (4.0 * planted) as usize;
        let run = RunSpec {
            ranks: Ranks::new().with(module, rank),
            samples,
            horizon: steps,
            eval_every: 1,
            ..spec(0, 0, steps)
        };
        let record = &train(&mut trainer, &[run])[0];
        let alone = AloneVal::default().of(record).step().unwrap();
        assert!((alone / planted - 1.0).abs() < 0.02, "{module}: {alone} {planted}");
        let tau = TimeConstant::default().of(record).step().unwrap();
        assert!((tau * 10f64.ln() / planted - 1.0).abs() < 0.01, "{module}: {tau} {planted}");
    }
}

#[test]
fn higher_ranks_converge_sooner_and_lower() {
    let trainer = FakeTrainer { noise: 0.0, ..FakeTrainer::default() };
    let losses: Vec<f64> = [4, 8, 16, 32].map(|rank| trainer.loss(&spec(0, rank, 1), 1000)).to_vec();
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
}

#[test]
fn rungs_equal_a_straight_run() {
    let mut rungs =
        FakeTrainer { checkpoints: Some(Box::new(MemoryCheckpoints::default())), ..FakeTrainer::default() };
    for steps in [3, 25, 49, 50] {
        train(&mut rungs, &[spec(8, 16, steps)]);
    }
    let straight = train(&mut FakeTrainer::default(), &[spec(8, 16, 90)]);
    assert_eq!(train(&mut rungs, &[spec(8, 16, 90)]), straight);
}

#[test]
fn a_converged_run_whose_result_was_lost_ends_where_it_did() {
    let early = RunSpec { stop_when_converged: true, horizon: 400, eval_every: 2, ..spec(0, 8, 400) };
    let straight =
        train(&mut FakeTrainer { noise: 0.0, ..FakeTrainer::default() }, std::slice::from_ref(&early))
            .remove(0);
    let end = straight.train.len();
    assert!(straight.end == RunEnd::Converged && end < 400, "{} at {end}", straight.end);
    for checkpoint_every in [1, end, end - 1] {
        let checkpoints: Option<Box<dyn CheckpointStore>> = Some(Box::new(MemoryCheckpoints::default()));
        let mut trainer = FakeTrainer { noise: 0.0, checkpoints, checkpoint_every, ..FakeTrainer::default() };
        for _ in 0..3 {
            assert_eq!(
                train(&mut trainer, std::slice::from_ref(&early))[0],
                straight,
                "every {checkpoint_every}"
            );
        }
    }
}

#[test]
fn one_runs_fault_is_no_other_runs() {
    let specs = [spec(8, 8, 40), spec(0, 8, 40), spec(8, 0, 40)];
    let clean = train(&mut FakeTrainer::default(), &specs);
    for fault in [Fault::Diverge(0), Fault::Diverge(1), Fault::Diverge(40), Fault::Fail("gone".into())] {
        let mut trainer = FakeTrainer::default();
        trainer.faults.insert(specs[1].ranks.clone(), fault);
        let faulty = train(&mut trainer, &specs);
        assert_eq!((&faulty[0], &faulty[2]), (&clean[0], &clean[2]));
        assert!(!matches!(faulty[1].end, RunEnd::Finished), "{:?}", faulty[1].end);
    }
}
