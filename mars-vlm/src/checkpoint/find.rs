//! One parameter of a module, by its id.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Tensor};

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
                self.found = Some(param.val().cast(DType::F32).reshape([rows, columns]));
            }
        }
    }
    let mut find = Find { id, found: None };
    module.visit(&mut find);
    find.found
}
