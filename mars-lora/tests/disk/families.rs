//! Names of three families of models, two layers of each tower.

use mars_lora::peft::{Base, Naming};
use mars_lora::{AdaptedModule, Site};

#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) modules: Vec<AdaptedModule>,
    pub(crate) sites: Vec<Site>,
    pub(crate) namings: Vec<Naming>,
    pub(crate) others: Vec<String>,
}

impl Family {
    pub(crate) fn base(&self) -> Base<'_> {
        Base::new(&self.modules, &self.sites).with_namings(&self.namings).with_others(&self.others)
    }

    fn new(modules: [(&str, &str, &str); 3], leaves: [&[&str]; 3], others: &[&str]) -> Self {
        let mut sites = Vec::new();
        for ((name, place, _), leaves) in modules.into_iter().zip(leaves) {
            let layers = if name == "projector" { 1 } else { 2 };
            for layer in 0..layers {
                for (index, leaf) in leaves.iter().enumerate() {
                    let path = place.replace('#', &layer.to_string()) + leaf;
                    sites.push(Site::linear(path, name, 6 + index % 3, 5 + index % 4));
                }
            }
        }
        let modules = modules
            .map(|(name, _, pattern)| AdaptedModule { name: name.into(), pattern: pattern.into() })
            .to_vec();
        let others = others.iter().map(|path| (*path).to_string()).collect();
        Self { modules, sites, namings: Vec::new(), others }
    }
}

const TEXT: [&str; 7] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];
const SIGLIP: [&str; 6] =
    ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"];

pub(crate) fn idefics3() -> Family {
    Family::new(
        [
            ("ve", "model.vision_model.encoder.layers.#.", r"vision_model\..*"),
            ("projector", "model.connector.modality_projection.", r"connector\..*"),
            ("llm", "model.text_model.layers.#.", r"text_model\..*"),
        ],
        [&SIGLIP, &["proj"], &TEXT],
        &["lm_head", "model.text_model.norm", "model.vision_model.embeddings.patch_embedding"],
    )
}

pub(crate) fn llava_onevision() -> Family {
    let mut family = Family::new(
        [
            ("ve", "model.vision_tower.vision_model.encoder.layers.#.", r"vision_tower\..*"),
            ("projector", "model.multi_modal_projector.", r"multi_modal_projector\..*"),
            ("llm", "model.language_model.layers.#.", r"language_model\..*"),
        ],
        [&SIGLIP, &["linear_1", "linear_2"], &TEXT],
        &["lm_head", "model.language_model.norm"],
    );
    let old = [
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
    ];
    let new = [("model.vision_tower.vision_model.", "model.vision_tower.")];
    family.namings = vec![Naming::new("4.51", &old, false), Naming::new("5", &new, true)];
    family
}

pub(crate) fn qwen2_5_vl() -> Family {
    let mut family = Family::new(
        [
            ("ve", "model.visual.blocks.#.", r"visual\.blocks\..*"),
            ("projector", "model.visual.merger.", r"visual\.merger\..*"),
            ("llm", "model.language_model.layers.#.", r"language_model\..*"),
        ],
        [
            &["attn.qkv", "attn.proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"],
            &["mlp.0", "mlp.2"],
            &TEXT,
        ],
        &["lm_head", "model.visual.patch_embed.proj", "model.visual.merger.ln_q"],
    );
    let old = [("model.visual.", "visual."), ("model.language_model.", "model.")];
    family.namings = vec![Naming::new("4.51", &old, false)];
    family
}

pub(crate) fn all() -> [Family; 3] {
    [idefics3(), llava_onevision(), qwen2_5_vl()]
}
