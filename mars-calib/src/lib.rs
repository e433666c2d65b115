//! mars-calib
