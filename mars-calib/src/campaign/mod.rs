//! The campaign directory: what is done stays done, through kills, crashes and changed plans.
//!
//! ```text
//! campaign.toml          settings and fingerprints the campaign was started with
//! runs/<id>/result.json  there if and only if the run is done; put there by one rename
//! runs/<id>/curve.csv    the same curves for spreadsheets
//! checkpoints/           states to continue from, see `checkpoint`
//! runs/<id>/failure.txt  why the last try of a run failed; it does not count as done
//! mars.lock              operating-system lock; names its holder
//! claims/<id>.<n>        which process does a run of a shared campaign, with its heartbeat; see `claim`
//! ```
//!
//! Files are written aside, flushed to the disk and renamed, so that a kill leaves the old content or the new. A result
//! counts only if its checksum and its id agree with its content; otherwise it is set aside under another name and the
//! run is done again. One process has the campaign for itself ([`Campaign::open`]), or several share it, run by run
//! ([`Campaign::share`]); [`Campaign::read`] needs no lock.
mod begun;
mod claim;
mod heartbeat;
mod lock;
mod results;
mod settings;
mod share;

pub use begun::{Begun, Holder};
pub use claim::Pace;
pub use results::Warning;
pub use settings::Settings;
pub use share::Claimed;

use crate::{
    DirectoryCheckpoints, Error, Flow, Observer, Progress, RunEnd, RunId, RunRecord, RunSpec, Trainer, files,
};
use heartbeat::Heartbeat;
use lock::Lock;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// What to do when a directory holds a campaign with other settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// Refuse with [`Error::Changed`].
    #[default]
    Refuse,
    /// Go on with the new settings. Nothing measured is lost or mistaken: run ids cover everything
    /// that determines a result, so runs that are the same under both settings are used again.
    Accept,
}

/// A campaign directory, locked for this process until dropped.
#[derive(Debug)]
pub struct Campaign {
    directory: PathBuf,
    settings: Settings,
    records: BTreeMap<RunId, RunRecord>,
    warnings: Vec<Warning>,
    /// `None` while it is shared.
    lock: Option<Lock>,
    /// What this process holds of a shared campaign.
    claims: Option<Heartbeat>,
    /// Runs that had failed when this process came, with the generation of that claim.
    failed_before: BTreeMap<RunId, u64>,
}

/// What a campaign directory holds, read without its lock.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the campaign was started with.
    pub settings: Settings,
    /// The finished runs, by id.
    pub records: BTreeMap<RunId, RunRecord>,
    /// What had to be ignored.
    pub warnings: Vec<Warning>,
}

impl Campaign {
    /// Opens the campaign in `directory`, or starts one there.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process works on it, [`Error::Changed`] when it was started with
    /// other settings and `on_change` says to refuse, [`Error::Corrupt`] when `campaign.toml` cannot be
    /// read, [`Error::NoLocks`] where the file system has none, [`Error::Io`] when the directory cannot be written.
    pub fn open(directory: &Path, settings: Settings, on_change: OnChange) -> Result<Self, Error> {
        files::make_directory(directory)?;
        let lock = Lock::take(directory)?;
        share::wait_for_claims(directory, Pace::default())?;
        settings.settle(directory, on_change)?;
        Self::load(directory, settings, lock)
    }

    /// Opens the campaign in `directory` with the settings it was started with.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::Corrupt`] when there is no campaign.
    pub fn resume(directory: &Path) -> Result<Self, Error> {
        let settings = existing(directory)?;
        let lock = Lock::take(directory)?;
        share::wait_for_claims(directory, Pace::default())?;
        Self::load(directory, settings, lock)
    }

    fn load(directory: &Path, settings: Settings, lock: Lock) -> Result<Self, Error> {
        files::remove_stale(directory)?;
        for lineage in files::list(&directory.join("checkpoints"))? {
            if files::is_folder(&lineage)? {
                files::remove_stale(&lineage)?;
            }
        }
        let (records, warnings) = results::load(directory, true, &BTreeMap::new())?;
        Ok(Self {
            directory: directory.to_owned(),
            settings,
            records,
            warnings,
            lock: Some(lock),
            claims: None,
            failed_before: BTreeMap::new(),
        })
    }

    /// What the campaign in `directory` holds, whether or not another process works on it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when there is no campaign or its settings cannot be read, [`Error::Io`].
    pub fn read(directory: &Path) -> Result<Snapshot, Error> {
        let settings = existing(directory)?;
        let (records, warnings) = results::load(directory, false, &BTreeMap::new())?;
        Ok(Snapshot { settings, records, warnings })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the campaign was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What had to be ignored on opening.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The finished runs, by id.
    pub fn records(&self) -> &BTreeMap<RunId, RunRecord> {
        &self.records
    }

    /// Where this campaign's trainers keep their checkpoints.
    /// `checkpoints/` of the directory, made when first needed.
    pub fn checkpoints(&self) -> DirectoryCheckpoints {
        DirectoryCheckpoints::new(self.directory.join("checkpoints"))
    }

    /// `spec` as this campaign runs it: with the campaign's fingerprint.
    /// The id of a run in this campaign is that of the bound spec.
    pub fn bind(&self, spec: &RunSpec) -> RunSpec {
        RunSpec { fingerprint: self.settings.fingerprint(), ..spec.clone() }
    }

    /// Does those of `specs` that are not done yet, stores each as soon as it is finished, and returns
    /// one record for each spec, in their order.
    ///
    /// Failed and interrupted runs are returned as such and tried again next time; finished and
    /// diverged ones are never run twice.
    ///
    /// # Errors
    /// [`Error::Spec`] before anything is run when a spec is out of range; [`Error::Io`] when a result or a checkpoint
    /// cannot be stored or read, [`Error::Locked`] when another process has taken the campaign meanwhile, upon which the
    /// trainer is stopped. What was finished by then stays.
    pub fn run(
        &mut self,
        trainer: &mut dyn Trainer,
        specs: &[RunSpec],
        observe: &mut dyn Observer,
    ) -> Result<Vec<RunRecord>, Error> {
        let specs: Vec<RunSpec> = specs.iter().map(|spec| self.bind(spec)).collect();
        specs.iter().try_for_each(RunSpec::validate)?;
        let ids: Vec<RunId> = specs.iter().map(RunSpec::id).collect();
        let mut asked = BTreeSet::new();
        let missing: Vec<RunSpec> = specs
            .iter()
            .zip(&ids)
            .filter(|(_, id)| !self.records.contains_key(*id) && asked.insert((*id).clone()))
            .map(|(spec, _)| spec.clone())
            .collect();

        let mut unfinished = BTreeMap::new();
        if !missing.is_empty() {
            let mut recorder = Recorder { campaign: self, asked: &asked, observe, error: None };
            recorder.campaign.check(None)?;
            let returned = trainer.train(&missing, &mut recorder);
            if let Some(error) = recorder.error {
                return Err(error);
            }
            for record in returned.into_iter().filter(|record| asked.contains(&record.id)) {
                self.keep(&record)?;
                unfinished.insert(record.id.clone(), record);
            }
        }
        Ok(specs.into_iter().zip(ids).map(|(spec, id)| self.answer(spec, &id, &unfinished)).collect())
    }

    fn answer(&self, spec: RunSpec, id: &RunId, unfinished: &BTreeMap<RunId, RunRecord>) -> RunRecord {
        self.records.get(id).or_else(|| unfinished.get(id)).cloned().unwrap_or_else(|| {
            RunRecord::empty(
                spec,
                RunEnd::Failed { why: "the trainer returned no record of this run".into() },
            )
        })
    }

    /// Stores a record that is not stored yet.
    fn keep(&mut self, record: &RunRecord) -> Result<(), Error> {
        self.check(Some(&record.id))?;
        match record.end {
            RunEnd::Interrupted => {}
            RunEnd::Failed { .. } => results::store(&self.directory, record)?,
            _ if self.records.contains_key(&record.id) => {}
            _ => {
                results::store(&self.directory, record)?;
                self.records.insert(record.id.clone(), record.clone());
            }
        }
        if let Some(claims) = self.claims.as_ref().filter(|_| record.end != RunEnd::Interrupted) {
            claims.end(&record.id, matches!(record.end, RunEnd::Failed { .. }))?;
        }
        Ok(())
    }

    /// Makes sure that what this process holds, the campaign or `run`, is still its own; without one, all its runs.
    fn check(&mut self, run: Option<&RunId>) -> Result<(), Error> {
        if let Some(lock) = &mut self.lock {
            lock.check()?;
        }
        let holds = match (&self.claims, run) {
            (None, _) => true,
            (Some(claims), Some(run)) => claims.holds_run(run)?,
            (Some(claims), None) => claims.holds()?,
        };
        if holds {
            return Ok(());
        }
        Err(Error::Locked {
            path: self.directory.clone(),
            holder: "another process, which has taken over a run after a long silence of this one".into(),
        })
    }
}

/// Stores what a trainer reports, and passes it on.
struct Recorder<'a> {
    campaign: &'a mut Campaign,
    asked: &'a BTreeSet<RunId>,
    observe: &'a mut dyn Observer,
    error: Option<Error>,
}

impl Observer for Recorder<'_> {
    fn progress(&mut self, event: &Progress) -> Flow {
        if self.error.is_none()
            && let Err(error) = self.campaign.check(None)
        {
            self.error = Some(error);
        }
        if self.error.is_some() { Flow::Stop } else { self.observe.progress(event) }
    }

    fn go_on(&mut self) -> Flow {
        if self.error.is_some() { Flow::Stop } else { self.observe.go_on() }
    }

    fn finished(&mut self, record: &RunRecord) -> Flow {
        if self.asked.contains(&record.id)
            && let Err(error) = self.campaign.keep(record)
        {
            self.error = Some(error);
            return Flow::Stop;
        }
        self.observe.finished(record)
    }

    fn storage_failed(&mut self, error: Error) -> Flow {
        self.error.get_or_insert(error);
        Flow::Stop
    }
}

fn existing(directory: &Path) -> Result<Settings, Error> {
    Settings::read(directory)?.ok_or_else(|| Error::Corrupt {
        path: directory.join("campaign.toml"),
        why: "there is no campaign here".into(),
    })
}
