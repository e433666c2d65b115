//! What is under way in a campaign, and what has failed, for those who only look.

use super::{
    Campaign,
    claim::{self, ClaimState},
    lock, results,
};
use crate::{Error, RunId, files};
use mars_lora::stored::regular;
use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

/// A run that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begun {
    /// A process of a shared campaign holds it.
    Held(Holder),
    /// The last try failed.
    Failed {
        /// Why, as the trainer said.
        why: String,
    },
}

/// Who works on a run, or on a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Process id and host.
    pub name: String,
    /// Its host; empty where it is not known.
    pub host: String,
    /// Time since its last heartbeat, by the clocks of this machine and of the file system: for people, no take-over
    /// depends on it. `None` where there is none.
    pub silence: Option<Duration>,
    /// Whether it was a process of this machine that is no more.
    pub gone: bool,
}

/// A longer reason of a failure is cut.
const LONGEST_REASON: u64 = 1 << 20;

impl Campaign {
    /// The runs of the campaign in `directory` that were begun and have no result. Others may work on it meanwhile: read
    /// the [results](Self::read) afterwards, and let them have precedence. Runs of a process that has the campaign for
    /// itself have no claims, see [`exclusive_holder`](Self::exclusive_holder); what failed before it came is not among
    /// them, since it tries that again.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begun(directory: &Path) -> Result<BTreeMap<RunId, Begun>, Error> {
        let mut all = BTreeMap::new();
        let since = Self::exclusive_holder(directory)?.and_then(|_| lock::taken(directory));
        for run in files::list(&directory.join("runs"))? {
            let Some(id) = run.file_name().and_then(|name| RunId::parse(&name.to_string_lossy())) else {
                continue;
            };
            let failure = results::directory(directory, &id).join("failure.txt");
            let tried = fs::symlink_metadata(&failure).and_then(|found| found.modified()).ok();
            if since.zip(tried).is_some_and(|(since, tried)| tried < since) {
                continue;
            }
            let why = match regular::read_text(&failure, LONGEST_REASON) {
                Ok(why) => why,
                Err(source) if source.kind() == io::ErrorKind::NotFound => continue,
                // One that is no text, or has no end.
                Err(source) => source.to_string(),
            };
            all.insert(id, Begun::Failed { why });
        }
        for seen in claim::all(directory)? {
            if seen.state() == ClaimState::Running {
                let holder = Holder {
                    name: seen.holder(),
                    host: seen.host(),
                    silence: seen.path(directory).metadata().ok().and_then(|found| age(&found)),
                    gone: seen.is_orphan(),
                };
                all.insert(seen.run, Begun::Held(holder));
            }
        }
        Ok(all)
    }

    /// The process that has the campaign in `directory` for itself; `None` where there is none, where living processes share
    /// it, and where the file system has no locks. The lock of a holder that may have ended is tried.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn exclusive_holder(directory: &Path) -> Result<Option<Holder>, Error> {
        // Who shares a campaign has its lock for moments as well.
        let is_shared = |seen: &claim::Seen| seen.state() == ClaimState::Running && !seen.is_orphan();
        if claim::all(directory)?.iter().any(is_shared) {
            return Ok(None);
        }
        Ok(Self::last_holder(directory).filter(|holder| !holder.gone && lock::is_held(directory)))
    }

    /// The last process that had the campaign in `directory` for itself, or opened it to share it; `None` if there was none.
    /// Whether it still works there is known only where it is gone.
    pub fn last_holder(directory: &Path) -> Option<Holder> {
        let name = lock::signature(directory)?;
        let (process, host) = name.strip_prefix("process ")?.split_once(" on ")?;
        let here = host == lock::host() && Path::new("/proc/self").exists();
        let gone = here && process.parse::<u32>().is_ok_and(|id| !Path::new(&format!("/proc/{id}")).exists());
        Some(Holder { host: host.to_owned(), silence: None, gone, name: name.clone() })
    }

    /// Time since anything was last written into the campaign in `directory`, its checkpoints and runs; `None` where the
    /// file system does not say.
    pub fn last_change(directory: &Path) -> Option<Duration> {
        let mut newest: Option<Duration> = None;
        let mut look = vec![(directory.to_owned(), 0)];
        while let Some((path, depth)) = look.pop() {
            let Ok(found) = fs::symlink_metadata(&path) else { continue };
            newest = match (newest, age(&found)) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            if found.is_dir() && depth < 3 {
                look.extend(files::list(&path).unwrap_or_default().into_iter().map(|path| (path, depth + 1)));
            }
        }
        newest
    }
}

/// Time since a file was written; 0 where its clock is ahead.
fn age(found: &fs::Metadata) -> Option<Duration> {
    let written = found.modified().ok()?;
    Some(SystemTime::now().duration_since(written).unwrap_or_default())
}
