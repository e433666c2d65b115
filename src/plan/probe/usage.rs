//! What this process and its children have used so far, and how busy the machine is.

use serde::Serialize;
use std::time::Instant;

/// Time that has passed, and processor time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// On the clock.
    pub wall: f64,
    /// On processors, of all threads and processes; 0 where the system does not say.
    pub cpu: f64,
}

impl Seconds {
    /// `self + factor * other`.
    pub(super) fn plus(self, other: Self, factor: f64) -> Self {
        Self { wall: self.wall + factor * other.wall, cpu: self.cpu + factor * other.cpu }
    }

    /// Both times `factor`.
    pub(super) fn times(self, factor: f64) -> Self {
        Self::default().plus(self, factor)
    }

    /// Neither below 0.
    pub(super) fn or_zero(self) -> Self {
        Self { wall: self.wall.max(0.0), cpu: self.cpu.max(0.0) }
    }
}

/// A moment from which seconds are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    at: Instant,
    cpu: f64,
}

impl Mark {
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), cpu: system::cpu_s() }
    }

    /// Seconds from this moment to `later`.
    pub(super) fn until(self, later: Self) -> Seconds {
        Seconds { wall: later.at.duration_since(self.at).as_secs_f64(), cpu: later.cpu - self.cpu }
    }
}

pub(super) use system::{children_peak, own_peak};

/// Processes that want a processor, averaged over the last minute; `None` where the system does not say.
pub(super) fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[cfg(unix)]
mod system {
    use nix::sys::{
        resource::{Usage, UsageWho, getrusage},
        time::TimeValLike,
    };

    /// Processor time of this process and of those of its children that have ended, seconds.
    pub(super) fn cpu_s() -> f64 {
        let sum = |usage: Usage| (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6;
        [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
            .into_iter()
            .filter_map(|who| getrusage(who).ok())
            .map(sum)
            .sum()
    }

    fn peak(who: UsageWho) -> Option<f64> {
        let unit = if cfg!(target_vendor = "apple") { 1.0 } else { 1024.0 };
        getrusage(who).ok().map(|usage| usage.max_rss() as f64 * unit).filter(|bytes| *bytes > 0.0)
    }

    /// The most memory that this process had so far, bytes.
    pub(in super::super) fn own_peak() -> Option<f64> {
        peak(UsageWho::RUSAGE_SELF)
    }

    /// The most memory that one of its children had that have ended, bytes.
    pub(in super::super) fn children_peak() -> Option<f64> {
        peak(UsageWho::RUSAGE_CHILDREN)
    }
}

#[cfg(not(unix))]
mod system {
    pub(super) fn cpu_s() -> f64 {
        0.0
    }

    pub(in super::super) fn own_peak() -> Option<f64> {
        None
    }

    pub(in super::super) fn children_peak() -> Option<f64> {
        None
    }
}
