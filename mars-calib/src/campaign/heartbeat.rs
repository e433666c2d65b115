//! The claims of this process, kept alive by a thread of their own while runs are trained.

use super::claim::{Claim, ClaimState};
use crate::{Error, RunId};
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Between two looks at all claims.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Claims that are held until dropped.
#[derive(Debug)]
pub(super) struct Heartbeat {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    held: Mutex<Held>,
    ended: Condvar,
}

#[derive(Debug)]
struct Held {
    claims: Vec<Claim>,
    /// Why the last heartbeat of one could not be written.
    failed: Option<Error>,
    /// When all were last seen to be this process's.
    looked: Option<Instant>,
    end: bool,
}

impl Heartbeat {
    /// Keeps `claims` alive, one heartbeat each `beat`.
    pub(super) fn start(claims: Vec<Claim>, beat: Duration) -> Self {
        let shared = Arc::new(Shared {
            held: Mutex::new(Held { claims, failed: None, looked: None, end: false }),
            ended: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let mut held = theirs.held();
            while !held.end {
                if let Err(error) = held.claims.iter_mut().try_for_each(Claim::beat) {
                    held.failed.get_or_insert(error);
                }
                held = theirs.ended.wait_timeout(held, beat).unwrap_or_else(PoisonError::into_inner).0;
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// Whether all claims are still this process's, as far as was seen within the last second: each is a file, and this is asked at
    /// every step.
    ///
    /// # Errors
    /// [`Error::Io`] when that cannot be seen, or a heartbeat could not be written.
    pub(super) fn holds(&self) -> Result<bool, Error> {
        let mut held = self.shared.held();
        if let Some(error) = held.failed.take() {
            return Err(error);
        }
        if held.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return Ok(true);
        }
        for claim in &held.claims {
            if !claim.holds()? {
                return Ok(false);
            }
        }
        held.looked = Some(Instant::now());
        Ok(true)
    }

    /// Whether `run` is still this process's, whatever has become of the others. One whose claim has ended has its result.
    ///
    /// # Errors
    /// [`Error::Io`] when that cannot be seen.
    pub(super) fn holds_run(&self, run: &RunId) -> Result<bool, Error> {
        let held = self.shared.held();
        held.claims.iter().find(|claim| claim.run == *run).map_or(Ok(true), Claim::holds)
    }

    /// Ends the claim of `run`: a run that has a result needs none.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn end(&self, run: &RunId, failed: bool) -> Result<(), Error> {
        let mut held = self.shared.held();
        let Some(at) = held.claims.iter().position(|claim| claim.run == *run) else { return Ok(()) };
        let claim = held.claims.swap_remove(at);
        if failed { claim.end(ClaimState::Failed) } else { claim.done() }
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.shared.held().end = true;
        self.shared.ended.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for claim in self.shared.held().claims.drain(..) {
            // One that cannot be given up is taken over once this process is gone.
            let _ = claim.end(ClaimState::Released);
        }
    }
}
