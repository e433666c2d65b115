use std::mem::MaybeUninit;

use crate::{
    Compute, Error, Kernel, Products, Unusable, Weight,
    f32::{Strided, product},
    panels::{Direction, Panels},
    tile::{Amx, Avx512, Emulator, Program},
    weight::checked,
};

/// A weight `[inputs, outputs]` that never changes, packed once. One packed form serves products in both directions.
pub struct Frozen {
    inputs: usize,
    outputs: usize,
    held: Held,
    refused: Option<Unusable>,
}

enum Held {
    F32 { values: Vec<f32>, transposed: bool },
    Bf16 { panels: Panels, program: Program, kernel: Kernel },
}

impl Frozen {
    /// Packs `weight`, row after row of `[inputs, outputs]`. Where there is no kernel for `compute`
    /// ([`Kernel::of`]), products are in f32, and [`Frozen::refused`] says why.
    ///
    /// # Errors
    /// [`Error::Size`] if `weight` has another size, [`Error::TooLarge`] if memory does not hold its packed form.
    pub fn pack(weight: &[f32], inputs: usize, outputs: usize, compute: Compute) -> Result<Self, Error> {
        let weight = Weight::new(weight, inputs, outputs)?;
        let kernel = Kernel::of(compute);
        let packed = Self::pack_for(weight, compute, kernel.unwrap_or(Kernel::F32))?;
        Ok(Self { refused: kernel.err(), ..packed })
    }

    /// Packs `weight` for one kernel. [`Kernel::F32`] multiplies in f32 whatever `compute` is, and so does every kernel
    /// where `compute` is [`Compute::F32`].
    ///
    /// # Errors
    /// [`Error::Unusable`] for a kernel of another processor, [`Error::TooLarge`] as for [`Frozen::pack`].
    pub fn pack_for(weight: Weight<'_>, compute: Compute, kernel: Kernel) -> Result<Self, Error> {
        let Strided { values, k: inputs, n: outputs, transposed } = weight.0;
        let held = if compute == Compute::F32 || kernel == Kernel::F32 {
            let mut copy = Vec::new();
            let large = |_| Error::TooLarge { rows: inputs, columns: outputs };
            copy.try_reserve_exact(values.len()).map_err(large)?;
            copy.extend_from_slice(values);
            Held::F32 { values: copy, transposed }
        } else {
            kernel.usable().map_err(|reason| Error::Unusable { kernel, reason })?;
            let program = match compute {
                Compute::Bf16x2 if weight.is_bf16() => Program::Two,
                Compute::Bf16x2 => Program::Three,
                _ => Program::One,
            };
            let low = program == Program::Three;
            let panels = Panels::pack(inputs, outputs, low, |i, o| weight.at(i, o))?;
            Held::Bf16 { panels, program, kernel }
        };
        Ok(Self { inputs, outputs, held, refused: None })
    }

    /// `y = x W`: `x` `[rows, inputs]`, `y` `[rows, outputs]`, of which every value is written.
    ///
    /// # Errors
    /// [`Error::Size`] if `x` or `y` has another size.
    pub fn forward(&self, rows: usize, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        checked("x", x.len(), rows, self.inputs)?;
        checked("y", y.len(), rows, self.outputs)?;
        self.multiply(rows, x, unwritten(y), Direction::Forward);
        Ok(())
    }

    /// `x W` as [`forward`](Self::forward) gives it, in new memory that is not cleared before.
    ///
    /// # Errors
    /// [`Error::Size`] if `x` has another size, [`Error::TooLarge`] if memory does not hold the product.
    pub fn forward_to_vec(&self, rows: usize, x: &[f32]) -> Result<Vec<f32>, Error> {
        checked("x", x.len(), rows, self.inputs)?;
        self.multiply_to_vec(rows, x, Direction::Forward)
    }

    /// `dx = dy W^T`: `dy` `[rows, outputs]`, `dx` `[rows, inputs]`, of which every value is written.
    ///
    /// # Errors
    /// [`Error::Size`] if `dy` or `dx` has another size.
    pub fn backward(&self, rows: usize, dy: &[f32], dx: &mut [f32]) -> Result<(), Error> {
        checked("dy", dy.len(), rows, self.outputs)?;
        checked("dx", dx.len(), rows, self.inputs)?;
        self.multiply(rows, dy, unwritten(dx), Direction::Backward);
        Ok(())
    }

    /// `dy W^T` as [`backward`](Self::backward) gives it, in new memory that is not cleared before.
    ///
    /// # Errors
    /// [`Error::Size`] if `dy` has another size, [`Error::TooLarge`] if memory does not hold the product.
    pub fn backward_to_vec(&self, rows: usize, dy: &[f32]) -> Result<Vec<f32>, Error> {
        checked("dy", dy.len(), rows, self.outputs)?;
        self.multiply_to_vec(rows, dy, Direction::Backward)
    }

    fn multiply_to_vec(&self, rows: usize, x: &[f32], direction: Direction) -> Result<Vec<f32>, Error> {
        let columns = match direction {
            Direction::Forward => self.outputs,
            Direction::Backward => self.inputs,
        };
        let count = rows.checked_mul(columns).ok_or(Error::TooLarge { rows, columns })?;
        let mut y = Vec::new();
        y.try_reserve_exact(count).map_err(|_| Error::TooLarge { rows, columns })?;
        self.multiply(rows, x, &mut y.spare_capacity_mut()[..count], direction);
        // SAFETY: the capacity is there, and every value was written.
        unsafe { y.set_len(count) };
        Ok(y)
    }

    /// Writes every value of `y`.
    fn multiply(&self, rows: usize, x: &[f32], y: &mut [MaybeUninit<f32>], direction: Direction) {
        match &self.held {
            Held::F32 { values, transposed } => {
                let (k, n, transposed) = match direction {
                    Direction::Forward => (self.inputs, self.outputs, *transposed),
                    Direction::Backward => (self.outputs, self.inputs, !*transposed),
                };
                product(rows, x, Strided { values, k, n, transposed }, y);
            }
            Held::Bf16 { panels, program, kernel } => {
                let threads = rayon::current_num_threads();
                let multiply = match kernel {
                    Kernel::Tiles => Panels::multiply::<Amx>,
                    Kernel::DotProducts => Panels::multiply::<Avx512>,
                    // Products in f32 are held otherwise.
                    Kernel::Emulator | Kernel::F32 => Panels::multiply::<Emulator>,
                };
                multiply(panels, direction, rows, x, y, *program, threads);
            }
        }
    }

    /// Rows and columns: inputs and outputs.
    pub fn shape(&self) -> (usize, usize) {
        (self.inputs, self.outputs)
    }

    /// The kernel that multiplies.
    pub fn kernel(&self) -> Kernel {
        match &self.held {
            Held::F32 { .. } => Kernel::F32,
            Held::Bf16 { kernel, .. } => *kernel,
        }
    }

    /// Why products are in f32 although bf16 was asked for.
    pub fn refused(&self) -> Option<Unusable> {
        self.refused
    }

    /// Products in bf16 for each pair of a value and a weight: 0 in f32, 1 for bf16, 2 for two parts of the moving
    /// operand, 3 if the weight has two parts as well, because it is not exactly bf16.
    pub fn terms(&self) -> usize {
        match &self.held {
            Held::F32 { .. } => 0,
            Held::Bf16 { program: Program::One, .. } => 1,
            Held::Bf16 { program: Program::Two, .. } => 2,
            Held::Bf16 { program: Program::Three, .. } => 3,
        }
    }

    /// Products of other operands in the arithmetic of this weight, where that rounds both operands to bf16 ([`Compute::Bf16`]).
    pub fn rounded_products(&self) -> Option<Products> {
        match &self.held {
            Held::Bf16 { program: Program::One, kernel, .. } => Products::new(*kernel),
            _ => None,
        }
    }

    /// Bytes that the packed weight takes.
    pub fn bytes(&self) -> usize {
        match &self.held {
            Held::F32 { values, .. } => size_of_val(values.as_slice()),
            Held::Bf16 { panels, .. } => panels.bytes(),
        }
    }

    /// The weight that is multiplied with, row after row of `[inputs, outputs]`: the one that was packed, rounded to the
    /// parts that are held.
    pub fn weight(&self) -> Vec<f32> {
        let at = |index: usize| {
            let (i, o) = (index / self.outputs, index % self.outputs);
            match &self.held {
                Held::F32 { values, transposed: false } => values[index],
                Held::F32 { values, .. } => values[o * self.inputs + i],
                Held::Bf16 { panels, .. } => panels.at(i, o),
            }
        };
        (0..self.inputs * self.outputs).map(at).collect()
    }
}

/// Memory that is written before it is read.
fn unwritten(y: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the layouts are the same, and products write numbers only.
    unsafe { &mut *(std::ptr::from_mut(y) as *mut [MaybeUninit<f32>]) }
}

impl std::fmt::Debug for Frozen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = f.debug_struct("Frozen");
        fields.field("shape", &self.shape()).field("kernel", &self.kernel()).field("terms", &self.terms());
        fields.finish_non_exhaustive()
    }
}
