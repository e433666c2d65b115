//! Several processes on one campaign: each claims runs, does them, and claims again.

use super::{
    Campaign, OnChange, Settings,
    claim::{self, Claim, ClaimState, Pace, Seen},
    heartbeat::Heartbeat,
    lock::Lock,
    results,
};
use crate::{Error, RunId, RunSpec, files};
use std::{
    collections::BTreeMap,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// What a process may do next on a shared campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It holds these runs, given by their places among those asked for.
    Runs(Vec<usize>),
    /// Every run has a result, or has failed since this process opened the campaign.
    AllDone,
    /// Those left are held by living processes, named here.
    Elsewhere(Vec<String>),
    /// Asked to stop while waiting.
    Stopped,
}

impl Campaign {
    /// Opens the campaign in `directory`, or starts one there, for runs that are [claimed](Self::claim) one by one while
    /// other processes do others.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Locked`] when a process has the campaign for itself.
    pub fn share(directory: &Path, settings: Settings, on_change: OnChange) -> Result<Self, Error> {
        files::make_directory(directory)?;
        let lock = short_lock(directory, Pace::default())?;
        settings.settle(directory, on_change)?;
        let claims = claim::all(directory)?;
        let alone = claims.iter().all(|seen| seen.state() != ClaimState::Running);
        let mut repaired = Vec::new();
        if let Some(lock) = lock.filter(|_| alone) {
            // Nothing is under construction: what is there of that is left over.
            repaired = Self::load(directory, settings.clone(), lock)?.warnings;
        }
        let (records, mut warnings) = results::load(directory, false, &BTreeMap::new())?;
        warnings.extend(repaired);
        let failed_before = claims
            .into_iter()
            .filter(|seen| seen.state() == ClaimState::Failed)
            .map(|seen| (seen.run, seen.generation))
            .collect();
        Ok(Self {
            directory: directory.to_owned(),
            settings,
            records,
            warnings,
            lock: None,
            claims: None,
            failed_before,
        })
    }

    /// Claims up to `at_most` of `specs` that are not done and that no living process holds. Claims are kept until their
    /// runs are stored, the next call, or the end of this campaign. Where all that is left is held by others, this
    /// watches their heartbeats until each has been seen to live or has been silent for [`Pace::patience`].
    ///
    /// # Errors
    /// [`Error::Locked`] when a process has the campaign for itself; [`Error::Io`].
    pub fn claim(
        &mut self,
        specs: &[RunSpec],
        at_most: usize,
        pace: Pace,
        stop: &dyn Fn() -> bool,
    ) -> Result<Claimed, Error> {
        self.claims = None;
        let ids: Vec<RunId> = specs.iter().map(|spec| self.bind(spec).id()).collect();
        let mut watched: BTreeMap<RunId, Watched> = BTreeMap::new();
        loop {
            let lock = short_lock(&self.directory, pace)?;
            self.refresh()?;
            let seen = claim::all(&self.directory)?;
            let (mut taken, mut claims, mut held) = (Vec::new(), Vec::new(), Vec::new());
            for (at, id) in ids.iter().enumerate() {
                if taken.len() >= at_most.max(1) {
                    break;
                }
                if self.records.contains_key(id) || claims.iter().any(|claim: &Claim| claim.run == *id) {
                    continue;
                }
                let before = seen.iter().find(|seen| seen.run == *id);
                let free = match before.map(|seen| (seen, seen.state())) {
                    None | Some((_, ClaimState::Released)) => true,
                    Some((seen, ClaimState::Failed)) => match self.failed_before.get(id) {
                        Some(generation) if *generation == seen.generation => true,
                        _ => continue,
                    },
                    Some((seen, ClaimState::Running)) => {
                        let now = Instant::now();
                        let watched = watched.entry(id.clone()).or_insert_with(|| Watched::new(seen, now));
                        seen.is_orphan() || watched.silence(seen, now) >= pace.patience
                    }
                };
                match if free { Claim::take(&self.directory, id, before)? } else { None } {
                    Some(claim) => {
                        taken.push(at);
                        claims.push(claim);
                    }
                    None => held.push((id.clone(), before.map_or_else(String::new, Seen::holder))),
                }
            }
            drop(lock);
            if !claims.is_empty() {
                // A result may have come between looking and claiming.
                self.refresh()?;
                let (done, mut claims): (Vec<Claim>, Vec<Claim>) =
                    claims.into_iter().partition(|claim| self.records.contains_key(&claim.run));
                done.into_iter().try_for_each(Claim::done)?;
                taken.retain(|at| !self.records.contains_key(&ids[*at]));
                if taken.is_empty() {
                    continue;
                }
                claims.iter_mut().try_for_each(Claim::beat)?;
                self.claims = Some(Heartbeat::start(claims, pace.beat));
                return Ok(Claimed::Runs(taken));
            }
            if held.is_empty() {
                return Ok(Claimed::AllDone);
            }
            if held.iter().all(|(id, _)| watched.get(id).is_some_and(|watched| watched.lives)) {
                let mut holders: Vec<String> = held.into_iter().map(|(_, holder)| holder).collect();
                holders.sort();
                holders.dedup();
                return Ok(Claimed::Elsewhere(holders));
            }
            if stop() {
                return Ok(Claimed::Stopped);
            }
            thread::sleep((pace.beat / 4).min(Duration::from_millis(500)));
        }
    }

    /// Takes over what other processes have finished since.
    fn refresh(&mut self) -> Result<(), Error> {
        self.records.extend(results::load(&self.directory, false, &self.records)?.0);
        Ok(())
    }
}

/// A claim under observation.
struct Watched {
    mark: (u64, Vec<u8>),
    since: Instant,
    /// Whether a heartbeat was seen.
    lives: bool,
}

impl Watched {
    fn new(seen: &Seen, now: Instant) -> Self {
        Self { mark: (seen.generation, seen.mark.clone()), since: now, lives: false }
    }

    /// For how long the claim has not changed, on the clock of `now`.
    fn silence(&mut self, seen: &Seen, now: Instant) -> Duration {
        if (self.mark.0, &self.mark.1) != (seen.generation, &seen.mark) {
            *self = Self { lives: true, ..Self::new(seen, now) };
        }
        now.saturating_duration_since(self.since)
    }
}

/// Waits until every claim of a campaign that one process wants for itself is over.
///
/// # Errors
/// [`Error::Locked`] as soon as a holder is seen to live; [`Error::Io`].
pub(super) fn wait_for_claims(directory: &Path, pace: Pace) -> Result<(), Error> {
    let mut watched: BTreeMap<RunId, Watched> = BTreeMap::new();
    loop {
        let mut silent = true;
        for seen in claim::all(directory)? {
            if seen.state() != ClaimState::Running || seen.is_orphan() {
                continue;
            }
            let now = Instant::now();
            let watch = watched.entry(seen.run.clone()).or_insert_with(|| Watched::new(&seen, now));
            silent &= watch.silence(&seen, now) >= pace.patience;
            if watch.lives {
                return Err(Error::Locked { path: directory.to_owned(), holder: seen.holder() });
            }
        }
        if silent {
            let all = claim::all(directory)?;
            let mut over = all.iter().filter(|seen| seen.state() == ClaimState::Running);
            return over.try_for_each(|seen| claim::remove(directory, seen));
        }
        thread::sleep((pace.beat / 4).min(Duration::from_millis(500)));
    }
}

/// The campaign's lock, which others of a shared campaign hold for moments only. `None` where the file system has no
/// locks: claims do without.
fn short_lock(directory: &Path, pace: Pace) -> Result<Option<Lock>, Error> {
    // Who wants the campaign for itself has the lock until it has seen that another lives, see `wait_for_claims`: a beat and
    // the time between two looks.
    let patience = Duration::from_secs(2) + 2 * pace.beat;
    let asked = Instant::now();
    loop {
        match Lock::take(directory) {
            Err(Error::Locked { .. }) if asked.elapsed() < patience => {
                thread::sleep(Duration::from_millis(25));
            }
            Err(Error::NoLocks { .. }) => return Ok(None),
            other => return other.map(Some),
        }
    }
}
