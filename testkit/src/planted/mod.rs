//! Tasks with planted laws: results as a pure function of the trial.

mod balanced;
mod noise;
mod setting;
mod task;

pub use balanced::{VE, balanced, half, law_p, rank_of, task};
pub use setting::{budget, space, ve_llm, wide_space};
pub use task::{Planted, Task};
