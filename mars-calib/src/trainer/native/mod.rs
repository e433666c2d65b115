//! The trainer on burn: many runs stacked over one frozen model.
//!
//! Runs that adapt the same modules with the same batch size go through the model together, as the
//! adapters of one [`AdapterStack`](mars_lora::AdapterStack); stacks are spread over worker threads. A
//! run's numbers do not depend on the other runs of the stack beyond rounding, and are bit-identical when the
//! same list of runs is trained again on a CPU.
mod cohorts;
mod context;
mod evaluate;
mod fresh;
mod live;
mod loading;
mod method;
mod method_state;
mod optimizer;
mod options;
mod stack;
mod state;
mod steps;
mod trainer;

pub use evaluate::{Evaluation, SampleScore, evaluate};
pub use loading::Loading;
pub use options::NativeOptions;
pub use trainer::NativeTrainer;
