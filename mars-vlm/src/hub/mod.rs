//! Models that are named by their id on a hub, as in `HuggingFaceTB/SmolVLM-256M-Instruct`: found in the local Hugging
//! Face cache, and with the feature `download` fetched into it.
//!
//! An existing folder of the name takes precedence over an id, and needs no network code. Nothing here reads the
//! environment: the caller says where the cache is and whether the network may be used.
//!
//! In order: an existing path; the revision in the cache, if it has what is needed; a download, if it is allowed. A
//! cached model is used as it is: nothing asks whether the hub has a newer commit of the revision.
#[cfg(feature = "download")]
mod begun;
mod cache;
#[cfg(feature = "download")]
mod download;
mod id;

pub use cache::Cache;
#[cfg(feature = "download")]
pub use download::Server;
pub use id::ModelId;

use crate::Error;
use mars_lora::stored::regular;
use std::path::{Path, PathBuf};

/// What a model is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Its configuration, tokenizer and image processor.
    Processor,
    /// Its weights as well.
    Weights,
}

/// Whether a model that the cache lacks may be fetched.
#[derive(Clone, Debug)]
pub enum Network {
    /// No; the text says why, for messages.
    Off(&'static str),
    /// Yes, from this server.
    #[cfg(feature = "download")]
    On(Server),
}

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file that is fetched.
    pub file: &'a str,
    /// Bytes of all files that are there.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// The folder of the model that a user calls `model`: that path if it exists or can be no id, else the snapshot of that
/// id in `cache`, fetched if it is not there and `network` allows.
///
/// # Errors
/// [`Error::NotCached`] with the folder that was looked at; [`Error::Malformed`] for a broken cache;
/// [`Error::Refused`] and [`Error::Network`] of a download.
pub fn find(
    model: &Path,
    need: Need,
    cache: &Cache,
    network: &Network,
    observe: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, Error> {
    let id = model.to_str().and_then(|text| text.parse::<ModelId>().ok());
    let there = regular::exists(model).map_err(Error::io(model))?;
    let (Some(id), false) = (id, there) else { return Ok(model.to_path_buf()) };
    let why = match cache.look_up(&id, need)? {
        Ok(found) => return Ok(found),
        Err(why) => why,
    };
    match network {
        Network::Off(reason) => {
            let _ = observe; // a download alone has something to observe
            Err(Error::NotCached { id: id.to_string(), cache: cache.dir().to_path_buf(), why, reason })
        }
        #[cfg(feature = "download")]
        Network::On(server) => server.fetch(&id, cache, observe),
    }
}
