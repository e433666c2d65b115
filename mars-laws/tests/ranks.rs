//! Search over rank combinations and comparison of contenders, against straightforward reference computations.
#![allow(clippy::unwrap_used)]
use mars_laws::*;
use std::collections::BTreeMap;

fn candidates(modules: &[&str]) -> BTreeMap<String, Vec<usize>> {
    modules.iter().map(|m| (m.to_string(), vec![64, 4, 8, 16, 32, 8])).collect()
}

fn fitted(form: Form, modules: &[&str], parameters: &[f64]) -> LawPFit {
    let law = LawPForm {
        form,
        modules: modules.iter().map(|m| m.to_string()).collect(),
        sized: true,
        offset: true,
    };
    let mut data = Vec::new();
    for i in 0..60_usize {
        let rank = |m: usize| [4, 8, 16, 32, 64][(i * (m + 2) + i / 5 + m) % 5];
        let size = 1 << (8 + i % 7);
        let ranks: Ranks = modules.iter().enumerate().map(|(m, name)| (name.to_string(), rank(m))).collect();
        let input: Vec<f64> = (0..modules.len()).map(|m| rank(m) as f64).chain([size as f64]).collect();
        let wiggle = 1.0 + 0.01 * ((i * 37 % 19) as f64 / 9.0 - 1.0);
        data.push(PerformanceObservation::new(ranks, size, law.predict(parameters, &input) * wiggle));
    }
    let bootstrap = BootstrapOptions { draws: 200, ..BootstrapOptions::default() };
    fit_law_p(&data, form, &LawPOptions { bootstrap, ..LawPOptions::default() }).unwrap()
}

/// Names in the order of the alphabet, as fits keep them.
const THREE: [&str; 3] = ["llm", "projector", "ve"];

fn fits() -> Vec<LawPFit> {
    vec![
        fitted(Form::Published, &THREE, &[60.0, 0.15, 0.02, 0.1, 0.4, 2.0]),
        fitted(Form::Tied, &THREE, &[60.0, 0.15, 0.4, 2.0]),
        fitted(Form::Overfit, &THREE, &[60.0, 0.15, 0.02, 0.1, 0.4, 1.0, 0.02, 0.2, 0.05, 0.1, 0.3]),
        fitted(
            Form::Surface,
            &THREE,
            &[2.5, -0.2, -0.1, -0.15, 0.02, 0.003, -0.002, 0.012, 0.004, 0.018, -0.06],
        ),
        fitted(Form::Surface, &["llm"], &[2.5, -0.2, 0.02, -0.06]),
    ]
}

#[test]
fn best_ranks_are_those_of_the_plain_search() {
    for fit in fits() {
        let names: Vec<&str> = fit.law.modules.iter().map(String::as_str).collect();
        let mut slow = vec![Ranks::new()];
        for module in &names {
            let each = |r: &Ranks| [4, 8, 16, 32, 64].map(|rank| r.clone().with(*module, rank));
            slow = slow.iter().flat_map(each).collect();
        }
        for samples in [512, 65_536] {
            let mut scored: Vec<f64> = slow.iter().map(|r| fit.predict(r, samples)).collect();
            scored.sort_by(f64::total_cmp);
            let found = best_ranks(&fit, &candidates(&names), samples, 7).unwrap();
            assert_eq!(found.len(), 7.min(slow.len()));
            for (found, wanted) in found.iter().zip(&scored) {
                assert!((found.perplexity / wanted - 1.0).abs() < 1e-10, "{found:?} {wanted}");
                assert!((fit.predict(&found.ranks, samples) / wanted - 1.0).abs() < 1e-10);
            }
        }
    }
}

#[test]
fn search_refuses_what_it_cannot_search() {
    let fit = fits().remove(0);
    let bad = |candidates| matches!(best_ranks(&fit, &candidates, 512, 1), Err(Error::BadOption { .. }));
    assert!(bad(candidates(&["llm"])), "a module without candidates");
    let mut zero = candidates(&THREE);
    zero.insert("ve".into(), vec![0, 8]);
    assert!(bad(zero));
    let huge: BTreeMap<String, Vec<usize>> = THREE.map(|m| (m.to_string(), (1..20_000).collect())).into();
    assert!(bad(huge));
    assert!(best_ranks(&fit, &candidates(&THREE), 512, 0).unwrap().is_empty());
}

#[test]
fn contenders_are_counted_over_the_refits() {
    for fit in fits() {
        let field: Vec<Ranks> = [4, 16, 64]
            .into_iter()
            .flat_map(|a| [8, 32].map(|b| Ranks::new().with("llm", a).with("ve", b).with("projector", 8)))
            .collect();
        let found = contenders(&fit, &field, 2048, 0.9).unwrap();
        assert_eq!(found.len(), field.len());
        assert!((found.iter().map(|c| c.probability.unwrap()).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(found.iter().all(|c| c.regret >= Some(0.0) && c.interval.contains(c.perplexity)));
        let refits = fit.bootstrap.as_ref().unwrap();
        let best = |p: &Vec<f64>| {
            let value = |r: &Ranks| {
                let input: Vec<f64> =
                    fit.law.modules.iter().map(|m| r.get(m) as f64).chain([2048.0]).collect();
                fit.law.predict(p, &input)
            };
            (0..field.len()).min_by(|a, b| value(&field[*a]).total_cmp(&value(&field[*b]))).unwrap()
        };
        for (i, contender) in found.iter().enumerate() {
            let wins = refits.draws.iter().filter(|p| best(p) == i).count() as f64;
            assert!((contender.probability.unwrap() - wins / refits.draws.len() as f64).abs() < 1e-12);
        }
        let sure = found.iter().find(|c| c.probability == Some(1.0));
        assert!(sure.is_none_or(|c| c.regret == Some(0.0)));
    }
    let fit = fits().remove(0);
    assert!(contenders(&fit, &[Ranks::new().with("llm", 8)], 2048, 0.9).is_err());
    assert!(contenders(&fit, &[], 2048, 1.5).is_err());
}
