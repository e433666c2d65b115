//! What turns a user's files into the input of a model: data sets, chat templates, processors. Builds without burn.
#![allow(clippy::unwrap_used)]

mod bounds;
mod chat;
mod families;
mod fingerprints;
mod formats;
mod gemma3;
mod images;
mod internvl;
mod kit;
mod learnt;
mod left_out;
mod llava;
mod long;
mod misnamed;
mod nulls;
#[cfg(feature = "parquet")]
mod parquet;
mod processor;
mod qwen3_vl;
mod report;
mod resolution;
mod science_qa;
mod splits;
mod templates;
mod texts;
mod tokenizers;
