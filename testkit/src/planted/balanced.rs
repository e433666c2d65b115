//! Planted laws for tasks of two modules, and the answers that follow from them.

use super::{Planted, Task, ve_llm};
use mars_laws::Ranks;
use std::collections::BTreeMap;

/// Law of `ve`: times that are equal at equal ranks, with an interior that both modules reach.
pub const VE: Planted = (9.0, -0.5, 0.6, 0.0);

/// A reference law that makes `ve = 0.55 llm` the balance for all ranks and sizes, off the candidates so
/// that no solution sits on the edge of the range: equal exponents and k_llm / k_ve = 0.55^gamma.
pub fn half() -> BTreeMap<String, Planted> {
    let (k, gamma, delta, _) = VE;
    let llm = (k * 0.55_f64.powf(gamma), gamma, delta, 0.0);
    BTreeMap::from([("ve".to_owned(), VE), ("llm".to_owned(), llm)])
}

/// The rank of `module`; 1 where it is not adapted, so that planted losses stay finite.
pub fn rank_of(ranks: &Ranks, module: &str) -> f64 {
    ranks.get(module).max(1) as f64
}

/// Log of a published Law-P: perplexity falls with every rank.
pub fn law_p(ranks: &Ranks, samples: usize) -> f64 {
    let product = |module: &str, alpha: f64| rank_of(ranks, module).powf(alpha);
    (30.0 / (product("ve", 0.2) * product("llm", 0.3) * (samples as f64).powf(0.4)) + 1.5).ln()
}

/// A task with these laws, and curves that fall to `law_p` and end close to it.
pub fn task(laws: BTreeMap<String, Planted>) -> Task {
    Task { laws, ..Task::new(law_p) }
}

/// The balanced pairs of [`half`] within the candidates 8, 16, 32, 64.
pub fn balanced() -> [Ranks; 3] {
    [ve_llm(8, 16), ve_llm(16, 32), ve_llm(32, 64)]
}
