//! Which runs can go through the model together.

use crate::{OptimSpec, RunSpec};

/// What the runs of one stack have in common.
#[derive(Clone, Debug, PartialEq)]
struct Company {
    start: usize,
    batch: usize,
    eval_every: usize,
    optim: OptimSpec,
    modules: Vec<String>,
}

impl Company {
    fn of(spec: &RunSpec, start: usize) -> Self {
        Self {
            start,
            batch: spec.batch,
            eval_every: spec.eval_every,
            optim: spec.optim,
            modules: spec.ranks.modules().map(String::from).collect(),
        }
    }
}

/// Splits runs, given as (index, spec, first step), into stacks of at most `most`, in order.
///
/// Stacks of one company are as equal in size as can be, so that no worker is left with a single run.
pub(super) fn stacks(runs: &[(usize, &RunSpec, usize)], most: usize) -> Vec<Vec<usize>> {
    let mut companies: Vec<(Company, Vec<usize>)> = Vec::new();
    for (index, spec, start) in runs {
        let company = Company::of(spec, *start);
        match companies.iter_mut().find(|(known, _)| *known == company) {
            Some((_, members)) => members.push(*index),
            None => companies.push((company, vec![*index])),
        }
    }
    let split = |members: Vec<usize>| {
        let parts = members.len().div_ceil(most.max(1));
        let size = members.len().div_ceil(parts);
        members.chunks(size).map(<[usize]>::to_vec).collect::<Vec<_>>()
    };
    companies.into_iter().flat_map(|(_, members)| split(members)).collect()
}
