//! The operations on the CPU backend: loops over rows, computed in f32 for every type.
//!
//! Inputs of the loops in half precision are widened, and results rounded once at the end. Matrix products (after the
//! weight is widened to the type of the input) are the backend's.
//!
//! A row of a product with a weight has the same bits whatever other rows are multiplied with it: see [`enough`].

use super::{BLOCK, RowOps, kernels};
use burn::backend::flex::{Flex, FlexQTensor, FlexTensor, Layout};
use burn::backend::{Bytes, DType, FloatDType, TensorMetadata, ops::FloatTensorOps};
use burn::tensor::quantization::{QuantScheme, QuantStore};
use burn::tensor::{Shape, Slice};
use half::{bf16, f16};
use mars_kernels::Frozen;
use std::sync::Arc;

/// The values in order, as f32.
pub(super) fn f32s(tensor: FlexTensor) -> FlexTensor {
    let tensor = match tensor.dtype() {
        DType::F32 => tensor,
        _ => Flex::float_cast(tensor, FloatDType::F32),
    };
    let ordered = tensor.to_contiguous();
    drop(tensor);
    ordered
}

/// In the type that was asked for.
fn back(tensor: FlexTensor, dtype: DType) -> FlexTensor {
    if dtype == DType::F32 { tensor } else { Flex::float_cast(tensor, FloatDType::from(dtype)) }
}

/// A new tensor of the shape of `like`, filled by `fill`.
fn filled(like: &FlexTensor, fill: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut values = vec![0.0f32; like.layout().num_elements()];
    fill(&mut values);
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(like.shape()), DType::F32)
}

fn width(tensor: &FlexTensor) -> usize {
    tensor.shape().iter().last().copied().unwrap_or(1)
}

/// A matrix in the type of `like`; a transposed one stays a view.
fn widened(weight: FlexTensor, like: &FlexTensor) -> FlexTensor {
    if weight.dtype() == like.dtype() {
        return weight;
    }
    if weight.is_contiguous() {
        return wide(weight, like.dtype());
    }
    Flex::float_transpose(wide(Flex::float_transpose(weight), like.dtype()))
}

fn wide(weight: FlexTensor, dtype: DType) -> FlexTensor {
    let weight = weight.to_contiguous();
    match (weight.dtype(), dtype) {
        (DType::BF16, DType::F32) => filled(&weight, |out| kernels::widen(weight.storage::<bf16>(), out)),
        (DType::F16, DType::F32) => filled(&weight, |out| kernels::widen(weight.storage::<f16>(), out)),
        _ => Flex::float_cast(weight, FloatDType::from(dtype)),
    }
}

/// The numbers of a quantised matrix whose blocks lie along its rows, as f32.
fn numbers(weight: &FlexQTensor) -> FlexTensor {
    let codes = weight.tensor().to_contiguous();
    let block = codes.layout().num_elements() / weight.scales().len();
    filled(&codes, |out| kernels::scaled(codes.storage::<i8>(), weight.scales(), block, out))
}

/// `x W` of matrices `[rows, inputs]` and `[inputs, outputs]`, with so many rows that all are computed by the kernel
/// for large matrices.
fn matmul_of_rows(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
    let (rows, inputs, outputs) = (x.shape()[0], x.shape()[1], weight.shape()[1]);
    let least = enough(inputs, outputs);
    if rows >= least {
        return Flex::float_matmul(x, weight);
    }
    let rest = FlexTensor::zeros(Shape::from(vec![least - rows, inputs]), x.dtype());
    let all = Flex::float_matmul(Flex::float_cat(vec![x, rest], 0), weight);
    Flex::float_slice(all, &[Slice::from(0..rows), Slice::from(0..outputs)])
}

/// Rows from which on every row of a product is summed in one order, which depends on inputs and outputs alone.
///
/// `gemm` 0.19 sums an element along the inputs in blocks whose size follows from the number of inputs, but for:
/// single rows (a matrix and a vector); up to 256 elements (sums side by side, for some layouts); and, beyond 512
/// inputs, up to 64 rows and outputs (other blocks). Adding rows of zeros costs at most 64 rows of a narrow matrix.
fn enough(inputs: usize, outputs: usize) -> usize {
    const SIDE_BY_SIDE: usize = 256;
    const NARROW: usize = 64;
    const BLOCK: usize = 512;
    let blocks = if inputs > BLOCK && outputs <= NARROW { NARROW + 1 } else { 2 };
    blocks.max(SIDE_BY_SIDE / outputs.max(1) + 1)
}

/// `x W` with a packed weight, or `x W^T` unless `straight`.
fn packed(x: FlexTensor, weight: &Frozen, straight: bool) -> FlexTensor {
    let (dtype, rows) = (x.dtype(), x.shape()[0]);
    let x = f32s(x);
    let values = &x.storage::<f32>()[x.layout().start_offset()..][..x.layout().num_elements()];
    let y = match straight {
        true => weight.forward_to_vec(rows, values),
        false => weight.backward_to_vec(rows, values),
    };
    let y = y.unwrap_or_else(|error| panic!("{:?} times {weight:?}: {error}", x.shape()));
    let (inputs, outputs) = weight.shape();
    let columns = if straight { outputs } else { inputs };
    let layout = Layout::contiguous(Shape::from(vec![rows, columns]));
    back(FlexTensor::new(Bytes::from_elems(y), layout, DType::F32), dtype)
}

impl RowOps for Flex {
    fn product(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let weight = widened(weight, &x);
        matmul_of_rows(x, weight)
    }

    fn product_slope(grad: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let weight = widened(weight, &grad);
        matmul_of_rows(grad, Flex::float_transpose(weight))
    }

    fn quantise(weight: FlexTensor, scheme: QuantScheme) -> FlexQTensor {
        let weight = f32s(weight);
        let count = weight.layout().num_elements();
        let (mut codes, mut scales) = (vec![0i8; count], vec![0.0f32; count / BLOCK]);
        kernels::codes(weight.storage(), scheme.value.range().1, BLOCK, &mut codes, &mut scales);
        let codes = FlexTensor::new(Bytes::from_elems(codes), Layout::contiguous(weight.shape()), DType::I8);
        FlexQTensor::new(codes, scheme.with_store(QuantStore::Native), scales, None)
    }

    fn packed_product(x: FlexTensor, weight: Arc<Frozen>) -> FlexTensor {
        packed(x, &weight, true)
    }

    fn packed_product_slope(grad: FlexTensor, weight: Arc<Frozen>) -> FlexTensor {
        packed(grad, &weight, false)
    }

    fn quantised_product(x: FlexTensor, weight: FlexQTensor) -> FlexTensor {
        Self::product(x, numbers(&weight))
    }

    fn quantised_product_slope(grad: FlexTensor, weight: FlexQTensor) -> FlexTensor {
        Self::product_slope(grad, numbers(&weight))
    }

    fn softmax_rows(x: FlexTensor) -> FlexTensor {
        let dtype = x.dtype();
        let mut x = f32s(x);
        kernels::softmax(width(&x), x.storage_mut());
        back(x, dtype)
    }

    fn softmax_slope(y: FlexTensor, grad: FlexTensor) -> FlexTensor {
        let dtype = grad.dtype();
        let (y, mut grad) = (f32s(y), f32s(grad));
        kernels::softmax_slope(width(&y), y.storage(), grad.storage_mut());
        back(grad, dtype)
    }

    fn swish(x: FlexTensor, linear: f32, cubic: f32) -> FlexTensor {
        let dtype = x.dtype();
        let x = f32s(x);
        back(filled(&x, |out| kernels::swish(x.storage(), out, [linear, cubic])), dtype)
    }

    fn swish_slope(x: FlexTensor, grad: FlexTensor, linear: f32, cubic: f32) -> FlexTensor {
        let dtype = grad.dtype();
        let (x, mut grad) = (f32s(x), f32s(grad));
        kernels::swish_slope(x.storage(), grad.storage_mut(), [linear, cubic]);
        back(grad, dtype)
    }

    fn swish_gate(gate: FlexTensor, up: FlexTensor, linear: f32, cubic: f32) -> FlexTensor {
        let dtype = up.dtype();
        let (gate, up) = (f32s(gate), f32s(up));
        let form = [linear, cubic];
        back(filled(&up, |out| kernels::swish_gate(gate.storage(), up.storage(), out, form)), dtype)
    }

    fn swish_gate_slopes(
        gate: FlexTensor,
        up: FlexTensor,
        grad: FlexTensor,
        linear: f32,
        cubic: f32,
    ) -> (FlexTensor, FlexTensor) {
        let dtype = grad.dtype();
        let (gate, up, mut grad) = (f32s(gate), f32s(up), f32s(grad));
        let of_up = filled(&up, |of_up| {
            let (gate, up) = (gate.storage(), up.storage());
            kernels::swish_gate_slopes(gate, up, grad.storage_mut(), of_up, [linear, cubic]);
        });
        (back(grad, dtype), back(of_up, dtype))
    }

    fn layer_norm_rows(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, epsilon: f64) -> FlexTensor {
        let dtype = x.dtype();
        let (x, gamma, beta) = (f32s(x), f32s(gamma), f32s(beta));
        let fill = |out: &mut [f32]| {
            kernels::layer_norm(x.storage(), gamma.storage(), beta.storage(), out, epsilon as f32);
        };
        back(filled(&x, fill), dtype)
    }

    fn layer_norm_slope(x: FlexTensor, gamma: FlexTensor, grad: FlexTensor, epsilon: f64) -> FlexTensor {
        let dtype = grad.dtype();
        let (x, gamma, mut grad) = (f32s(x), f32s(gamma), f32s(grad));
        kernels::layer_norm_slope(x.storage(), gamma.storage(), grad.storage_mut(), epsilon as f32);
        back(grad, dtype)
    }

    fn rms_norm_rows(x: FlexTensor, gamma: FlexTensor, epsilon: f64) -> FlexTensor {
        let dtype = x.dtype();
        let (x, gamma) = (f32s(x), f32s(gamma));
        let fill = |out: &mut [f32]| kernels::rms_norm(x.storage(), gamma.storage(), out, epsilon as f32);
        back(filled(&x, fill), dtype)
    }

    fn rms_norm_slope(x: FlexTensor, gamma: FlexTensor, grad: FlexTensor, epsilon: f64) -> FlexTensor {
        let dtype = grad.dtype();
        let (x, gamma, mut grad) = (f32s(x), f32s(gamma), f32s(grad));
        kernels::rms_norm_slope(x.storage(), gamma.storage(), grad.storage_mut(), epsilon as f32);
        back(grad, dtype)
    }
}
