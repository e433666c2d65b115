//! The steps, in their order.

use super::{examples, gpu, main_job, packages, without_burn};
use crate::{command::Outcome, place::Place};

/// One thing that must hold.
pub(crate) struct Step {
    /// What `--only` and `--skip` call it.
    pub(crate) name: &'static str,
    /// What it checks, in a line.
    pub(crate) about: &'static str,
    /// Does it.
    pub(crate) run: fn(&Place) -> Outcome,
}

/// All steps.
pub(crate) const STEPS: [Step; 11] = [
    Step { name: "format", about: "rustfmt", run: format },
    Step {
        name: "dependencies",
        about: "no burn below the crates that build without it",
        run: without_burn::trees,
    },
    Step {
        name: "packages",
        about: "the libraries, packaged as for a registry and compiled without burn",
        run: packages::run,
    },
    Step { name: "lints", about: "clippy without warnings, with the code for CUDA", run: lints },
    Step {
        name: "without-burn",
        about: "clippy on the libraries without default features",
        run: without_burn::lints,
    },
    Step { name: "documentation", about: "rustdoc without warnings", run: documentation },
    Step { name: "tests", about: "the README's command", run: tests },
    Step {
        name: "optional-data",
        about: "data sets in Parquet files, models fetched by id",
        run: optional_data,
    },
    Step { name: "examples", about: "all that need no arguments and end within seconds", run: examples::run },
    Step { name: "wgpu", about: "tests on a GPU, or on software Vulkan", run: gpu::wgpu },
    Step { name: "main-job", about: "the README's command, with a small budget", run: main_job::run },
];

fn format(place: &Place) -> Outcome {
    place.cargo(&["fmt", "--all", "--check"]).run()
}

/// With the kernels for GPUs, which no other step checks by itself.
const CUDA: [&str; 2] = ["--features", "mars-cli/cuda"];

/// Build scripts of burn's CUDA back end would download LLVM, but for documentation.
const NO_DOWNLOAD: (&str, &str) = ("DOCS_RS", "1");

fn lints(place: &Place) -> Outcome {
    let (name, value) = NO_DOWNLOAD;
    let lints = place.cargo(&["clippy", "--workspace", "--all-targets"]).args(&CUDA);
    lints.args(&["--", "-D", "warnings"]).env(name, value).run()
}

/// With the features of the lints, so that nothing is checked twice.
fn documentation(place: &Place) -> Outcome {
    let (name, value) = NO_DOWNLOAD;
    let documentation = place.cargo(&["doc", "--workspace", "--no-deps"]).args(&CUDA);
    documentation.env(name, value).env("RUSTDOCFLAGS", "-D warnings").run()
}

fn tests(place: &Place) -> Outcome {
    place.cargo(&["test", "--workspace"]).run()
}

fn optional_data(place: &Place) -> Outcome {
    let features = ["--no-default-features", "--features", "parquet,download"];
    place
        .cargo(&["test", "--package", "mars-vlm"])
        .args(&features)
        .args(&["--lib", "--test", "data", "--test", "hub"])
        .run()
}
