//! Why a checkpoint probably does not fit its `config.json`.

use std::fmt;

/// The likely cause why tensors of a checkpoint are missing, left over or of another shape, and what can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misfit {
    /// The file holds an adapter beside the weights, as PEFT keeps them in memory.
    Adapter,
    /// The weights are quantised, by the method that is named.
    Quantised(&'static str),
    /// All names begin with this text, which a wrapper of the model put there.
    Wrapped(&'static str),
    /// `config.json` asks for an output layer that the file does not have.
    OutputLayer,
    /// `config.json` asks for more layers than there are.
    FewerLayers,
    /// `config.json` asks for fewer layers than there are, or for others.
    OtherLayers,
    /// `config.json` asks for biases that the file does not have.
    NoBiases,
    /// The file has biases that `config.json` switches off.
    Biases,
    /// The dimensions are in another order.
    Order,
    /// The vocabulary has another size.
    Vocabulary,
    /// Nothing more is known.
    OtherModel,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Wrapped(start) => {
                return write!(
                    f,
                    "all names begin with `{start}`, as a wrapper of the model left them; save the model inside of it"
                );
            }
            Self::Quantised(method) => {
                return write!(
                    f,
                    "the checkpoint is quantised ({method}); take the model that it was made from, in bf16, f16 or \
                     f32: an adapter that was trained on a quantised base belongs to it as well"
                );
            }
            Self::Adapter => {
                "the file holds an adapter beside the weights: merge it into its base and give the result"
            }
            Self::OutputLayer => {
                "tie_word_embeddings is false in config.json, but the file has no output layer of its own: set it \
                 to true, or take config.json and weights from one model"
            }
            Self::FewerLayers => {
                "config.json asks for more layers than the file has; take both from one model"
            }
            Self::OtherLayers => {
                "config.json asks for fewer layers than the file has, or for others; take both from one model"
            }
            Self::NoBiases => {
                "config.json asks for biases that the file does not have; take both from one model"
            }
            Self::Biases => "the file has biases that config.json switches off; take both from one model",
            Self::Order => {
                "its dimensions are in another order: the file was written by another program; take the original"
            }
            Self::Vocabulary => {
                "tokens were added or removed after config.json was written: set its vocab_size to the number of \
                 rows, and take the tokenizer of the same model"
            }
            Self::OtherModel => "config.json and weights are of different models; take both from one",
        };
        f.write_str(text)
    }
}
