//! What happens at an operation.

use crate::Operation;
use std::fmt;

/// What happens at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process ends before it.
    KillBefore,
    /// The process ends after half of a write, or right after an operation of another kind.
    KillInside,
    /// It fails for want of space, and none after it.
    FullOnce,
    /// It fails for want of space, and so does every later one that needs some.
    FullForGood,
    /// It fails by an input/output error, and none after it.
    BrokenOnce,
    /// It fails by an input/output error, and so does every later one.
    BrokenForGood,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::KillBefore,
        Self::KillInside,
        Self::FullOnce,
        Self::FullForGood,
        Self::BrokenOnce,
        Self::BrokenForGood,
    ];

    /// The operations of a call without faults at which it can happen, numbered as they are counted then.
    pub fn among(self, operations: &[Operation]) -> Vec<Operation> {
        let counted = operations
            .iter()
            .filter(|one| self.counts_reading() || !Self::READING.contains(&one.name.as_str()));
        let numbered = counted.zip(1..).map(|(one, number)| Operation { number, ..one.clone() });
        numbered.filter(|one| self.befalls(&one.name)).collect()
    }

    /// Whether operations that read are counted. How many there are may depend on how long things take.
    pub(crate) fn counts_reading(self) -> bool {
        matches!(self, Self::BrokenOnce | Self::BrokenForGood)
    }

    /// Operations that change nothing: a file opened to be read, parts of it read, its kind looked at, a directory listed.
    pub const READING: [&'static str; 4] = ["open", "read", "look", "list"];

    /// Whether the process is killed, rather than told of an error.
    pub fn kills(self) -> bool {
        matches!(self, Self::KillBefore | Self::KillInside)
    }

    /// Whether it can happen at an operation of this name: a full disk refuses neither removals nor reading, and a kill before
    /// or after reading is one at the write before.
    fn befalls(self, operation: &str) -> bool {
        let removes = ["unlink", "rmdir"].contains(&operation);
        let reads = Self::READING.contains(&operation);
        match self {
            Self::KillBefore | Self::KillInside => !reads,
            Self::FullOnce | Self::FullForGood => !reads && !removes,
            Self::BrokenOnce | Self::BrokenForGood => true,
        }
    }

    /// What the system says, which a message must repeat.
    pub fn cause(self) -> &'static str {
        match self {
            Self::KillBefore | Self::KillInside => "",
            Self::FullOnce | Self::FullForGood => "No space left on device",
            Self::BrokenOnce | Self::BrokenForGood => "Input/output error",
        }
    }

    /// The mode of the instrument, and its error number on Linux.
    pub(crate) fn mode(self) -> (&'static str, i32) {
        const EIO: i32 = 5;
        const ENOSPC: i32 = 28;
        match self {
            Self::KillBefore => ("before", 0),
            Self::KillInside => ("inside", 0),
            Self::FullOnce => ("once", ENOSPC),
            Self::FullForGood => ("always", ENOSPC),
            Self::BrokenOnce => ("once", EIO),
            Self::BrokenForGood => ("always", EIO),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KillBefore => "killed before",
            Self::KillInside => "killed inside",
            Self::FullOnce => "ENOSPC once",
            Self::FullForGood => "ENOSPC for good",
            Self::BrokenOnce => "EIO once",
            Self::BrokenForGood => "EIO for good",
        })
    }
}
