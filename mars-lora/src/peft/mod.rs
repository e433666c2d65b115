//! Hugging Face PEFT's files.
