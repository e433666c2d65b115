//! Matrix products: in f32 exactly, in bf16 on tensor cores with sums in f32.

use burn::backend::cubecl::dtype_to_elem_type;
use burn::backend::{DType, TensorMetadata};
use burn_cubecl::kernel::cast;
use burn_cubecl::kernel::matmul::{self, MatmulStrategy, init_matmul_output};
use burn_cubecl::kernel::quantization::dequantize;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, FloatKind};
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems, MatmulSetupError};
use cubek::matmul::launch::launch_ref;
use cubek::matmul::multi_level::Strategy;
use cubek::std::InputBinding;

/// `left right` in f32, where one of them is bf16 with both rounded to bf16; f16 is widened first.
pub(super) fn matmul(left: CubeTensor, right: CubeTensor) -> CubeTensor {
    let dtype = match (left.dtype, right.dtype) {
        (DType::BF16, _) | (_, DType::BF16) => DType::BF16,
        _ => DType::F32,
    };
    let (left, right) = (cast(left, dtype), cast(right, dtype));
    if dtype == DType::F32 && rounds(&left) {
        return exact(left, right);
    }
    inferred(left, right)
}

/// The numbers of a quantised matrix: in bf16, whose products are fast, where the device has it.
pub(super) fn numbers(weight: CubeTensor) -> CubeTensor {
    let bf16 = weight.client.properties().supports_type(ElemType::Float(FloatKind::BF16));
    dequantize(weight, if bf16 { DType::BF16 } else { DType::F32 })
}

/// Whether products of f32 would be computed in TF32, with 10 bits behind the point.
fn rounds(x: &CubeTensor) -> bool {
    x.client.properties().supports_type(ElemType::Float(FloatKind::TF32))
}

/// The backend's choice of a kernel.
///
/// In bf16 without autotune: with it a run stood still on an H200 (cubek 0.3.1), for a reason that is not known.
fn inferred(left: CubeTensor, right: CubeTensor) -> CubeTensor {
    let strategy = match left.dtype {
        DType::BF16 => MatmulStrategy::Cube,
        _ => MatmulStrategy::default(),
    };
    matmul::matmul(left, right, None, strategy, DType::F32)
        .expect("burn's products have a kernel for every shape")
}

/// By a kernel that keeps f32.
fn exact(left: CubeTensor, right: CubeTensor) -> CubeTensor {
    let output = init_matmul_output(&left, &right, DType::F32);
    if output.shape().num_elements() == 0 || left.shape().num_elements() == 0 {
        return inferred(left, right);
    }
    let launch = |strategy: Strategy| -> Result<(), MatmulSetupError> {
        let elem = dtype_to_elem_type(DType::F32);
        let mut types = MatmulElems::from_globals(&MatmulGlobalElems { lhs: elem, rhs: elem, out: elem });
        let bind = |x: &CubeTensor| InputBinding::new(x.clone().binding(), elem);
        let to = output.clone().binding();
        launch_ref(&strategy.into(), &output.client, bind(&left), bind(&right), to, &mut types)
    };
    launch(Strategy::DoubleUnit(Default::default()))
        .or_else(|_| launch(Strategy::SimpleUnit(Default::default())))
        .or_else(|_| launch(Strategy::Naive))
        .expect("the naive product has no conditions");
    output
}
