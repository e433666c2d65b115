//! Fault injection: kills the process, or makes the disk fail, at any one of the file operations of a search.
//!
//! A small shared library in C, loaded by `LD_PRELOAD`, counts the operations of `mars` on files under one directory
//! and at one of them kills the process or makes the operation fail. A *sweep* does that at each operation in turn and
//! then repeats the call without a fault. Linux only; the library is compiled by the C compiler that the workspace needs.
//!
//! * [`Instrument`]: the compiled library, and calls of `mars` with it
//! * [`Fault`]: what happens at the operation
//! * [`Scenario`]: the call whose operations are swept
//! * [`unflushed`]: what a power loss could destroy, judged by the order of operations
//! * [`sweep`]: all points of a scenario with their verdicts
mod fault;
mod flushed;
mod instrument;
mod scenario;
mod sweep;
mod table;
mod tree;

pub use fault::Fault;
pub use flushed::unflushed;
pub use instrument::{Done, Instrument, Operation};
pub use scenario::Scenario;
pub use sweep::{Point, Sweep, Verdict, harmless, sweep};
pub use table::table;
