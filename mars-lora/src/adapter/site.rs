//! The places of a model where an adapter can sit.

/// A part of the model that has a rank of its own: `ve`, `llm`, `projector`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdaptedModule {
    /// Short name, as in rank choices.
    pub name: String,
    /// Regular expression for the part of the module path that marks the module, in PEFT's sense:
    /// `vision_model\..*` matches every path that continues so after a dot or at its beginning.
    pub pattern: String,
}

/// What kind of layer a site is; it decides the names and shapes of the factors on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SiteKind {
    /// A linear layer.
    #[default]
    Linear,
    /// A table of embeddings; its inputs are the vocabulary.
    Embedding,
    /// A convolution whose stride is its size (a patch embedding), which is a linear layer on flattened
    /// patches: channel by channel, then row by row.
    Convolution {
        /// Channels of the image.
        channels: usize,
        /// Height of the kernel, in pixels.
        height: usize,
        /// Width of the kernel, in pixels.
        width: usize,
    },
}

/// One layer that can be adapted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Module path as `transformers` 4.57 names it, for example `model.text_model.layers.0.mlp.up_proj`.
    pub path: String,
    /// Name of the [`AdaptedModule`] that it belongs to.
    pub module: String,
    /// Kind of layer.
    pub kind: SiteKind,
    /// Number of inputs: the size of the vocabulary for an embedding, of a flattened patch for a convolution.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
}

impl Site {
    /// A linear layer.
    pub fn linear(path: impl Into<String>, module: impl Into<String>, inputs: usize, outputs: usize) -> Self {
        Self { path: path.into(), module: module.into(), kind: SiteKind::Linear, inputs, outputs }
    }

    /// The end of the path that names the layer, for example `up_proj`: the last part, with the one before it where
    /// other modules end so too (`mlp.0` of a sequence, `attn.proj` beside a patch embedding's `proj`).
    pub fn leaf(&self) -> &str {
        let parts = |dots: usize| {
            let cut = self.path.rmatch_indices('.').nth(dots);
            cut.map_or(self.path.as_str(), |(at, _)| &self.path[at + 1..])
        };
        match parts(0) {
            last if last == "proj" || last.bytes().all(|byte| byte.is_ascii_digit()) => parts(1),
            last => last,
        }
    }

    /// The largest useful rank, min(inputs, outputs): the rank that a full update of the weight can have.
    pub fn max_rank(&self) -> usize {
        self.inputs.min(self.outputs)
    }

    /// Adapter parameters per unit of rank: inputs + outputs.
    pub fn parameters_per_rank(&self) -> usize {
        self.inputs + self.outputs
    }
}
