//! LoRA rank search for multimodal language models, as one call.
//!
//! A vision encoder and a language model do not learn at the same speed, yet almost everybody gives both the same LoRA
//! rank. MARS chooses a rank for each module by measurement (short calibration runs, two fitted scaling laws, a race inside
//! the final run) and writes an adapter that Hugging Face PEFT loads.
//!
//! ```
//! # use std::{env, fs::{self, File}};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mars::{Search, SearchConfig, Task};
//!
//! # let place = tempfile::tempdir()?;
//! # env::set_current_dir(place.path())?;
//! # let files = mars::embedded::unpack(place.path())?;
//! # fs::rename(&files.model, "SmolVLM-256M-Instruct")?;
//! # zip::ZipArchive::new(File::open(&files.images)?)?.extract(place.path())?;
//! # let mut samples: Vec<serde_json::Value> = serde_json::from_reader(File::open(&files.train)?)?;
//! # samples.truncate(60);
//! # fs::write("train.json", serde_json::to_string(&samples)?)?;
//! let task = Task::open("SmolVLM-256M-Instruct", "train.json")?;
//! let outcome = Search::new(SearchConfig::default()).run(&task, "run")?;
//! println!("{} because {}", outcome.decision.ranks, outcome.decision.reason);
//! # let adapter = outcome.adapter.as_deref().unwrap();
//! # assert!(adapter.join("adapter_model.safetensors").is_file() && outcome.report.is_file());
//! # env::set_current_dir(env::temp_dir())?; // so that the directory can be removed
//! # Ok(())
//! # }
//! ```
//!
//! | module | one sentence |
//! |---|---|
//! | [`Task`] | a model with training, validation and test data, opened and checked; or your own burn model |
//! | [`SearchConfig`] | everything that can be set, typed, with defaults; printed and read as TOML |
//! | [`Search`] | run a search, also with your own trainer; calibrate, plan, compare |
//! | [`SearchOutcome`] | the ranks and why, every trial, the cost, the adapter, the report |
//! | [`device`] | devices to compute on, found and opened by name |
//! | [`event`] | progress events of a search, which [`Interrupt`] stops; the library prints nothing and reads no environment variables |
//! | [`search`] | choices and observations from the results of a campaign, and the progress of a search |
//! | [`plan`] | what a search would train, what it would cost and how much memory it would take |
//! | [`compare`] | comparison of policies; recording and replay of tasks |
//! | [`Overfitting`] | the length of a planned run compared with the time after which it over-fits |
//! | [`evaluate`] | the loss of a model with an adapter; whether an adapter fits its base |
//! | [`report`] | a finished search as one HTML page with SVG charts |
//! | [`ErrorKind`] | the kind of an error; [`out_of_memory`] recognises panics of a device that ran out of memory |
//!
//! The underlying crates can be used on their own: [`mars_laws`] (scaling laws), [`mars_search`] (policies), [`mars_lora`] (multi-rank
//! LoRA on burn), [`mars_vlm`] (models, processors, data), [`mars_calib`] (runs, campaigns, trainers).
pub mod compare;
pub mod config;
pub mod device;
pub mod embedded;
mod error;
pub mod evaluate;
pub mod event;
mod files;
mod interrupt;
mod overfitting;
pub mod plan;
pub mod quantity;
pub mod report;
pub mod search;
mod shortage;
pub mod task;

pub use compare::Comparison;
pub use config::SearchConfig;
pub use error::{Error, ErrorKind};
pub use interrupt::Interrupt;
pub use overfitting::{Overfitting, PastBest, Undecided};
pub use plan::Plan;
pub use search::{Search, SearchOutcome};
pub use shortage::out_of_memory;
pub use task::{Score, Task};

pub use {mars_calib, mars_kernels, mars_laws, mars_lora, mars_search, mars_vlm};
