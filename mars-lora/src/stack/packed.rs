//! Frozen weights that are held as a kernel multiplies with them.

use std::sync::{Arc, OnceLock};

use burn::module::{
    Content, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param, ParamId,
};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use mars_kernels::{Frozen, Products};

use crate::ops;

/// A frozen weight `[inputs, outputs]`, packed once for both directions; for the CPU backend.
///
/// To a visitor it is a parameter like others, whose values are unpacked when they are read. A mapper does not see it: it
/// cannot change.
#[derive(Clone, Debug)]
pub struct PackedWeight {
    id: ParamId,
    frozen: Arc<Frozen>,
    /// Sum of the squares of each output's weights.
    squares: Arc<OnceLock<Vec<f32>>>,
    device: Device,
}

impl PackedWeight {
    /// A weight that is known as `id`, on the CPU backend's `device`.
    pub fn new(id: ParamId, frozen: Frozen, device: &Device) -> Self {
        Self { id, frozen: Arc::new(frozen), squares: Arc::default(), device: device.clone() }
    }

    /// The weight as it is multiplied with, in f32 and unpacked anew.
    pub fn matrix(&self) -> Tensor<2> {
        self.tensor(self.frozen.weight(), self.frozen.shape())
    }

    /// As [`Frozen::rounded_products`].
    pub(crate) fn rounded_products(&self) -> Option<Products> {
        self.frozen.rounded_products()
    }

    /// `x W` for `x` `[N, inputs]`.
    pub(crate) fn product(&self, x: Tensor<2>) -> Tensor<2> {
        ops::packed_product(x, &self.frozen)
    }

    /// `x W` for `x` `[n, N, inputs]`.
    pub(crate) fn products(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, rows, inputs] = x.dims();
        self.product(x.reshape([n * rows, inputs])).reshape([n, rows, self.frozen.shape().1])
    }

    /// Sum of the squares of each output's weights, `[1, 1, outputs]`.
    pub(crate) fn squares(&self) -> Tensor<3> {
        let (_, outputs) = self.frozen.shape();
        let sums = self.squares.get_or_init(|| {
            let mut sums = vec![0.0f32; outputs];
            for row in self.frozen.weight().chunks_exact(outputs.max(1)) {
                sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += w * w);
            }
            sums
        });
        self.tensor(sums.clone(), (1, outputs)).unsqueeze()
    }

    fn tensor(&self, values: Vec<f32>, (rows, columns): (usize, usize)) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, [rows, columns]), &self.device)
    }
}

impl Module for PackedWeight {
    fn collect_devices(&self, mut devices: Vec<Device>) -> Vec<Device> {
        if !devices.contains(&self.device) {
            devices.push(self.device.clone());
        }
        devices
    }

    /// As it is: packed weights are for the CPU backend.
    fn fork(self, _: &Device) -> Self {
        self
    }

    /// As it is: packed weights are for the CPU backend.
    fn to_device(self, _: &Device) -> Self {
        self
    }

    fn train(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn materialize(self) -> Self {
        self
    }

    fn num_params(&self) -> usize {
        let (inputs, outputs) = self.frozen.shape();
        inputs * outputs
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        let (frozen, (inputs, outputs)) = (Arc::clone(&self.frozen), self.frozen.shape());
        let unpack = move |device: &Device, _| {
            Tensor::<2>::from_data(TensorData::new(frozen.weight(), [inputs, outputs]), device)
        };
        let shape = Shape::from([inputs, outputs]);
        visitor.visit_float(&Param::uninitialized(self.id, unpack, self.device.clone(), false, shape));
    }

    fn map<M: ModuleMapper>(self, _: &mut M) -> Self {
        self
    }
}

impl ModuleDisplayDefault for PackedWeight {
    fn content(&self, content: Content) -> Option<Content> {
        let (inputs, outputs) = self.frozen.shape();
        content.set_top_level_type("PackedWeight").add_formatted(&format!("{inputs} x {outputs}")).optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for PackedWeight {}
