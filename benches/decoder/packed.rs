//! The decoder with packed weights.

use super::Decoder;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use mars_kernels::{Compute, Error, Frozen, Kernel, Weight};
use mars_lora::PackedWeight;

impl Decoder {
    /// Packs the weights for products in `compute` with the processor's kernel; f32 leaves them as they are.
    pub(super) fn packed(mut self, compute: Compute, device: &Device) -> Result<Self, Error> {
        if compute == Compute::F32 {
            return Ok(self);
        }
        let kernel =
            Kernel::of(compute).map_err(|reason| Error::Unusable { kernel: Kernel::Tiles, reason })?;
        for layer in self.blocks.iter_mut().flat_map(|block| &mut block.linears) {
            let [inputs, outputs] = layer.weight.dims();
            let values: Vec<f32> = layer.weight.val().into_data().iter().collect();
            let frozen = Frozen::pack_for(Weight::new(&values, inputs, outputs)?, compute, kernel)?;
            layer.packed = Some(PackedWeight::new(layer.weight.id, frozen, device));
            layer.weight = Param::from_tensor(Tensor::empty([0, 0], device)).no_grad();
        }
        Ok(self)
    }
}
