//! The text that replaces an image placeholder in the prompt.
//!
//! Each tile is announced by the around-token and its row and column, then takes `image_seq_len` image
//! tokens; lines end the rows; the whole image comes last (transformers 4.57.3, `Idefics3Processor`).

use crate::chat::SpecialTokens;
use crate::processor::pixels::Grid;

/// The tokens around and for images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePrompt {
    /// Image token, `<image>`; in a rendered template the placeholder of one image.
    pub image: String,
    /// Token before each tile and after the last, `<fake_token_around_image>`.
    pub around: String,
    /// Token of the whole image, `<global-img>`.
    pub global: String,
    /// Image tokens per tile.
    pub seq_len: usize,
}

impl ImagePrompt {
    /// The tokens as a tokenizer names them, or the usual ones.
    pub fn new(special: &SpecialTokens, seq_len: usize) -> Self {
        let token = |name, usual: &str| special.get(name).unwrap_or(usual).to_string();
        Self {
            image: token("image_token", "<image>"),
            around: token("fake_image_token", "<fake_token_around_image>"),
            global: token("global_image_token", "<global-img>"),
            seq_len,
        }
    }

    /// The text of one image.
    pub fn image(&self, grid: Grid) -> String {
        let Self { image, around, global, seq_len } = self;
        let run = image.repeat(*seq_len);
        let mut text = String::new();
        for row in 1..=grid.rows {
            for col in 1..=grid.cols {
                text += &format!("{around}<row_{row}_col_{col}>{run}");
            }
            text.push('\n');
        }
        if grid.rows > 0 {
            text.push('\n');
        }
        text + &format!("{around}{global}{run}{around}")
    }
}
