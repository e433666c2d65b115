//! Campaigns that earlier versions wrote.

use mars::{SearchConfig, mars_calib::Settings, search::choose};
use std::path::Path;

/// A finished search on the embedded task in small, as version 0.1.0 wrote it.
fn fixture() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/campaign-0.1")
}
