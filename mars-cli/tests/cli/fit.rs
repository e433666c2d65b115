//! `mars fit` on the figures of the paper.

use crate::kit::{json, mars, refused};
use std::{fs, path::Path};
use tempfile::tempdir;

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mars-laws/tests/fixtures").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn convergence_times_of_the_paper_give_its_law() {
    let fitted = json(&["fit", "--runs", &fixture("mars_fig2b_convergence.csv"), "--json"]);
    let law = &fitted["law_c"]["llm"];
    let near = |name: &str, expected: f64, within: f64| {
        let value = law[name].as_f64().unwrap();
        assert!((value - expected).abs() < within, "{name}: {value}");
    };
    near("gamma", -0.359, 0.05);
    near("delta", 0.747, 0.08);
    assert!(law["r2_log"].as_f64().unwrap() > 0.98);
    assert!(fitted["law_p"].is_null());
}

#[test]
fn the_over_fitting_form_predicts_the_best_rank_of_larger_sizes() {
    let runs = fixture("mars_fig2a_perplexity.csv");
    let fitted = json(&["fit", "--runs", &runs, "--fit-up-to", "4096", "--json"]);
    let score = |form: &str| {
        let scores = fitted["law_p"]["scores"].as_array().unwrap();
        scores.iter().find(|score| score["form"] == form).unwrap()["best_right"].as_u64().unwrap()
    };
    assert_eq!((score("published"), score("overfit")), (4, 7));
    let text = mars(&["fit", "--runs", &runs, "--fit-up-to", "4096"]);
    assert!(text.code == Some(0) && text.stdout.contains("7 of 7"), "{}", text.stdout);
}

/// Twice the rows are not twice the measurements.
#[test]
fn a_table_counts_once() {
    let directory = tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::copy(fixture("mars_fig2b_convergence.csv"), path("a.csv")).unwrap();
    fs::copy(path("a.csv"), path("copy.csv")).unwrap();
    let (table, same) = (path("a.csv"), path("./a.csv"));
    for again in [&table, &same] {
        refused(&["fit", "--runs", &table, "--runs", again], 2, &["--runs", again, "given twice"]);
    }
    let copied = mars(&["fit", "--runs", &table, "--runs", &path("copy.csv")]);
    assert!(copied.code == Some(0) && copied.stderr.contains("28 of 56 rows duplicate"), "{}", copied.stderr);
    assert_eq!(mars(&["fit", "--runs", &table]).stderr, "");
}

/// Convergence times 20 r^-0.4 (D / 16)^0.5, of `text` half as long again, at ranks 4, 8 and 16.
fn two_modules() -> String {
    let mut table = "module,rank,dataset_size,steps\n".to_owned();
    for (module, factor) in [("text", 30.0), ("vision", 20.0)] {
        for rank in [4, 8, 16] {
            for size in [16, 64, 256] {
                let steps = factor * f64::from(rank).powf(-0.4) * (f64::from(size) / 16.0).sqrt();
                table += &format!(
                    "{module},{rank},{size},{}\n",
                    steps * (1.0 + 0.01 * f64::from((rank + size) % 3))
                );
            }
        }
    }
    table
}

#[test]
fn tables_balance_against_the_reference_that_is_named() {
    let directory = tempdir().unwrap();
    let table = directory.path().join("runs.csv");
    fs::write(&table, two_modules()).unwrap();
    let fit = ["fit", "--runs", table.to_str().unwrap()];
    let none = mars(&fit);
    assert!(none.stderr.contains("--reference text"), "{}", none.stderr);
    assert!(
        none.stdout.contains("Balanced ranks: none   (the reference llm has no Law-C"),
        "{}",
        none.stdout
    );

    let ranks = |more: &[&str]| -> Vec<u64> {
        let fitted = json(&[&fit[..], &["--reference", "text", "--json"], more].concat());
        let balanced = fitted["balanced"].as_array().unwrap();
        assert!(
            balanced.iter().all(|one| one["module"] == "vision") && fitted["unbalanced"].is_null(),
            "{fitted}"
        );
        balanced.iter().map(|one| one["text"].as_u64().unwrap()).collect()
    };
    assert_eq!(ranks(&[]), [4, 8, 16], "those of the table");
    assert_eq!(ranks(&["--ranks", "8,2"]), [2, 8]);
    refused(&[&fit[..], &["--reference", "ve"]].concat(), 2, &["--reference ve", "text, vision"]);
    refused(
        &[&fit[..], &["--set", "search.reference=text"]].concat(),
        2,
        &["the tables decide", "--reference"],
    );
}

#[test]
fn options_without_effect_are_refused() {
    let (times, joint) = (fixture("mars_fig2b_convergence.csv"), fixture("mars_fig2a_perplexity.csv"));
    refused(&["fit", "--runs", &times, "--form", "overfit"], 2, &["--form overfit", "no perplexity"]);
    refused(&["fit", "--runs", &joint, "--ranks", "8"], 2, &["--ranks", "no convergence times"]);
    refused(&["fit", "--runs", &times, "--fit-up-to", "0"], 2, &["fit_up_to", "1 or more"]);
    refused(&["fit", "--campaign", "run", "--reference", "ve"], 2, &["--reference", "--campaign"]);
}

#[test]
fn a_bad_cell_is_told_with_file_line_and_column() {
    let directory = tempdir().unwrap();
    let table = directory.path().join("runs.csv");
    fs::write(&table, "module,rank,dataset_size,steps\nllm,8,16,20\nllm,8,many,30\n").unwrap();
    let table = table.to_str().unwrap();
    refused(&["fit", "--runs", table], 3, &[table, "line 3", "column 3", "many"]);
    refused(&["fit", "--runs", "/no/such.csv"], 3, &["/no/such.csv"]);
    refused(&["fit", "--runs", table, "--form", "cubic"], 2, &["cubic", "overfit"]);
    refused(&["fit", "--runs", table, "--loss", "huber"], 2, &["huber:SIZE"]);
}
