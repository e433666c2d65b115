//! The operations on GPUs: as composed of the backend's own.

use super::RowOps;

impl RowOps for burn::backend::Cube {}
