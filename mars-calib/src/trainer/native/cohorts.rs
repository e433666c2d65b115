//! Which runs can go through the model together.

use crate::{OptimSpec, RunSpec};

/// What the runs of one stack have in common.
/// Equal first step, batch size, interval and samples of evaluations, optimizer and adapted modules; ranks, seeds, samples,
/// horizons and learning rates may differ.
#[derive(Clone, Debug, PartialEq)]
struct StackKey {
    start: usize,
    batch: usize,
    eval_every: usize,
    validation: Option<usize>,
    optim: OptimSpec,
    modules: Vec<String>,
}

impl StackKey {
    fn of(spec: &RunSpec, start: usize) -> Self {
        Self {
            start,
            batch: spec.batch,
            eval_every: spec.eval_every,
            validation: spec.validation,
            optim: spec.optim,
            modules: spec.ranks.modules().map(String::from).collect(),
        }
    }
}

/// Most adapters of a stack, where `most` go through a model together: so few that `runs` runs keep `devices` devices busy.
pub fn stack_width(most: usize, runs: usize, devices: usize) -> usize {
    most.min(runs.div_ceil(devices.max(1))).max(1)
}

/// Splits runs, given as (index, spec, first step), into stacks of at most `most`, in order.
///
/// Stacks of one cohort, the runs with the same key, are as equal in size as can be: their sizes differ by at most 1.
pub fn stacks(runs: &[(usize, &RunSpec, usize)], most: usize) -> Vec<Vec<usize>> {
    let mut cohorts: Vec<(StackKey, Vec<usize>)> = Vec::new();
    for (index, spec, start) in runs {
        let key = StackKey::of(spec, *start);
        match cohorts.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(*index),
            None => cohorts.push((key, vec![*index])),
        }
    }
    let split = |members: Vec<usize>| {
        let parts = members.len().div_ceil(most.max(1));
        let cut = |part: usize| part * members.len() / parts;
        (0..parts).map(|part| members[cut(part)..cut(part + 1)].to_vec()).collect::<Vec<_>>()
    };
    cohorts.into_iter().flat_map(|(_, members)| split(members)).collect()
}
