//! Files and directories that are there whole or not at all, whatever ends the process and when.
//!
//! What is to appear at a path is made beside it under another name, flushed to the disk, renamed once, and the rename
//! is flushed too. So readers, and whoever comes after a kill or a full disk, see the old content or the new.
//! What a kill leaves under the other name is removed by the next write of the same path, or by [`remove_stale`];
//! never while the process that makes it lives, for that holds an operating-system lock on it.
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! let path = directory.path().join("result.json");
//! mars_lora::files::write(&path, b"{}")?;
//! assert_eq!(std::fs::read(path)?, b"{}");
//! # Ok::<(), std::io::Error>(())
//! ```
mod directories;
mod new_directory;
mod new_file;
mod temporary;

pub use directories::{create_directories, sync_directory};
pub use new_directory::NewDirectory;
pub use new_file::{NewFile, write};
pub use temporary::remove_stale;
