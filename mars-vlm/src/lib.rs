//! mars-vlm
