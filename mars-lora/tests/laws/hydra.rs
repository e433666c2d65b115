//! The hydra-style scheduler: budget at every step, ranks that follow the gradients.

use mars_lora::methods::{Feedback, HydraConfig, HydraStyle, MethodTraining, RankMethod};
use mars_lora::{AdaptedModule, AdapterConfig, Factors, Site};

/// Two towers of six blocks with four matrices each.
fn sites() -> (Vec<AdaptedModule>, Vec<Site>) {
    let module = |name: &str| AdaptedModule { name: name.into(), pattern: format!(r"{name}\..*") };
    let mut sites = Vec::new();
    for (tower, width) in [("ve", 24), ("llm", 40)] {
        for block in 0..6 {
            for (leaf, inputs, outputs) in [
                ("attn.q", width, width),
                ("attn.v", width, width),
                ("mlp.up", width, 3 * width),
                ("mlp.down", 3 * width, width),
            ] {
                sites.push(Site::linear(format!("{tower}.layers.{block}.{leaf}"), tower, inputs, outputs));
            }
        }
    }
    (vec![module("ve"), module("llm")], sites)
}

fn start() -> HydraStyle {
    let (modules, sites) = sites();
    let config = HydraConfig { warmup: 10, interval: 6, ..HydraConfig::new(200) };
    let training = MethodTraining::new(200, 1e-2);
    HydraStyle::new(config, training, AdapterConfig::new([("ve", 8), ("llm", 12)], 4), &modules, &sites)
        .unwrap()
}

/// Gradients whose size is that of their block and matrix: `llm` blocks grow, `up` is strongest.
fn gradients(adapter: &[Factors], step: usize) -> Vec<Factors> {
    let size = |path: &str| {
        let block: f32 = path.split('.').nth(2).unwrap().parse().unwrap();
        let tower = if path.starts_with("llm") { 1.0 + block } else { 0.5 };
        if path.ends_with("up") { 3.0 * tower } else { tower }
    };
    let wave = |i: usize| ((i * 31 + step * 17) as f32 * 0.37).sin();
    let fill = |f: &Factors| {
        let size = size(&f.path) / ((f.a.len() + f.b.len()) as f32).sqrt();
        let values = |length: usize| (0..length).map(|i| size * wave(i)).collect();
        Factors { a: values(f.a.len()), b: values(f.b.len()), ..f.clone() }
    };
    adapter.iter().map(fill).collect()
}

#[test]
fn the_parameter_budget_holds_at_every_step() {
    let mut method = start();
    let uniform = method.rank_map();
    let (mut maps, mut before) = (0, uniform.clone());
    for step in 1..=200 {
        let adapter = method.adapter();
        let own = gradients(&adapter.factors, step);
        let loss = 3.0 - 0.01 * step as f64 + 0.1 * (step as f64).sin();
        method.step(&Feedback { gradients: &own, loss, step, schedule: 1.0 }).unwrap();
        let (used, budget) = method.parameters();
        assert!((used as f64 / budget as f64 - 1.0).abs() <= 0.01, "step {step}: {used} of {budget}");
        assert_eq!(used, method.result().parameters());
        let now = method.rank_map();
        assert!(step >= 10 || now == uniform, "the warm-up is uniform");
        assert!(now == before || (step - 10) % 6 == 0, "ranks change at their interval only");
        assert!(step <= 150 || now == before, "the last quarter keeps its ranks");
        maps += usize::from(now != before);
        before = now;
    }
    assert!(maps >= 3, "the ranks changed {maps} times");
}

#[test]
fn strong_layers_and_strong_matrices_get_more() {
    let mut method = start();
    for step in 1..=10 {
        let own = gradients(&method.adapter().factors, step);
        method.step(&Feedback { gradients: &own, loss: 1.0, step, schedule: 1.0 }).unwrap();
    }
    let ranks = method.rank_map();
    for tower in ["ve", "llm"] {
        for block in 0..6 {
            let of = |leaf: &str| ranks[&format!("{tower}.layers.{block}.{leaf}")];
            assert!(of("mlp.up") > of("attn.q"), "{tower} {block}: {ranks:?}");
        }
    }
    assert!(ranks["llm.layers.5.attn.q"] > ranks["llm.layers.0.attn.q"]);
    assert!(ranks["llm.layers.5.attn.q"] > 2 * ranks["ve.layers.5.attn.q"]);
}

#[test]
fn the_same_seed_gives_the_same_ranks() {
    let run = || {
        let mut method = start();
        for step in 1..=100 {
            let own = gradients(&method.adapter().factors, step);
            let loss = 2.0 + (0.7 * step as f64).cos();
            method.step(&Feedback { gradients: &own, loss, step, schedule: 1.0 }).unwrap();
        }
        (method.rank_map(), method.result().factors)
    };
    assert_eq!(run(), run());
}
