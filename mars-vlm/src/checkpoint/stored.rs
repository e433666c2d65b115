//! Parameters and the tensors on disk that they were made of.

use burn::module::ParamId;

/// How a parameter in memory relates to the tensor on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredLayout {
    /// The same values in the same order, in the shape given.
    Same(Vec<usize>),
    /// A matrix, transposed in memory: the shape on disk, of which the dimensions after the first are one.
    Transposed(Vec<usize>),
}

/// A parameter and its name on disk.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The parameter in the module.
    pub id: ParamId,
    /// The tensor's name.
    pub name: String,
    /// Its shape and orientation there.
    pub layout: StoredLayout,
}

impl Stored {
    /// Number of values.
    pub fn parameters(&self) -> usize {
        let (StoredLayout::Same(shape) | StoredLayout::Transposed(shape)) = &self.layout;
        shape.iter().product()
    }
}

/// Row-major `[rows, columns]` to row-major `[columns, rows]`.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for (r, row) in values.chunks_exact(columns.max(1)).enumerate() {
        for (c, value) in row.iter().enumerate() {
            out[c * rows + r] = *value;
        }
    }
    out
}
