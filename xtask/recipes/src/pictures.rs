//! The second model and its tasks: published pictures, and questions about them.
//!
//! Clip art of the public domain is divided by picture: a small Idefics3 learns names and sections of one part, beside drawn
//! scenes, and the task `long-clipart` asks for keywords of another. `long-shapes` has the questions of easy-VQA.
//! `pictures.py` of this package fetches neither, but makes what is read here.

pub mod clipart;
#[cfg(feature = "pretrain")]
pub mod model;
pub mod rows;
pub mod scene;
pub mod scene_question;
pub mod shapes;
pub mod stream;
pub mod task;

/// Pixels along a side of a picture.
pub const SIDE: usize = 48;
