//! A first look at the files that are given, before a model is unpacked or loaded for them.

use super::samples::open_images;
use crate::{Error, config::SearchConfig};
use mars_lora::peft::AdapterFiles;
use mars_vlm::data::Dataset;
use std::path::Path;

/// Refuses data sets, their images and an adapter that are not there, cannot be read, or are of another kind. Samples are looked
/// at when they are read.
///
/// # Errors
/// As when they are read.
pub(crate) fn check_given(
    config: &SearchConfig,
    data: &[&Path],
    images: Option<&Path>,
    adapter: Option<&Path>,
) -> Result<(), Error> {
    let options = config.data.read_options();
    data.iter().try_for_each(|file| Dataset::check_kind(file, &options))?;
    if let (Some(file), Some(_)) = (data.first(), images) {
        open_images(file, images)?;
    }
    if let Some(adapter) = adapter {
        AdapterFiles::open(adapter)?;
    }
    Ok(())
}
