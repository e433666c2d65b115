//! A whole search with a trainer of one's own.

use crate::kit::{Log, SAMPLES, config, space_and_budget};
use mars::{
    ErrorKind, Interrupt, Search, SearchConfig,
    event::{Event, Observer},
    mars_calib::{self, Campaign, FakeTrainer, RunRecord, RunSpec, Trainer},
    mars_laws::analyse,
    mars_search::{Budget, Space},
    search::{Choice, choose, observations},
};
use std::fs;
use tempfile::tempdir;

#[test]
fn a_search_leaves_a_decision_a_report_and_a_campaign_and_is_not_done_twice() {
    let out = tempdir().unwrap();
    let config = config("paper");
    let (space, budget) = space_and_budget(&config);
    let search = |log: &mut Log| {
        let search = Search::new(config.clone()).observe(log);
        search.run_with(&mut FakeTrainer::default(), &space, &budget, out.path()).unwrap()
    };
    let mut log = Log::default();
    let first = search(&mut log);
    assert_eq!((log.decided, log.runs), (1, first.results.len()));
    assert!(first.decision.laws.as_ref().is_some_and(|laws| laws.law_c.len() == 2));
    assert!(first.cost.fine_tunes.unwrap() > 1.0 && first.test.is_none());
    for file in ["decision.json", "report.html", "report.json", "fits.json", "campaign.toml"] {
        assert!(out.path().join(file).is_file(), "{file}");
    }
    assert!(fs::read_to_string(&first.report).unwrap().contains("<svg"));

    let mut log = Log::default();
    let again = search(&mut log);
    assert_eq!((log.runs, log.progress.len()), (0, 0), "nothing is trained again");
    assert!(log.rounds.iter().all(|(trials, recorded)| trials == recorded));
    assert_eq!((again.decision, again.results), (first.decision.clone(), first.results));

    // The campaign alone knows the same.
    let chosen = choose(out.path(), None).unwrap();
    assert_eq!(chosen.policy, "paper");
    assert!(matches!(chosen.choice, Choice::Decided(decision) if *decision == first.decision));
    let (observed, read) = observations(out.path()).unwrap();
    assert_eq!(observed.convergence.len(), 2 * 4 * 3);
    assert_eq!((read.train, read.lora), (config.train.clone(), config.lora.clone()));
    let chosen = choose(out.path(), Some(&"grid".parse().unwrap())).unwrap();
    assert!(matches!(chosen.choice, Choice::Racing(candidates) if candidates.len() == 16));
}

/// `mars fit` on the campaign of a guided search gives the laws that the search has told, intervals included.
#[test]
fn laws_of_a_guided_search_come_out_of_its_campaign_again() {
    let out = tempdir().unwrap();
    let mut config = SearchConfig::default();
    config.train.steps = Some(4000);
    let config = config.resolved(SAMPLES, 256);
    let (space, budget) = space_and_budget(&config);
    let search = Search::new(config);
    let outcome = search.run_with(&mut FakeTrainer::default(), &space, &budget, out.path()).unwrap();
    let told = outcome.decision.laws.unwrap().law_c;
    assert_eq!(told.len(), 2, "{}", outcome.decision.reason);

    let (observed, config) = observations(out.path()).unwrap();
    let fitted = analyse(&observed, &config.fit_request()).unwrap();
    for (module, law) in told {
        assert_eq!(fitted.law_c[&module].summary, law.summary, "{module}");
    }
    assert!(out.path().join("fits.json").is_file());
}

#[test]
fn progress_is_that_of_the_whole_search() {
    let out = tempdir().unwrap();
    let config = config("halving");
    let (space, budget) = space_and_budget(&config);
    let mut log = Log::default();
    let search = Search::new(config).observe(&mut log);
    let outcome = search.run_with(&mut FakeTrainer::default(), &space, &budget, out.path()).unwrap();
    assert!(log.progress.windows(2).all(|pair| pair[0].0 <= pair[1].0), "it never goes back");
    assert!(log.progress.iter().all(|(done, expected)| done <= expected));
    let (done, expected) = *log.progress.last().unwrap();
    assert_eq!(done, expected, "at the end all of it is done");
    let early = |step: &usize| *step < budget.steps;
    let dropped: Vec<usize> = outcome.decision.candidates.iter().filter_map(|one| one.dropped_at).collect();
    assert_eq!((dropped.len(), dropped.iter().filter(|step| early(step)).count()), (15, 14));
}

/// Whatever was foreseen before the runs were measured.
#[test]
fn in_the_last_round_nothing_more_is_expected() {
    for policy in ["guided", "race", "paper"] {
        let out = tempdir().unwrap();
        let config = config(policy);
        let (space, budget) = space_and_budget(&config);
        let mut log = Log::default();
        let search = Search::new(config).observe(&mut log);
        search.run_with(&mut FakeTrainer::default(), &space, &budget, out.path()).unwrap();
        let (done, expected) = *log.progress.last().unwrap();
        assert_eq!(done, expected, "{policy}");
    }
}

/// Runs at full length are trained while other choices have not begun.
#[test]
fn what_asha_expects_does_not_shrink_to_a_round() {
    let out = tempdir().unwrap();
    let mut config = config("asha:1");
    let half = config.train.steps.unwrap() / 2;
    config.train.eval_every = Some(half);
    let (space, budget) = space_and_budget(&config);
    let mut log = Log::default();
    let search = Search::new(config).observe(&mut log);
    let outcome = search.run_with(&mut FakeTrainer::default(), &space, &budget, out.path()).unwrap();
    let early = &outcome.results[..outcome.results.len() / 2];
    assert!(
        early.iter().any(|result| result.trial.steps == budget.steps),
        "none at full length is followed by others"
    );
    assert!(log.progress.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{:?}", log.progress);
}

/// A trainer that begins a run which continues another again at step 0, as an external command does.
struct Restarting(FakeTrainer);

impl Trainer for Restarting {
    fn train(&mut self, runs: &[RunSpec], observe: &mut dyn mars_calib::Observer) -> Vec<RunRecord> {
        self.0.train(runs, observe)
    }

    fn continues(&self) -> bool {
        false
    }
}

#[test]
fn a_trainer_that_begins_again_is_charged_for_what_it_trains() {
    let config = config("halving");
    let (space, budget) = space_and_budget(&config);
    let search = |trainer: &mut dyn Trainer, log: &mut Log| {
        let out = tempdir().unwrap();
        let search = Search::new(config.clone()).observe(log);
        let outcome = search.run_with(trainer, &space, &budget, out.path()).unwrap();
        (outcome, Campaign::read(out.path()).unwrap().records)
    };
    let (continued, _) = search(&mut FakeTrainer::default(), &mut Log::default());
    let mut log = Log::default();
    let (restarted, records) = search(&mut Restarting(FakeTrainer::default()), &mut log);
    assert_eq!(restarted.decision.ranks, continued.decision.ranks);
    let trained: f64 = records.values().map(|record| record.flops + record.eval_flops).sum();
    assert!((restarted.cost.flops - trained).abs() < 1e-6 * trained);
    assert!(restarted.cost.flops > 1.2 * continued.cost.flops);
    // The unit is one fine-tune, not the chain of runs that the last one was asked to continue.
    let longest = records.values().filter(|record| record.spec.ranks == restarted.decision.ranks);
    let unit = longest.map(|record| record.flops + record.eval_flops).fold(0.0, f64::max);
    let fine_tunes = restarted.cost.fine_tunes.unwrap();
    assert!((fine_tunes - trained / unit).abs() < 1e-6 * fine_tunes, "{fine_tunes}");
    let steps: usize = records.values().map(|record| record.spec.steps).sum();
    assert_eq!(log.progress.last(), Some(&(steps as u64, steps as u64)));
}

#[test]
fn the_space_says_which_modules_there_are() {
    let out = tempdir().unwrap();
    let mut trainer = FakeTrainer::default();
    let audio = trainer.modules["ve"];
    trainer.modules.insert("audio".into(), audio);
    let space = Space::new(["audio", "llm"], "llm", &[2, 6]);
    let budget = Budget::new(60, 512, 8);
    let mut config = SearchConfig::default();
    config.search.policy = "grid".parse().unwrap();
    let search = || Search::new(config.clone()).with_fingerprint("data", "audio, first version");
    let outcome = search().run_with(&mut trainer, &space, &budget, out.path()).unwrap();
    assert_eq!(outcome.results.len(), 4);
    assert!(outcome.decision.ranks.get("audio") > 0 && outcome.adapter.is_none());
    let chosen = choose(out.path(), None).unwrap();
    assert!(matches!(chosen.choice, Choice::Decided(decision) if decision.ranks == outcome.decision.ranks));
    // Other data are another campaign.
    let other = Search::new(config).with_fingerprint("data", "audio, second version");
    let error = other.run_with(&mut trainer, &space, &budget, out.path()).unwrap_err();
    assert!(error.to_string().contains("fingerprint of data"), "{error}");
}

/// Asks for a stop at the n-th run.
struct StopAt(usize, Interrupt);

impl Observer for StopAt {
    fn event(&mut self, event: &Event<'_>) {
        if matches!(event, Event::Run(_)) {
            self.0 -= 1;
            if self.0 == 0 {
                self.1.request();
            }
        }
    }
}

#[test]
fn a_stopped_search_goes_on_to_the_same_end() {
    let (whole, parts) = (tempdir().unwrap(), tempdir().unwrap());
    let config = config("race");
    let (space, budget) = space_and_budget(&config);
    let mut trainer = FakeTrainer::default();
    let search = || Search::new(config.clone());
    let expected = search().run_with(&mut trainer, &space, &budget, whole.path()).unwrap();
    for stop in [3, 7, 11] {
        let interrupt = Interrupt::new();
        let mut observer = StopAt(stop, interrupt.clone());
        let stopped = search().interrupt(interrupt).observe(&mut observer);
        let error = stopped.run_with(&mut trainer, &space, &budget, parts.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
    let finished = search().run_with(&mut trainer, &space, &budget, parts.path()).unwrap();
    assert_eq!((finished.decision, finished.results), (expected.decision, expected.results));
}

#[test]
fn other_settings_and_a_second_process_are_refused() {
    let out = tempdir().unwrap();
    let config = config("fixed:8x8");
    let (space, budget) = space_and_budget(&config);
    let mut trainer = FakeTrainer::default();
    Search::new(config.clone()).run_with(&mut trainer, &space, &budget, out.path()).unwrap();
    let mut other = config.clone();
    other.train.learning_rate = 1e-3;
    let error = Search::new(other.clone()).run_with(&mut trainer, &space, &budget, out.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("train.learning_rate"), "{error}");
    let accepted = Search::new(other).accept_changes(true);
    accepted.run_with(&mut trainer, &space, &budget, out.path()).unwrap();

    let mut wrong = config;
    wrong.search.reference = "audio".to_owned();
    let error = Search::new(wrong).run_with(&mut trainer, &space, &budget, out.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}
