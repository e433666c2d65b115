//! From the source of a template to its syntax tree.

mod block;
mod expression;
mod lexer;
mod parser;
mod postfix;
mod token;
pub(super) mod tree;

pub(super) use parser::parse;
