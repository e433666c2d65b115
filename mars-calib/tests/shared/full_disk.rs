//! A store of checkpoints on a disk that becomes full.

use mars_calib::{Checkpoint, CheckpointStore, Error, MemoryCheckpoints, RunId, checkpoint::Files};
use std::{io, path::PathBuf};

/// Keeps so many checkpoints; every further one finds the disk full.
pub(crate) struct FullDisk {
    kept: MemoryCheckpoints,
    room: usize,
}

impl FullDisk {
    pub(crate) fn with_room_for(room: usize) -> Self {
        Self { kept: MemoryCheckpoints::default(), room }
    }
}

impl CheckpointStore for FullDisk {
    fn save(&mut self, lineage: &RunId, step: usize, files: &Files) -> Result<(), Error> {
        if self.room == 0 {
            let source = io::Error::from(io::ErrorKind::StorageFull);
            return Err(Error::Io { action: "write", path: PathBuf::from("checkpoints/state"), source });
        }
        self.room -= 1;
        self.kept.save(lineage, step, files)
    }

    fn latest_at_or_below(&self, lineage: &RunId, step: usize) -> Result<Option<Checkpoint>, Error> {
        self.kept.latest_at_or_below(lineage, step)
    }

    fn prune(&mut self, lineage: &RunId, keep: &[usize]) -> Result<(), Error> {
        self.kept.prune(lineage, keep)
    }
}
