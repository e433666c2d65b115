//! What schedulers of clusters are told, and what they tell.
pub(crate) mod args;
pub(crate) mod index;
mod invocation;
pub(crate) mod kubernetes;
pub(crate) mod sbatch;
pub(crate) mod shell;
mod yaml;

pub(crate) use invocation::Invocation;
pub(crate) use yaml::yaml;
