//! What the end of a command means for its run.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 2, 3, 4 | usage, bad data or model, out of memory: would end in the same way again |
//! | 74 | I/O error: once more, then the search stops |
//! | 75 | a resource is held elsewhere: once more |
//! | 85 | stopped after a checkpoint: goes on as long as it gets further |
//! | killed by a signal | once more |
//! | any other | failed |

use super::losses::Seen;
use crate::RunEnd;
use std::process::ExitStatus;

/// What is to be done after the end of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its curve is to be read.
    Done,
    /// It is to be started again, and goes on from its checkpoint.
    Unfinished,
    /// It is started once more; if that ends alike, the run has failed.
    MayPass,
    /// It is started once more; if that ends alike, files cannot be read or written.
    Storage,
    /// The run has failed.
    Failed,
}

impl Ending {
    pub(super) fn of(status: ExitStatus) -> Self {
        match status.code() {
            Some(0) => Self::Done,
            Some(85) => Self::Unfinished,
            Some(74) => Self::Storage,
            // Shells and containers tell of a signal as 128 + its number.
            None | Some(75 | 129..=159) => Self::MayPass,
            Some(_) => Self::Failed,
        }
    }
}

/// How the tries of a run ended.
pub(super) enum Outcome {
    /// By itself.
    Done,
    Failed(String),
    /// With this end before the last step, for what the curve showed.
    Early(RunEnd, Seen),
    /// After this many seconds.
    TimedOut(f64),
    Stopped,
}

/// How one try ended.
pub(super) enum Watched {
    /// By itself.
    Exited(ExitStatus),
    /// By this program.
    Ended(Outcome),
}

/// An end of a command, as a part of a sentence: its status, and what that means by convention.
pub(super) fn in_words(status: ExitStatus) -> String {
    let meaning = match status.code() {
        Some(2) => ": it does not accept its arguments",
        Some(3) => ": it cannot use its data or its model",
        Some(4 | 137) => ": there was too little memory",
        Some(74) => ": it could not read or write a file",
        Some(75) => ": something that it needs is held elsewhere",
        Some(85) => ": it stopped after a checkpoint",
        _ => "",
    };
    format!("{status}{meaning}")
}

#[cfg(all(test, unix))]
mod tests {
    use super::Ending;
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    #[test]
    fn only_what_can_pass_is_tried_again() {
        for (code, expected) in [
            (0, Ending::Done),
            (1, Ending::Failed),
            (2, Ending::Failed),
            (3, Ending::Failed),
            (4, Ending::Failed),
            (74, Ending::Storage),
            (75, Ending::MayPass),
            (85, Ending::Unfinished),
            (127, Ending::Failed),
            (137, Ending::MayPass),
            (255, Ending::Failed),
        ] {
            assert_eq!(Ending::of(ExitStatus::from_raw(code << 8)), expected, "{code}");
        }
        assert_eq!(Ending::of(ExitStatus::from_raw(9)), Ending::MayPass);
    }
}
