//! How much memory this process may still take: the least of what the machine, its control groups and its own limits
//! leave.
//!
//! Read under `/proc` and where the control groups are mounted; on systems without these nothing is known. Swap does not
//! count. Memory of a control group that holds files and can be given back (`inactive_file`) counts as free, as the
//! kernel's `MemAvailable` counts it.

use serde::Serialize;
use std::{
    fmt, fs,
    path::{Component, Path, PathBuf},
};

/// A limit at or above this many bytes is none: version 1 of control groups writes the largest multiple of a page.
const NONE: f64 = (1_u64 << 60) as f64;

/// What leaves the least memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The machine.
    Machine,
    /// A control group, that of a container for example.
    ControlGroup,
    /// The limit of the process on its address space (`RLIMIT_AS`).
    AddressSpace,
    /// The limit of the process on its data (`RLIMIT_DATA`).
    Data,
    /// The device that computes, where that is not the processor.
    Device,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Machine => "on this machine",
            Self::ControlGroup => "within the memory limit of the control group (container, job or service)",
            Self::AddressSpace => "within the limit on the address space of the process (ulimit -v)",
            Self::Data => "within the limit on the data of the process (ulimit -d)",
            Self::Device => "on the device beside the weights",
        })
    }
}

/// What is left, and by which bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Left {
    /// Bytes.
    pub bytes: f64,
    /// What leaves no more.
    pub bound: Bound,
}

/// The file system in which the kernel says what there is.
#[derive(Clone, Debug)]
pub(crate) struct System {
    root: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self { root: PathBuf::from("/") }
    }
}

impl System {
    /// Memory that this process may still take; `None` where the system does not say.
    pub(crate) fn left(&self) -> Option<Left> {
        let status = self.read("/proc/self/status");
        let machine = self.read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemAvailable:"));
        let own = |limit: &str, used: &str| {
            let limit = soft_limit(&self.read("/proc/self/limits")?, limit)?;
            Some((limit - kilobytes(status.as_deref()?, used)?).max(0.0))
        };
        let groups = self.control_groups().into_iter().filter_map(|group| group.left(self));
        let all = [
            (machine, Bound::Machine),
            (groups.reduce(f64::min), Bound::ControlGroup),
            (own("Max address space", "VmSize:"), Bound::AddressSpace),
            (own("Max data size", "VmData:"), Bound::Data),
        ];
        let known = all.into_iter().filter_map(|(bytes, bound)| Some(Left { bytes: bytes?, bound }));
        known.reduce(|least, next| if next.bytes < least.bytes { next } else { least })
    }

    /// Memory of this process now, bytes.
    pub(crate) fn resident(&self) -> Option<f64> {
        kilobytes(&self.read("/proc/self/status")?, "VmRSS:")
    }

    /// The control groups of this process that may limit its memory, and all above them that can be seen from here.
    fn control_groups(&self) -> Vec<Group> {
        let (Some(own), Some(mounts)) = (self.read("/proc/self/cgroup"), self.read("/proc/self/mountinfo"))
        else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for line in own.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            let version = match controllers {
                "" => Version::Two,
                names if names.split(',').any(|name| name == "memory") => Version::One,
                _ => continue,
            };
            let Some((root, place)) = mounts.lines().find_map(|line| version.mount(line)) else { continue };
            // A path from outside of what is mounted here, as in some containers: the mount itself is the group.
            let below = Path::new(path).strip_prefix(&root).unwrap_or(Path::new(""));
            let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
            let below = if plain { below } else { Path::new("") };
            let inner = place.join(below);
            let seen = inner.ancestors().take_while(|group| group.starts_with(&place));
            all.extend(seen.map(|group| Group { version, place: group.to_owned() }));
        }
        all
    }

    fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let path = path.as_ref();
        fs::read_to_string(self.root.join(path.strip_prefix("/").unwrap_or(path))).ok()
    }
}

/// The two versions of control groups.
#[derive(Clone, Copy, Debug)]
enum Version {
    One,
    Two,
}

impl Version {
    /// Root and place of a mount of this version, from a line of `mountinfo`.
    fn mount(self, line: &str) -> Option<(PathBuf, PathBuf)> {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1).unwrap_or(""));
        let fits = match self {
            Self::One => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
            Self::Two => kind == "cgroup2",
        };
        fits.then(|| (PathBuf::from(unescaped(root)), PathBuf::from(unescaped(place))))
    }
}

/// A blank as `mountinfo` writes it.
fn unescaped(path: &str) -> String {
    path.replace("\\040", " ")
}

/// A control group with what it says of memory.
struct Group {
    version: Version,
    place: PathBuf,
}

impl Group {
    /// What its limit leaves, bytes; `None` without a limit.
    fn left(&self, system: &System) -> Option<f64> {
        let (limit, used, given_back) = match self.version {
            Version::One => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
            Version::Two => ("memory.max", "memory.current", "inactive_file "),
        };
        let read = |file: &str| system.read(self.place.join(file));
        let limit: f64 = read(limit)?.trim().parse().ok().filter(|limit| *limit < NONE)?;
        let used: f64 = read(used).and_then(|text| text.trim().parse().ok()).unwrap_or(0.0);
        let files = read("memory.stat").and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix(given_back)?.trim().parse::<f64>().ok())
        });
        Some((limit - (used - files.unwrap_or(0.0)).max(0.0)).max(0.0))
    }
}

/// The field `name` of a file of the form `Name:   123 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// The soft limit `name` of `/proc/self/limits`, in bytes; `None` for none.
fn soft_limit(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Bound, Left, System};
    use std::fs;
    use tempfile::{TempDir, tempdir};

    const MIB: f64 = 1048576.0;

    /// A system of such files, with 4 GiB available on the machine.
    fn system(files: &[(&str, &str)]) -> (TempDir, System) {
        let place = tempdir().unwrap();
        let usual = [
            ("proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable:    4194304 kB\n"),
            ("proc/self/status", "VmSize:\t  524288 kB\nVmRSS:\t  65536 kB\nVmData:\t  131072 kB\n"),
        ];
        for (path, text) in usual.iter().chain(files) {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = place.path().to_owned();
        (place, System { root })
    }

    fn left(files: &[(&str, &str)]) -> Left {
        let (_place, system) = system(files);
        system.left().unwrap()
    }

    const TWO: (&str, &str) =
        ("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");

    #[test]
    fn without_limits_it_is_what_the_machine_has() {
        assert_eq!(left(&[]), Left { bytes: 4096.0 * MIB, bound: Bound::Machine });
        let (_place, system) = system(&[]);
        assert_eq!(system.resident(), Some(64.0 * MIB));
        let unlimited = [TWO, ("proc/self/cgroup", "0::/a\n"), ("sys/fs/cgroup/a/memory.max", "max\n")];
        assert_eq!(left(&unlimited).bound, Bound::Machine);
        assert_eq!(System { root: "/does/not/exist".into() }.left(), None);
    }

    #[test]
    fn every_group_above_counts_in_version_two() {
        let files = [
            TWO,
            ("proc/self/cgroup", "0::/job.slice/run.scope\n"),
            ("sys/fs/cgroup/job.slice/run.scope/memory.max", "max\n"),
            ("sys/fs/cgroup/job.slice/memory.max", "536870912\n"),
            ("sys/fs/cgroup/job.slice/memory.current", "268435456\n"),
            ("sys/fs/cgroup/job.slice/memory.stat", "anon 1\ninactive_file 134217728\nactive_file 5\n"),
        ];
        assert_eq!(left(&files), Left { bytes: 384.0 * MIB, bound: Bound::ControlGroup });
        let deeper =
            [&files[..], &[("sys/fs/cgroup/job.slice/run.scope/memory.max", "104857600\n")]].concat();
        assert_eq!(left(&deeper), Left { bytes: 100.0 * MIB, bound: Bound::ControlGroup });
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_mount() {
        let root = |text| ("sys/fs/cgroup/memory.max", text);
        for path in ["0::/\n", "0::/../../other\n", "0::/docker/abc\n"] {
            let files = [TWO, ("proc/self/cgroup", path), root("1048576000\n")];
            assert_eq!(left(&files), Left { bytes: 1000.0 * MIB, bound: Bound::ControlGroup }, "{path}");
        }
        let bound = "31 23 0:28 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let files =
            [("proc/self/mountinfo", bound), ("proc/self/cgroup", "0::/docker/abc\n"), root("1048576000\n")];
        assert_eq!(left(&files).bound, Bound::ControlGroup);
    }

    #[test]
    fn version_one_has_other_files() {
        let mounts = "34 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
        let own = ("proc/self/cgroup", "4:cpu,cpuacct:/b\n3:memory:/a/b\n");
        let limit = |text| ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", text);
        let files = |text| {
            [
                ("proc/self/mountinfo", mounts),
                own,
                limit(text),
                ("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "104857600\n"),
                ("sys/fs/cgroup/memory/a/b/memory.stat", "inactive_file 7\ntotal_inactive_file 52428800\n"),
            ]
        };
        assert_eq!(left(&files("209715200\n")), Left { bytes: 150.0 * MIB, bound: Bound::ControlGroup });
        assert_eq!(left(&files("9223372036854771712\n")).bound, Bound::Machine);
    }

    #[test]
    fn limits_of_the_process_count_with_what_it_has() {
        let limits = |space: &str, data: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max data size             {data}            unlimited            bytes     \n\
                 Max address space         {space}            unlimited            bytes     \n"
            )
        };
        let with = |text: &str| left(&[("proc/self/limits", text)]);
        assert_eq!(with(&limits("unlimited", "unlimited")).bound, Bound::Machine);
        let space = with(&limits("1073741824", "unlimited"));
        assert_eq!(space, Left { bytes: 512.0 * MIB, bound: Bound::AddressSpace });
        let data = with(&limits("1073741824", "268435456"));
        assert_eq!(data, Left { bytes: 128.0 * MIB, bound: Bound::Data });
        // More is used than is allowed.
        assert_eq!(with(&limits("1024", "unlimited")).bytes, 0.0);
    }
}
