//! What can go wrong in this crate.

use std::path::PathBuf;

/// An error of `mars-lora`; every message names the value and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rank is larger than the smaller side of the layer that it adapts.
    #[error("rank {rank} is larger than layer `{path}` allows ({max}): choose a rank of 1 to {max}")]
    RankTooLarge {
        /// Module path of the layer.
        path: String,
        /// The rank asked for.
        rank: usize,
        /// The largest useful rank, min(inputs, outputs).
        max: usize,
    },
    /// No layer would be adapted.
    #[error("no layer is adapted: {why}")]
    NothingAdapted {
        /// What was asked for and what exists.
        why: String,
    },
    /// A module name that the model does not have.
    #[error("the model has no module `{name}`: it has {known}")]
    UnknownModule {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A target pattern that is not a regular expression.
    #[error("target pattern `{pattern}` is not a regular expression: {why}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// The parser's message.
        why: String,
    },
    /// Regular expressions that would take more memory than those of a file may.
    #[error(
        "{field}: `{pattern}` and the expressions before it ask for more than the {most} MiB of memory that they may \
         take; name layers by the ends of their paths, as layers.3.self_attn.q_proj"
    )]
    LargePattern {
        /// Where the expression stands.
        field: &'static str,
        /// The beginning of the expression.
        pattern: String,
        /// What all expressions of the file may take, MiB.
        most: usize,
    },
    /// A number outside its range.
    #[error("{name} is {value}, expected {expected}")]
    BadValue {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The range.
        expected: &'static str,
    },
    /// A variant needs a frozen weight that the model does not show.
    #[error("the weight of `{path}` is not known: DoRA and PiSSA need a model with `Model::weight`")]
    NoWeight {
        /// Module path of the layer.
        path: String,
    },
    /// Variants that do not go together.
    #[error("{why}")]
    Variant {
        /// What was asked for, and what to do.
        why: String,
    },
    /// An adapter that does not fit the model.
    #[error("the adapter does not fit the model: {why}")]
    Mismatch {
        /// The tensors or layers concerned.
        why: String,
    },
    /// An adapter that fits the model not at all or in part, with the names.
    #[error("{0}")]
    Partial(Box<crate::peft::Partial>),
    /// An adapter on a tensor that two layers of the base share.
    #[error(
        "`{path}` and its counterpart at the other end of the model share one tensor ({why}): a merged model would \
         change both or neither, which is not what the adapter does; use the adapter unmerged, or untie the base \
         first: give it an output layer of its own and set tie_word_embeddings to false"
    )]
    Tied {
        /// Module path of the adapted layer.
        path: String,
        /// What says so.
        why: &'static str,
    },
    /// A file that could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// A file whose content is not what it should be.
    #[error("{path}: {why}")]
    BadFile {
        /// The file.
        path: PathBuf,
        /// Field, what was found, what was expected.
        why: String,
    },
    /// The system gave no threads.
    #[error("no threads for {parts} parts of a pass: {why}; use fewer parts")]
    Threads {
        /// The parts asked for.
        parts: usize,
        /// The system's message.
        why: String,
    },
    /// Examples could not be made into a batch.
    #[error("{0}")]
    Batch(String),
}
