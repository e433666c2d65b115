//! mars-lora
