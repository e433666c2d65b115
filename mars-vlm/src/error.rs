//! What can go wrong between a user's files and a model's input.

use crate::data::Problem;
use crate::misfit::Misfit;
use std::path::{Path, PathBuf};

/// Every failure of this crate; each message says where, what, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read a file.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file is not the JSON, zip or text that it should be.
    #[error("{}: {what}; {remedy}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        what: String,
        /// What the user can do.
        remedy: String,
    },
    /// A model directory lacks something or contradicts itself.
    #[error("{}: {what}; {remedy}", path.display())]
    Config {
        /// The file or model directory.
        path: PathBuf,
        /// What is missing or contradictory, with the values.
        what: String,
        /// What the user can do.
        remedy: String,
    },
    /// One record of a data set cannot be used.
    #[error("{0}")]
    Data(Box<Problem>),
    /// An image is not where the data set says.
    #[error("image {image} not found in {store}; {remedy}")]
    ImageMissing {
        /// The image as the data set names it.
        image: String,
        /// Where it was looked for.
        store: String,
        /// What the user can do.
        remedy: String,
    },
    /// An image exists but does not decode.
    #[error(
        "image {image} of {store} cannot be decoded: {why}; JPEG, PNG, WebP, GIF, BMP, TIFF and PNM are read"
    )]
    ImageDecode {
        /// The image as the data set names it.
        image: String,
        /// Where it was found.
        store: String,
        /// The decoder's reason.
        why: String,
    },
    /// A chat template does not compile, or refuses a conversation.
    #[error("chat template {}: {why}", path.display())]
    Template {
        /// The file that holds the template.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The tokenizer failed on a text.
    #[error("tokenizer {}: {why}", path.display())]
    Tokenizer {
        /// The tokenizer file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A model that is named by its id is not in the local cache, and was not fetched.
    #[error(
        "model {id}: there is no folder of this name, and it is not in the Hugging Face cache {}: {why}. {reason}: \
         fetch it once where there is a network (`hf download {id}`), or give the folder of a model",
        cache.display()
    )]
    NotCached {
        /// The id.
        id: String,
        /// The cache folder.
        cache: PathBuf,
        /// What the cache lacks.
        why: String,
        /// Why it was not fetched.
        reason: &'static str,
    },
    /// A hub has no such model, does not show it, or sends something else.
    #[error("model {id}: {why}")]
    Refused {
        /// The id.
        id: String,
        /// What the hub said, and what the user can do.
        why: String,
    },
    /// A hub cannot be reached, or breaks off.
    #[error("cannot fetch from {url}: {why}; check the network, or give the folder of a model")]
    Network {
        /// The address.
        url: String,
        /// The reason.
        why: String,
    },
    /// A weight file is broken, or an index contradicts its files.
    #[error("{}: {why}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the tensor and the values, and what the user can do.
        why: String,
    },
    /// A checkpoint lacks a tensor that its config asks for.
    #[error("{}: tensor `{name}` of shape {expected:?} is missing; {cause}", path.display())]
    MissingTensor {
        /// The weight file, or the index of several.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shape that the sizes in `config.json` give.
        expected: Vec<usize>,
        /// The likely cause, and what the user can do.
        cause: Misfit,
    },
    /// A tensor of a checkpoint has another shape than its config says.
    #[error("{}: tensor `{name}` has shape {found:?}, config.json says {expected:?}; {cause}", path.display())]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shape that the sizes in `config.json` give.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
        /// The likely cause, and what the user can do.
        cause: Misfit,
    },
    /// A tensor holds NaN or infinite values.
    #[error(
        "{}: tensor `{name}` holds {value} at {at:?}, and {count} of its {total} values are not finite; the training \
         that wrote it diverged, or its values did not fit the type it was saved in: take another checkpoint",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The first such value.
        value: f32,
        /// Its indices.
        at: Vec<usize>,
        /// Number of such values.
        count: usize,
        /// Number of values.
        total: usize,
    },
    /// A value of a checkpoint is too large for the type in which the weights are kept.
    #[error(
        "tensor `{name}` has a value of size {value}, and f16 ends at 65504; keep the weights in bf16 or f32"
    )]
    TooLarge {
        /// The tensor.
        name: String,
        /// Size of the largest value.
        value: f32,
    },
    /// A weight cannot be packed for the arithmetic that was asked for.
    #[cfg(feature = "model")]
    #[error(transparent)]
    Kernel(#[from] mars_kernels::Error),
    /// Tensors of a checkpoint that are not part of the model its config describes.
    #[error(
        "{}: {} tensors have no place in the model that config.json describes: {}; {cause}",
        path.display(), names.len(), listed(names)
    )]
    ExtraTensors {
        /// The weight file, or the index of several.
        path: PathBuf,
        /// The tensors.
        names: Vec<String>,
        /// The likely cause, and what the user can do.
        cause: Misfit,
    },
    /// A caller's argument is out of range.
    #[error("{0}")]
    Argument(String),
}

impl Error {
    /// [`Error::Io`] about this file.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }

    /// [`Error::Malformed`] about this file.
    pub(crate) fn malformed(path: &Path, what: impl ToString, remedy: impl ToString) -> Self {
        Self::Malformed { path: path.to_path_buf(), what: what.to_string(), remedy: remedy.to_string() }
    }

    /// [`Error::Config`] about this file.
    pub(crate) fn config(path: &Path, what: impl ToString, remedy: impl ToString) -> Self {
        Self::Config { path: path.to_path_buf(), what: what.to_string(), remedy: remedy.to_string() }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Data(Box::new(problem))
    }
}

impl From<mars_lora::Error> for Error {
    fn from(error: mars_lora::Error) -> Self {
        match error {
            mars_lora::Error::Io { path, source } => Self::Io { path, source },
            mars_lora::Error::BadFile { path, why } => Self::Weights { path, why },
            other => Self::Argument(other.to_string()),
        }
    }
}

/// The first few of many names.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
