use crate::{Error, bf16::is_exact, f32::Strided};

/// A weight to be packed: `[inputs, outputs]`, of which it borrows the values.
#[derive(Clone, Copy)]
pub struct Weight<'a>(pub(crate) Strided<'a>);

impl<'a> Weight<'a> {
    /// A weight of which `values` are row after row of `[inputs, outputs]`.
    ///
    /// # Errors
    /// [`Error::Size`] if there are not as many.
    pub fn new(values: &'a [f32], inputs: usize, outputs: usize) -> Result<Self, Error> {
        checked("the weight", values.len(), inputs, outputs)?;
        Ok(Self(Strided { values, k: inputs, n: outputs, transposed: false }))
    }

    /// A weight of which `values` are row after row of `[outputs, inputs]`, as checkpoints hold it.
    ///
    /// # Errors
    /// [`Error::Size`] if there are not as many.
    pub fn transposed(values: &'a [f32], inputs: usize, outputs: usize) -> Result<Self, Error> {
        checked("the weight", values.len(), outputs, inputs)?;
        Ok(Self(Strided { values, k: inputs, n: outputs, transposed: true }))
    }

    /// Whether every value is a bf16.
    pub fn is_bf16(&self) -> bool {
        self.0.values.iter().all(|value| is_exact(*value))
    }

    /// The value at row `i` of the inputs and column `o` of the outputs.
    #[inline(always)]
    pub(crate) fn at(&self, i: usize, o: usize) -> f32 {
        self.0.values[if self.0.transposed { o * self.0.k + i } else { i * self.0.n + o }]
    }
}

/// Compares a number of values with the size of a matrix.
pub(crate) fn checked(what: &'static str, values: usize, rows: usize, columns: usize) -> Result<(), Error> {
    if rows.checked_mul(columns) == Some(values) {
        return Ok(());
    }
    Err(Error::Size { what, values, rows, columns })
}
