//! What the policies are asked about: spaces of ranks and a budget.

use mars_laws::Ranks;
use mars_search::{Budget, CalibrationPlan, Space};
use std::collections::BTreeMap;

/// Two modules with four candidate ranks each, default 16, `ve` at twice the parameters of `llm`.
pub fn space() -> Space {
    let ranks = vec![8, 16, 32, 64];
    Space {
        modules: vec!["ve".to_owned(), "llm".to_owned()],
        reference: "llm".to_owned(),
        candidates: BTreeMap::from([("ve".to_owned(), ranks.clone()), ("llm".to_owned(), ranks)]),
        default_rank: 16,
        parameters_per_rank: BTreeMap::from([("ve".to_owned(), 200), ("llm".to_owned(), 100)]),
    }
}

/// `modules` modules named `llm`, `m1`, `m2`, ... with `ranks` each.
pub fn wide_space(modules: usize, ranks: &[usize]) -> Space {
    let names: Vec<String> =
        (0..modules).map(|i| if i == 0 { "llm".to_owned() } else { format!("m{i}") }).collect();
    Space {
        candidates: names.iter().map(|name| (name.clone(), ranks.to_vec())).collect(),
        modules: names,
        reference: "llm".to_owned(),
        default_rank: 16,
        parameters_per_rank: BTreeMap::new(),
    }
}

/// 320 steps of 16 samples, 4096 samples, and a calibration on four ranks and four sizes with two seeds.
pub fn budget() -> Budget {
    Budget {
        eval_every: 1,
        validation_samples: 1,
        training_losses: false,
        steps: 320,
        samples: 4096,
        batch: 16,
        seed: 1,
        calibration: CalibrationPlan {
            ranks: vec![8, 16, 32, 64],
            sizes: vec![128, 256, 512, 1024],
            steps: 4000,
            seeds: vec![1, 2],
            joint: 8,
            window: None,
            eval_every: 0,
            validation_samples: 0,
        },
    }
}

/// Ranks of `ve` and `llm`.
pub fn ve_llm(ve: usize, llm: usize) -> Ranks {
    Ranks::new().with("ve", ve).with("llm", llm)
}
