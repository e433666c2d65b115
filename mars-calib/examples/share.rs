//! One of several processes on a campaign of planted runs: `share DIR LOG STEP_MICROSECONDS AT_ONCE BEAT_MS PATIENCE_MS`.
//!
//! Each line of LOG is one event: `step <run>`, `done <run>` or `elsewhere`. Ends with code 75 when other processes hold all
//! that is left and this one has done nothing.
#![allow(clippy::print_stdout)]

use mars_calib::{
    Campaign, FakeTrainer, Flow, Observer, OnChange, OptimSpec, Progress, RunRecord, RunSpec,
    ScaleConvention, Settings, Variant,
    campaign::{Claimed, Pace},
};
use mars_laws::Ranks;
use std::{collections::BTreeMap, error::Error, fs::File, io::Write, path::Path, process, time::Duration};

struct Log(File);

impl Observer for Log {
    fn progress(&mut self, event: &Progress) -> Flow {
        self.line(&format!("step {}\n", event.run))
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

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, log, step, at_once, beat, patience] = arguments.as_slice() else {
        return Err("usage: share DIR LOG STEP_MICROSECONDS AT_ONCE BEAT_MS PATIENCE_MS".into());
    };
    let pace = Pace {
        beat: Duration::from_millis(beat.parse()?),
        patience: Duration::from_millis(patience.parse()?),
    };
    let mut campaign = Campaign::share(Path::new(directory), Settings::default(), OnChange::Refuse)?;
    let mut trainer =
        FakeTrainer { step_time: Duration::from_micros(step.parse()?), ..FakeTrainer::default() };
    let mut log = Log(File::options().create(true).append(true).open(log)?);
    let specs: Vec<RunSpec> = (1..=12).map(spec).collect();
    let mut own = 0;
    loop {
        match campaign.claim(&specs, at_once.parse()?, pace, &|| false)? {
            Claimed::Runs(places) => {
                own += places.len();
                let claimed: Vec<RunSpec> = places.into_iter().map(|at| specs[at].clone()).collect();
                campaign.run(&mut trainer, &claimed, &mut log)?;
            }
            Claimed::Elsewhere(_) => {
                log.line("elsewhere\n");
                if own == 0 {
                    drop(campaign);
                    process::exit(75);
                }
                return Ok(());
            }
            Claimed::AllDone | Claimed::Stopped => return Ok(()),
        }
    }
}

fn spec(rank: usize) -> RunSpec {
    RunSpec {
        ranks: Ranks::new().with("ve", rank).with("llm", 8),
        samples: 64,
        seed: 7,
        batch: 4,
        steps: 20,
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
