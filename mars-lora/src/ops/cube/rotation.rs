//! Rotation of the halves of rows by angles, for rotary positions.

use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_elem_type;
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// `[a cos - sign b sin, b cos + sign a sin]` of the halves a and b of each row of `x` `[B, H, S, W]`, which may be strided; the
/// tables are `[B or 1, 1, S, W]`, the result is contiguous. One unit for each value.
#[cube(launch, address_type = "dynamic")]
fn kernel<F: Float>(
    x: &Tensor<F>,
    cos: &Tensor<F>,
    sin: &Tensor<F>,
    y: &mut Tensor<F>,
    sign: f32,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let width = y.shape(3);
    let positions = y.shape(2);
    let heads = y.shape(1);
    let at = ABSOLUTE_POS % width;
    let rest = ABSOLUTE_POS / width;
    let position = rest % positions;
    let head = (rest / positions) % heads;
    let batch = rest / positions / heads;
    let start = batch * x.stride(0) + head * x.stride(1) + position * x.stride(2);
    let mut angle = position * width + at;
    if cos.shape(0) > 1 {
        angle += batch * positions * width;
    }
    let half = width / 2;
    let own = f32::cast_from(x[start + at * x.stride(3)]);
    let other = if at < half {
        -f32::cast_from(x[start + (at + half) * x.stride(3)])
    } else {
        f32::cast_from(x[start + (at - half) * x.stride(3)])
    };
    let turned = own * f32::cast_from(cos[angle]) + sign * other * f32::cast_from(sin[angle]);
    y[ABSOLUTE_POS] = F::cast_from(turned);
}

pub(super) fn rotate(x: CubeTensor, cos: CubeTensor, sin: CubeTensor, sign: f32) -> CubeTensor {
    let (shape, dtype) = (x.shape(), x.dtype());
    let [cos, sin] = [cos, sin].map(|table| into_contiguous(cast(table, dtype)));
    let output = empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), shape.clone(), dtype);
    let values = shape.num_elements();
    if values == 0 {
        return output;
    }
    let client = x.client.clone();
    let dim = CubeDim::new(&client, values);
    let count = calculate_cube_count_elemwise(&client, values, dim);
    let addresses = x.required_address_type().max(output.required_address_type());
    let [x, cos, sin] = [x, cos, sin].map(CubeTensor::into_tensor_arg);
    let to = output.clone().into_tensor_arg();
    kernel::launch(&client, count, dim, addresses, x, cos, sin, to, sign, dtype_to_elem_type(dtype));
    output
}
