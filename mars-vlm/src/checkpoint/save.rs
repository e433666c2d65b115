//! The parameters of a module as values: a matrix by its id, or all of them under their names on disk, and written
//! there.

use super::stored::{Stored, StoredLayout, transpose};
use crate::Error;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Tensor};
use half::f16;
use safetensors::tensor::{Dtype, TensorView, serialize};
use std::collections::HashMap;
use std::path::Path;

/// The matrix with this id as f32, if `module` has it.
pub fn matrix<M: Module>(module: &M, id: ParamId) -> Option<Tensor<2>> {
    struct Find {
        id: ParamId,
        found: Option<Tensor<2>>,
    }
    impl ModuleVisitor for Find {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.id == self.id
                && let [rows, columns] = param.dims()[..]
            {
                self.found = Some(param.val().dequantize().cast(DType::F32).reshape([rows, columns]));
            }
        }
    }
    let mut find = Find { id, found: None };
    module.visit(&mut find);
    find.found
}

/// One tensor as it goes to disk: name, shape, row-major values.
pub type Named = (String, Vec<usize>, Vec<f32>);

/// The parameters of `module` in the names, shapes and orientation of the disk, in the order of `stored`.
pub fn export<M: Module>(module: &M, stored: &[Stored]) -> Vec<Named> {
    struct Collect<'a> {
        stored: &'a [Stored],
        found: Vec<(usize, Named)>,
    }
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(at) = self.stored.iter().position(|s| s.id == param.id) else { return };
            let values: Vec<f32> = param.val().into_data().iter::<f32>().collect();
            let Stored { name, layout, .. } = &self.stored[at];
            let (shape, values) = match layout {
                StoredLayout::Same(shape) => (shape.clone(), values),
                StoredLayout::Transposed(shape) => {
                    let columns = shape[1..].iter().product();
                    (shape.clone(), transpose(&values, columns, shape[0]))
                }
            };
            self.found.push((at, (name.clone(), shape, values)));
        }
    }
    let mut collect = Collect { stored, found: Vec::new() };
    module.visit(&mut collect);
    collect.found.sort_by_key(|(at, _)| *at);
    collect.found.into_iter().map(|(_, named)| named).collect()
}

/// Writes `tensors` to a safetensors file, in half precision if `half`.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written; [`Error::Malformed`] if a shape does not fit its values.
pub fn save(path: &Path, tensors: &[Named], half: bool) -> Result<(), Error> {
    let bytes = |values: &[f32]| -> Vec<u8> {
        if half {
            values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()
        } else {
            values.iter().flat_map(|v| v.to_le_bytes()).collect()
        }
    };
    let bad =
        |e: safetensors::SafeTensorError| Error::malformed(path, e, "check the directory and the free space");
    let dtype = if half { Dtype::F16 } else { Dtype::F32 };
    let data: Vec<Vec<u8>> = tensors.iter().map(|(_, _, values)| bytes(values)).collect();
    let mut views = Vec::with_capacity(tensors.len());
    for ((name, shape, _), data) in tensors.iter().zip(&data) {
        views.push((name.clone(), TensorView::new(dtype, shape.clone(), data).map_err(bad)?));
    }
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let bytes = serialize(views, Some(metadata)).map_err(bad)?;
    mars_lora::files::write(path, &bytes).map_err(Error::io(path))
}
