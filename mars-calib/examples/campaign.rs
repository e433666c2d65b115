//! A campaign of planted runs: `campaign DIR LOG [STEP_MICROSECONDS]`.
//!
//! Kill it at any time and start it again: what was done stays done, and in the end the results are
//! those of a run that was never killed. `tests/kill.rs` does exactly that. Each line of LOG is one
//! event: `step <run> <step>` or `done <run>`.
#![allow(clippy::print_stdout)]

use mars_calib::{
    Campaign, FakeTrainer, Flow, Observer, OnChange, OptimSpec, Progress, RunRecord, RunSpec,
    ScaleConvention, Settings, Variant,
};
use mars_laws::Ranks;
use std::{collections::BTreeMap, fs::File, io::Write, path::Path, time::Duration};

/// Writes what happens, line by line.
struct Log(File);

impl Observer for Log {
    fn progress(&mut self, event: &Progress) -> Flow {
        self.line(&format!("step {} {}\n", event.run, event.step))
    }

    fn finished(&mut self, record: &RunRecord) -> Flow {
        self.line(&format!("done {}\n", record.id))
    }
}

impl Log {
    fn line(&mut self, line: &str) -> Flow {
        if self.0.write_all(line.as_bytes()).is_ok() { Flow::Continue } else { Flow::Stop }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, log, rest @ ..] = arguments.as_slice() else {
        return Err("usage: campaign DIR LOG [STEP_MICROSECONDS]".into());
    };
    let step_time = Duration::from_micros(rest.first().map_or(Ok(0), |text| text.parse())?);
    let mut campaign = Campaign::open(Path::new(directory), Settings::default(), OnChange::Refuse)?;
    let mut trainer = FakeTrainer {
        checkpoints: Some(Box::new(campaign.checkpoints())),
        step_time,
        ..FakeTrainer::default()
    };
    let mut log = Log(File::options().create(true).append(true).open(log)?);
    for steps in [30, 60] {
        let specs: Vec<RunSpec> = ranks().map(|ranks| spec(ranks, steps)).collect();
        campaign.run(&mut trainer, &specs, &mut log)?;
    }
    println!("{} runs done", campaign.records().len());
    Ok(())
}

/// Six modules-alone and joint rank choices.
fn ranks() -> impl Iterator<Item = Ranks> {
    [(0, 8), (0, 32), (8, 0), (32, 0), (8, 8), (16, 32)]
        .into_iter()
        .map(|(ve, llm)| Ranks::new().with("ve", ve).with("llm", llm))
}

fn spec(ranks: Ranks, steps: usize) -> RunSpec {
    RunSpec {
        ranks,
        samples: 64,
        seed: 7,
        batch: 4,
        steps,
        horizon: 60,
        eval_every: 7,
        evaluate_from: 0,
        stop_when_converged: false,
        stop_when_overfit: false,
        validation: None,
        learning_rates: BTreeMap::from([("ve".into(), 1e-3), ("llm".into(), 1e-3)]),
        scale: ScaleConvention::default(),
        optim: OptimSpec::default(),
        fingerprint: String::new(),
        method: None,
        variant: Variant::default(),
        continues: None,
    }
}
