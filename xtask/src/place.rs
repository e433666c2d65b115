//! Where the workspace is and where its programs are built.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::command::{Command, Failure};

/// The directories that the steps need.
pub(crate) struct Place {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// Where cargo puts programs of the `dev` profile: this program lies there.
    pub(crate) debug: PathBuf,
}

impl Place {
    pub(crate) fn find() -> Result<Self, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent directory")?;
        let program = env::current_exe().map_err(|error| format!("the path of this program: {error}"))?;
        let debug = program.parent().ok_or("this program has no parent directory")?;
        Ok(Self { root: root.to_owned(), debug: debug.to_owned() })
    }

    /// cargo's target directory.
    pub(crate) fn target(&self) -> Result<&Path, Failure> {
        Ok(self.debug.parent().ok_or("this program lies outside a target directory")?)
    }

    /// `cargo` with these arguments, in the workspace's root.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        self.cargo_in(&self.root, arguments)
    }

    /// The same in another directory.
    pub(crate) fn cargo_in(&self, directory: &Path, arguments: &[&str]) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Command::new("cargo", cargo, directory).args(arguments)
    }

    /// Builds `mars`, as it is in the `dev` profile, and returns its path.
    pub(crate) fn mars(&self) -> Result<PathBuf, Failure> {
        self.cargo(&["build", "--workspace", "--bin", "mars"]).run()?;
        Ok(self.debug.join("mars").with_extension(env::consts::EXE_EXTENSION))
    }

    /// A program built in the workspace.
    pub(crate) fn program(&self, path: &Path) -> Command {
        Command::new(&path.display().to_string(), path, &self.root)
    }
}
