//! The trainer on burn: many runs stacked over one frozen model.
//!
//! Runs that adapt the same modules with the same batch size go through the model together, as the
//! adapters of one [`AdapterStack`](mars_lora::AdapterStack); stacks are spread over worker threads. On
//! a CPU a run's numbers are the same to the bit whatever the other runs of its stack, the parts of a pass, and the
//! interruptions.
mod cohorts;
mod context;
mod evaluate;
mod fresh;
mod leaving;
mod live;
mod loading;
mod method;
mod method_state;
mod optimizer;
mod options;
mod stack;
mod start;
mod state;
mod steps;
mod trainer;
mod worker;

pub use cohorts::{stack_width, stacks};
pub use evaluate::{Evaluation, SampleScore, evaluate};
pub use loading::Loading;
pub use options::NativeOptions;
pub use trainer::NativeTrainer;
