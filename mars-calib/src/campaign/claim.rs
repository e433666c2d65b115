//! Which process does which run of a shared campaign: `claims/<run>.<generation>`.
//!
//! A claim is a file that its holder created, which fails where the file exists: that holds on network file systems too,
//! whose locks may not. The holder writes a counter into it again and again, its heartbeat. The rule of take-over: who
//! has seen the same content for [`Pace::patience`] on its own monotonic clock creates the next generation, and of
//! several only one can. No clock of another machine is asked. A holder of the same machine whose process is gone is
//! replaced at once. A holder that finds a later generation, or its file gone or not its own, has lost the run and stops.
//!
//! Generations of an unfinished run grow: a given-up claim stays as a file that says so, until it is replaced. Who has the
//! campaign for itself removes the claims of silent holders, after which generations begin again: a file is a holder's own
//! by the token in it, not by its name.

use super::lock::host;
use crate::{Error, RunId, files};
use serde::{Deserialize, Serialize};
use std::{
    collections::hash_map::RandomState,
    fs::{self, File, OpenOptions},
    hash::BuildHasher,
    io::{self, Seek, Write},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

const DIRECTORY: &str = "claims";
/// Every claim has this many bytes, so that writing one again never leaves a part of a longer one.
const WIDTH: usize = 512;

/// How often a holder shows that it lives, and how long others wait for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time between two heartbeats; 3 seconds by default.
    pub beat: Duration,
    /// A claim that has not changed for this long is taken over; 90 seconds by default. Longer than the caches of the file
    /// system and than any pause of a living process.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { beat: Duration::from_secs(3), patience: Duration::from_secs(90) }
    }
}

/// What a claim stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ClaimState {
    /// Its holder works on the run.
    Running,
    /// Given up without a result; whoever comes may have the run.
    Released,
    /// The run failed.
    Failed,
}

/// What a claim says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    state: ClaimState,
    host: String,
    pid: u32,
    /// Identity of the running system and of its table of processes; empty where unknown.
    machine: String,
    beat: u64,
    /// No other claim has it; 0 in claims of before there were tokens.
    #[serde(default)]
    token: u64,
}

/// A claim as others see it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) run: RunId,
    pub(super) generation: u64,
    /// The content, changed by every heartbeat.
    pub(super) mark: Vec<u8>,
    note: Option<Note>,
}

impl Seen {
    /// A claim that cannot be read, as one is just being written, counts as that of a living holder.
    pub(super) fn state(&self) -> ClaimState {
        self.note.as_ref().map_or(ClaimState::Running, |note| note.state)
    }

    /// Who holds it: process and host.
    pub(super) fn holder(&self) -> String {
        self.note
            .as_ref()
            .map_or_else(|| "another process".into(), |note| format!("process {} on {}", note.pid, note.host))
    }

    /// The host of its holder; empty where it is not known.
    pub(super) fn host(&self) -> String {
        self.note.as_ref().map_or_else(String::new, |note| note.host.clone())
    }

    /// Its file.
    pub(super) fn path(&self, campaign: &Path) -> PathBuf {
        path(campaign, &self.run, self.generation)
    }

    /// Whether the holder was a process of this machine that is no more.
    pub(super) fn is_orphan(&self) -> bool {
        self.note.as_ref().is_some_and(|note| {
            !note.machine.is_empty()
                && note.machine == machine()
                && !Path::new(&format!("/proc/{}", note.pid)).exists()
        })
    }
}

/// The latest claim of every run that has one.
///
/// # Errors
/// [`Error::Corrupt`] for what is not a file, or too long for a claim; [`Error::Io`].
pub(super) fn all(campaign: &Path) -> Result<Vec<Seen>, Error> {
    let mut latest: Vec<Seen> = Vec::new();
    for path in files::list(&campaign.join(DIRECTORY))? {
        let Some((run, generation)) = parse_name(&path) else { continue };
        let Some(mark) = files::read(&path, WIDTH as u64)? else { continue };
        let note = serde_json::from_slice(&mark).ok();
        let seen = Seen { run, generation, mark, note };
        match latest.iter_mut().find(|other| other.run == seen.run) {
            Some(other) if other.generation > seen.generation => {}
            Some(other) => *other = seen,
            None => latest.push(seen),
        }
    }
    Ok(latest)
}

/// Removes the claim `seen`, which is over, so that its holder, should it wake up, finds it lost. The campaign's lock must
/// be held.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn remove(campaign: &Path, seen: &Seen) -> Result<(), Error> {
    files::remove(&path(campaign, &seen.run, seen.generation))
}

/// A claim of this process.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) run: RunId,
    generation: u64,
    campaign: PathBuf,
    file: File,
    note: Note,
}

impl Claim {
    /// Claims `run`, in place of `before`; `None` when another process was first.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn take(campaign: &Path, run: &RunId, before: Option<&Seen>) -> Result<Option<Self>, Error> {
        files::make_directory(&campaign.join(DIRECTORY))?;
        let generation = before.map_or(1, |seen| seen.generation.saturating_add(1));
        let path = path(campaign, run, generation);
        let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(source) => return Err(Error::io("create", &path)(source)),
        };
        let note = Note {
            state: ClaimState::Running,
            host: host().chars().take(WIDTH / 4).collect(),
            pid: process::id(),
            machine: machine(),
            beat: 0,
            // The keys of each such state are random and its own.
            token: RandomState::new().hash_one(generation).max(1),
        };
        let mut claim = Self { run: run.clone(), generation, campaign: campaign.to_owned(), file, note };
        if let Err(error) = claim.write() {
            // Left there, it is that of a process that is no more.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        if let Some(before) = before {
            remove(campaign, before)?;
        }
        Ok(Some(claim))
    }

    /// One heartbeat.
    ///
    /// # Errors
    /// [`Error::Io`]: others will notice the silence.
    pub(super) fn beat(&mut self) -> Result<(), Error> {
        self.note.beat += 1;
        self.write()
    }

    /// Whether the run is still this process's.
    ///
    /// # Errors
    /// [`Error::Io`] when that cannot be seen.
    pub(super) fn holds(&self) -> Result<bool, Error> {
        let later = path(&self.campaign, &self.run, self.generation.saturating_add(1));
        Ok(self.is_own()? && !files::exists(&later)?)
    }

    /// Whether the file of its name is the one that it has created: there may be one of another claim.
    fn is_own(&self) -> Result<bool, Error> {
        let path = path(&self.campaign, &self.run, self.generation);
        let found = files::read(&path, WIDTH as u64)?;
        let note = found.and_then(|found| serde_json::from_slice::<Note>(&found).ok());
        Ok(note.is_some_and(|note| note.token == self.note.token))
    }

    /// Gives the run up.
    ///
    /// # Errors
    /// [`Error::Io`]: it looks held for as long as this process lives, and then for the time of patience.
    pub(super) fn end(mut self, state: ClaimState) -> Result<(), Error> {
        self.note.state = state;
        self.note.beat += 1;
        self.write()
    }

    /// Removes the claim of a run that has a result, which says all.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn done(self) -> Result<(), Error> {
        if self.is_own()? { files::remove(&path(&self.campaign, &self.run, self.generation)) } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Error> {
        let mut write = || -> io::Result<()> {
            let mut bytes = serde_json::to_vec(&self.note)?;
            bytes.resize(WIDTH, b' ');
            self.file.rewind()?;
            self.file.write_all(&bytes)?;
            self.file.sync_data()
        };
        write().map_err(Error::io("write", &path(&self.campaign, &self.run, self.generation)))
    }
}

fn path(campaign: &Path, run: &RunId, generation: u64) -> PathBuf {
    campaign.join(DIRECTORY).join(format!("{run}.{generation}"))
}

fn parse_name(path: &Path) -> Option<(RunId, u64)> {
    let name = path.file_name()?.to_str()?;
    let (run, generation) = name.rsplit_once('.')?;
    Some((RunId::parse(run)?, generation.parse().ok()?))
}

/// The boot of the system and the namespace of process ids, between which a process id means the same.
fn machine() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let space = fs::read_link("/proc/self/ns/pid");
    match (boot, space) {
        (Ok(boot), Ok(space)) => format!("{} {}", boot.trim(), space.display()),
        _ => String::new(),
    }
}
