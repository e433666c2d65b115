//! The places of a model where an adapter can sit.

/// A part of the model that has a rank of its own: `ve`, `llm`, `projector`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Short name, as in rank choices.
    pub name: String,
    /// Regular expression for the part of the module path that marks the component, in PEFT's sense:
    /// `vision_model\..*` matches every path that continues so after a dot or at its beginning.
    pub pattern: String,
}

/// One linear layer that can be adapted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Module path as `transformers` 4.57 names it, for example `model.text_model.layers.0.mlp.up_proj`.
    pub path: String,
    /// Name of the [`Component`] that it belongs to.
    pub component: String,
    /// Number of inputs.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
}

impl Site {
    /// The last part of the path, for example `up_proj`.
    pub fn leaf(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    /// The largest useful rank, min(inputs, outputs).
    pub fn max_rank(&self) -> usize {
        self.inputs.min(self.outputs)
    }

    /// Adapter parameters per unit of rank: inputs + outputs.
    pub fn parameters_per_rank(&self) -> usize {
        self.inputs + self.outputs
    }
}
