//! LoRA rank search for multimodal language models, as one call.
//!
//! A vision encoder and a language model do not learn at the same speed, yet almost everybody gives both the same LoRA
//! rank. MARS chooses a rank for each module by measurement: short calibration runs, two fitted scaling laws, a race inside
//! the final run; and writes an adapter that Hugging Face PEFT loads.
//!
//! ```no_run
//! # fn main() -> Result<(), mars::Error> {
//! use mars::{Search, SearchConfig, Task};
//!
//! let task = Task::open("SmolVLM-256M-Instruct", "train.json")?;
//! let outcome = Search::new(SearchConfig::default()).run(&task, "run")?;
//! println!("{} because {}", outcome.decision.ranks, outcome.decision.reason);
//! # Ok(())
//! # }
//! ```
pub mod compare;
pub mod config;
pub mod embedded;
mod error;
pub mod evaluate;
pub mod event;
mod files;
mod interrupt;
pub mod plan;
pub mod quantity;
pub mod report;
pub mod search;
pub mod task;

pub use compare::Comparison;
pub use config::SearchConfig;
pub use error::{Error, ErrorKind};
pub use interrupt::Interrupt;
pub use plan::Plan;
pub use search::{Search, SearchOutcome};
pub use task::{Score, Task};

pub use {mars_calib, mars_laws, mars_lora, mars_search, mars_vlm};
