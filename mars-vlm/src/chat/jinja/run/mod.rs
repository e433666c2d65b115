//! Rendering: statements, expressions, calls.

mod call;
mod eval;
mod function;
mod given;
mod machine;
mod repeat;
mod scope;
mod statement;

pub(super) use given::{Given, whole};
pub(super) use machine::Machine;
