//! What a vision encoder does with one batch of images, block by block.

use burn::tensor::Tensor;
use mars_lora::AdapterStack;
use std::ops::Range;

/// One pass over some pieces of images; whatever the blocks share was made when it began.
pub trait EncoderPass {
    /// What the first block takes.
    fn embed(&self, adapters: &AdapterStack) -> Tensor<3>;

    /// Number of blocks that run.
    fn blocks(&self) -> usize;

    /// What block `index` makes of `x`.
    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3>;

    /// Features of the decoder's width, `[features, width]`, from what the last block gives.
    fn project(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<2>;

    /// Sites of the layers of block `index`.
    fn sites(&self, index: usize) -> Range<usize>;
}
