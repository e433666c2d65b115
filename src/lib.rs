//! MARS: LoRA rank search for multimodal language models.
pub use mars_calib as calib;
pub use mars_laws as laws;
pub use mars_lora as lora;
pub use mars_search as search;
pub use mars_vlm as vlm;
