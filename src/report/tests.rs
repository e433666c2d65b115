//! The report on whole, broken, empty and hostile data.
#![allow(clippy::unwrap_used)]

use super::{
    LayerRank, RankMap, ReportData, TestScore,
    axis::{Axis, Scale},
    number::{fixed, plain},
    render,
    sample::search,
    svg::escape,
};
use crate::{
    Overfitting,
    quantity::{duration, flops},
};
use mars_laws::{Interval, OverfittingEstimate};
use mars_search::{TrialEnd, TrialResult, total_cost};

/// Checks what must hold of every report: balanced tags, unique ids, resolved references, no NaN, nothing
/// loaded from elsewhere, words for each picture.
fn check(html: &str) {
    let mut open: Vec<String> = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    let body = html.strip_prefix("<!DOCTYPE html>").unwrap();
    for piece in body.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in order");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        assert!(!["script", "img", "link", "iframe", "object", "foreignObject"].contains(&name), "{tag}");
        for attribute in tag.split(" id=\"").skip(1) {
            ids.push(attribute.split('"').next().unwrap());
        }
        if !tag.ends_with('/') && !["meta", "br"].contains(&name) {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "{open:?}");
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "ids are used once");
    for list in html.split("aria-labelledby=\"").skip(1) {
        for id in list.split('"').next().unwrap().split(' ') {
            assert!(ids.contains(&id), "{id}");
        }
    }
    assert_eq!(html.matches("role=\"img\"").count(), html.matches("<desc").count());
    for bad in ["NaN", "inf", "http:", "https:", "url(http", "@import"] {
        let at = html.find(bad);
        assert!(at.is_none(), "{}", &html[at.unwrap().saturating_sub(80)..][..120]);
    }
}

/// The texts of the page.
fn count(html: &str, what: &str) -> usize {
    html.matches(what).count()
}

#[test]
fn every_policy_has_a_whole_report() {
    for policy in [
        "guided",
        "surface",
        "asha",
        "race",
        "paper",
        "halving",
        "grid",
        "random:5",
        "fixed:8x16",
        "adalora",
        "diff-lr",
    ] {
        let data = search(policy, 0.04);
        let html = render(&data);
        check(&html);
        assert!(html.contains(&data.policy));
        assert!(html.contains(&escape(&data.decision.reason)));
        assert!(html.contains(&format!(
            "ve = {}, llm = {}",
            data.decision.ranks.get("ve"),
            data.decision.ranks.get("llm")
        )));
        // Runs train side by side: the sum of their times is not the time that passed.
        assert_eq!(count(&html, "summed over trials"), 3);
        assert!(!html.contains("wall time"));
        assert!(html.contains("18.310") && html.contains("1.921") && html.contains("71.6 %"));
        assert_eq!(count(&html, "<tr class=\"strong\"><td>chosen</td>"), 1, "one row is the choice");
        assert_eq!(
            html.contains("Law-P, form published, 95 % intervals in brackets: A = "),
            policy == "paper"
        );
    }
}

#[test]
fn a_race_is_drawn_with_its_laws_and_every_run() {
    let data = search("race", 0.02);
    let html = render(&data);
    // Two modules times three sizes, two laws, one balance, measured perplexity, race, final run, price.
    assert_eq!(count(&html, "role=\"img\""), 2 * 3 + 2 + 1 + 1 + 1 + 1 + 1);
    let curves = html.split("Calibration runs").nth(1).unwrap().split("</section>").next().unwrap();
    // Two seeds of four ranks, and the legend's swatches, in each of six charts.
    assert_eq!(count(curves, "<path class=\"line s"), 6 * (8 + 4));
    // One run of each module is censored.
    assert_eq!(count(curves, ": converged at step"), 48 - 2);
    assert_eq!(count(curves, "7 of 8 runs converged"), 2);
    let laws = html.split("<h2>Convergence times").nth(1).unwrap().split("</section>").next().unwrap();
    assert_eq!(count(laws, "<title>rank "), 46);
    assert_eq!(count(laws, "23 points, 1 censored"), 2);
    for law in data.decision.laws.as_ref().unwrap().law_c.values() {
        assert!(laws.contains(&format!("r<sup>{:.3}</sup>", law.summary.law.gamma)));
    }
}

#[test]
fn an_adapter_of_before_the_end_is_marked() {
    let mut data = search("fixed:8x8", 0.02);
    let trial = data.decision.trial;
    let run = data.results.iter_mut().find(|result| result.trial.id == trial).unwrap();
    let before = run.val_curve[run.val_curve.len() / 2].0;
    run.kept = Some(before);
    let html = render(&data);
    check(&html);
    assert_eq!(count(&html, &format!("Marked: the adapter that is kept, of step {before};")), 1);
}

#[test]
fn a_run_that_ended_early_is_shown_with_the_steps_that_it_took() {
    let mut data = search("fixed:8x8", 0.02);
    assert!(render(&data).contains("<td>step 320</td>"));
    let trial = data.decision.trial;
    let run = data.results.iter_mut().find(|result| result.trial.id == trial).unwrap();
    run.val_curve.truncate(run.val_curve.len() / 2);
    let (last, _) = *run.val_curve.last().unwrap();
    run.kept = Some(run.val_curve[2].0);
    let estimate = OverfittingEstimate { steps: Some(32.0), interval: Interval { lo: 20.0, hi: 51.0 } };
    data.overfitting = Some(Overfitting {
        ranks: data.decision.ranks.clone(),
        steps: 320,
        samples: 2048,
        batch: 16,
        runs: 1,
        seen: 1,
        untold: 0,
        undecided: None,
        verdict: estimate.verdict(320.0),
        estimate,
        samples_needed: None,
        ranks_needed: None,
    });
    let html = render(&data);
    check(&html);
    assert_eq!(count(&html, &format!("<td>step {last} of 320, over-fitted</td>")), 1);
    let run = data.results.iter_mut().find(|result| result.trial.id == trial).unwrap();
    run.kept = None;
    let logged = render(&data);
    assert!(
        !logged.contains("of 320, over-fitted"),
        "a trainer that logs its last loss before its last step"
    );
    assert_eq!(count(&logged, &format!("<td>step 320, last loss at step {last}</td>")), 1);
    assert_eq!(count(&html, "are 10 times as long; try 32 steps"), 2, "summary and decision");
    // A report of before this was known.
    let mut old = serde_json::to_value(&data).unwrap();
    old.as_object_mut().unwrap().remove("overfitting");
    let old: ReportData = serde_json::from_value(old).unwrap();
    assert!(!render(&old).contains("Over-fitting"));
}

#[test]
fn ranks_by_layer_are_drawn_for_each_module() {
    assert!(!render(&search("fixed:8x16", 0.02)).contains("Ranks by layer"));
    let mut data = search("adalora", 0.02);
    let layer = |module: &str, block: usize, leaf: &str, rank| LayerRank {
        path: format!("model.{module}.layers.{block}.{leaf}"),
        module: module.into(),
        rank,
    };
    let mut layers = Vec::new();
    for block in 0..3 {
        layers.extend([layer("ve", block, "attn.q_proj", 4 * block), layer("ve", block, "mlp.fc1<", 7)]);
        layers.push(layer("llm", block, "attn.q_proj", 20 + block));
    }
    let course = [("ve".to_owned(), vec![(0, 24.0), (160, 18.5), (320, 16.0)])].into();
    data.ranks = Some(RankMap { layers, course });
    let html = render(&data);
    check(&html);
    let section = html.split("<h2>Ranks by layer").nth(1).unwrap().split("</section>").next().unwrap();
    assert_eq!(count(section, "role=\"img\""), 3);
    assert_eq!(count(section, "<rect class=\"cell\""), 9);
    assert!(section.contains("model.ve.layers.2.attn.q_proj: rank 8"));
    assert!(section.contains("6 layers, ranks 0 to 8, mean 5.5."));
    assert!(section.contains("3 layers, ranks 20 to 22, mean 21.0."));
    assert!(section.contains("Ranks over the run"));
}

#[test]
fn perplexity_is_drawn_over_the_grid() {
    let cells = |html: &str, id: &str| {
        let map = html.split(&format!("aria-labelledby=\"{id}-t")).nth(1);
        map.map_or(0, |map| count(map.split("</svg>").next().unwrap(), "<rect class=\"cell\""))
    };
    let paper = render(&search("paper", 0.02));
    assert_eq!((cells(&paper, "predicted-0"), cells(&paper, "measured-0")), (16, 0));
    assert!(paper.contains("The line: equal convergence times."));
    let data = search("halving", 0.02);
    let halving = render(&data);
    assert_eq!((cells(&halving, "predicted-0"), cells(&halving, "measured-0")), (0, 16));
    let last = data.decision.candidates.iter().filter(|candidate| candidate.dropped_at.is_none());
    for candidate in last {
        let hint = format!("measured {:.4} after 320 steps", candidate.last_loss.unwrap().exp());
        assert!(halving.contains(&hint), "{hint}");
    }
}

#[test]
fn broken_numbers_leave_gaps_and_dashes() {
    let mut data = search("race", 0.02);
    for (i, result) in data.results.iter_mut().enumerate() {
        let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][i % 3];
        for point in result.val_curve.iter_mut().skip(i % 4) {
            point.1 = bad;
        }
        result.convergence = Some(bad);
        result.cost.flops = bad;
        result.cost.wall_s = bad;
    }
    for law in data.decision.laws.as_mut().unwrap().law_c.values_mut() {
        let summary = &mut law.summary;
        (summary.law.k, summary.law.gamma, summary.r2_log) = (f64::NAN, f64::INFINITY, f64::NAN);
        law.points.iter_mut().for_each(|point| point.steps = Some(f64::NAN));
    }
    for candidate in &mut data.decision.candidates {
        candidate.last_loss = Some(1e6);
        candidate.raw.values_mut().for_each(|raw| *raw = f64::INFINITY);
    }
    data.kappa = f64::NAN;
    data.final_train = vec![(0, f64::NAN), (1, f64::INFINITY)];
    data.tuned.as_mut().unwrap().perplexity = f64::NAN;
    data.base.as_mut().unwrap().accuracy = Some(f64::NAN);
    check(&render(&data));
}

#[test]
fn flops_that_a_trainer_does_not_tell_are_not_none() {
    let mut data = search("race", 0.02);
    assert!(!render(&data).contains("FLOPs unknown"));
    data.results.iter_mut().for_each(|result| (result.cost.flops, result.cost.eval_flops) = (0.0, 0.0));
    assert_eq!(count(&render(&data), "FLOPs unknown"), 2, "the search and one fine-tune");
}

#[test]
fn costs_are_spelled_as_on_the_terminal() {
    let data = search("race", 0.02);
    let (html, total) = (render(&data), total_cost(&data.results));
    for told in [flops(total.total_flops()), flops(total.eval_flops), duration(total.wall_s)] {
        assert!(html.contains(&told), "{told}");
    }
}

#[test]
fn an_empty_search_says_so() {
    let mut data = search("fixed:8x16", 0.0);
    data.results.clear();
    data.final_train.clear();
    data.decision.candidates.clear();
    (data.base, data.tuned) = (None, None);
    data.space.modules.truncate(1);
    data.space.reference = data.space.modules[0].clone();
    let html = render(&data);
    check(&html);
    for words in
        ["needed no calibration runs", "No law was fitted", "nothing to be balanced with", "no finite loss"]
    {
        assert!(html.contains(words), "{words}");
    }
}

#[test]
fn text_cannot_leave_its_place() {
    let mut data = search("race", 0.02);
    let hostile = "</td><script>alert('x')</script>\" onload=\"y\u{0}&amp;";
    data.decision.reason = hostile.to_owned();
    data.policy = hostile.to_owned();
    data.provenance.model = hostile.to_owned();
    data.provenance.more.push((hostile.to_owned(), hostile.to_owned()));
    data.decision.candidates[0].note = Some(hostile.to_owned());
    let module = data.space.modules[0].clone();
    data.space.modules[0] = hostile.to_owned();
    let laws = data.decision.laws.as_mut().unwrap();
    let law = laws.law_c.remove(&module).unwrap();
    laws.law_c.insert(hostile.to_owned(), law);
    let html = render(&data);
    check(&html);
    assert!(!html.contains("<script") && !html.contains("\" onload"));
    assert!(html.contains("&lt;script&gt;"));
}

#[test]
fn numbers_read_well() {
    let shown = [
        (0.0, "0"),
        (16.0, "16"),
        (1024.0, "1024"),
        (0.5, "0.5"),
        (2.345, "2.35"),
        (-0.327, "-0.327"),
        (0.00012, "1.20e-4"),
        (3.2e9, "3.20e9"),
        (f64::NAN, "–"),
    ];
    for (value, text) in shown {
        assert_eq!(plain(value), text);
    }
    assert_eq!((fixed(1.0, 3).as_str(), fixed(f64::INFINITY, 3).as_str()), ("1.000", "–"));
}

/// Ticks lie in the range, rise, are not crowded, and there are enough to read a value off.
#[test]
fn ticks_serve() {
    let ends = [-1e6_f64, -731.0, -2.5, -1e-4, 0.0, 1e-3, 0.017, 0.9, 1.0, 7.77, 64.0, 1000.0, 4.2e5];
    let spans = [1e-4, 3e-3, 0.11, 0.5, 1.0, 2.2, 9.9, 48.0, 512.0, 1e4, 3.3e6];
    for (scale, low) in [Scale::Linear, Scale::Log].into_iter().flat_map(|scale| ends.map(|low| (scale, low)))
    {
        for span in spans {
            if scale == Scale::Log && low <= 0.0 || span < 1e-9 * low.abs() {
                continue;
            }
            let axis = Axis::over("", scale, [low + span, low]).unwrap();
            let ticks = axis.ticks(0.05);
            assert!((2..=12).contains(&ticks.len()), "{scale:?} {low} {span} {ticks:?}");
            assert!(ticks.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 0.05));
            assert!(ticks.iter().all(|(share, _)| (-1e-6..=1.0 + 1e-6).contains(share)));
            assert!(axis.share(low).is_some() && axis.share(low + span).is_some());
        }
    }
}

#[test]
fn an_axis_takes_what_it_can_show() {
    assert!(Axis::over("", Scale::Linear, []).is_none());
    assert!(Axis::over("", Scale::Linear, [f64::NAN, f64::INFINITY]).is_none());
    assert!(Axis::over("", Scale::Log, [0.0, -1.0]).is_none());
    assert!(Axis::over("", Scale::Linear, [f64::MAX, -f64::MAX]).is_none());
    let single = Axis::over("", Scale::Linear, [2.0]).unwrap();
    assert!((single.share(2.0).unwrap() - 0.5).abs() < 1e-12);
    let log = Axis::over("", Scale::Log, [1.0, f64::NAN, 100.0]).unwrap();
    assert!((log.share(10.0).unwrap() - 0.5).abs() < 1e-12);
    assert_eq!((log.share(0.0), log.share(1e9)), (None, None));
}

/// Escaped text has no markup and comes back by unescaping.
#[test]
fn escaping_is_safe() {
    for text in ["", "a < b && c > \"d\"", "&amp;lt;", "'\u{7}'", "ünï·✓", "<<>>&&\"\"''", "&#39;"] {
        let safe = escape(text);
        assert!(!safe.contains(['<', '>', '"', '\'']));
        let back = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
            .iter()
            .fold(safe, |text, (code, sign)| text.replace(code, sign));
        assert_eq!(back, text.chars().filter(|c| !c.is_control()).collect::<String>());
    }
    assert_eq!(escape("a\nb\tc"), "a b c");
}

/// A run that died leaves the rest of the report whole.
#[test]
fn dead_runs_are_shown() {
    let mut data = search("halving", 0.02);
    let dead: Vec<&mut TrialResult> = data.results.iter_mut().take(3).collect();
    for result in dead {
        result.end = TrialEnd::Diverged { step: 5 };
        result.val_curve.clear();
    }
    check(&render(&data));
}

/// Reports can be drawn again from what was saved.
#[test]
fn data_survives_saving() {
    let whole = search("race", 0.02);
    // JSON has neither of the numbers that a diverged run and a model that knows nothing leave.
    let mut diverged = whole.clone();
    diverged.results[0].end = TrialEnd::Diverged { step: 7 };
    diverged.results[0].val_curve.push((8, f64::NAN));
    diverged.results[0].train_curve = vec![(6, 2.0), (7, f64::INFINITY)];
    diverged.base = Some(TestScore { perplexity: f64::INFINITY, accuracy: None });
    for data in [whole, diverged] {
        let saved = serde_json::to_string(&data).unwrap();
        let read: ReportData = serde_json::from_str(&saved).unwrap();
        assert_eq!(render(&read), render(&data));
    }
}
