//! How much memory a search will take, by purpose, and whether the system gives as much.

use super::limits::{Bound, Left, System};
use crate::{Error, ErrorKind, quantity};
use serde::Serialize;

/// More than this many bytes no process can address, whatever the system says: 2^47, the user's half of 48 bits.
const ADDRESSABLE: f64 = (1_u64 << 47) as f64;

/// What takes less memory.
pub(crate) const REMEDY: &str = "set run.gradient_checkpointing=true or model.dtype=bf16 (or q8), lower train.batch, run.stack or \
                                 run.eval_batch, or use smaller images";

/// Bytes by purpose.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Frozen weights, as they are kept.
    pub weights: f64,
    /// What else is in memory: program, tokenizer, data, free memory that the allocator keeps; 0 where the system does not
    /// say.
    pub program: f64,
    /// Most adapters that go through the model together.
    pub stack: usize,
    /// Adapters with gradients and both moments.
    pub adapters: f64,
    /// Features of images that are kept, at most.
    pub features: f64,
    /// What the passes hold, for the longest samples: the most of training and of evaluation.
    pub activations: f64,
    /// All of it.
    pub total: f64,
    /// What the process may still take; `null` where the system does not say.
    pub available: Option<f64>,
    /// What leaves no more than that.
    pub bound: Option<Bound>,
}

impl Memory {
    /// Refuses what cannot fit.
    ///
    /// # Errors
    /// An error of kind [`Memory`](ErrorKind::Memory) that says which settings to change.
    pub fn check(&self) -> Result<(), Error> {
        // What is resident already is not available any more.
        let more = self.adapters + self.features + self.activations;
        let left = self.available.zip(self.bound).map(|(bytes, bound)| Left { bytes, bound });
        check(more, left, "training needs about", || {
            format!(
                "(adapters {}, passes {}); {REMEDY}",
                quantity::bytes(self.adapters),
                quantity::bytes(self.activations)
            )
        })
    }
}

/// Refuses weights of so many bytes that cannot fit, before they are read.
///
/// # Errors
/// An error of kind [`Memory`](ErrorKind::Memory).
pub(crate) fn check_weights(bytes: f64) -> Result<(), Error> {
    check(bytes, left(), "the weights of the model take", || {
        "as model.dtype and run.compute keep them; model.dtype=bf16 takes half of f32, q8 little more than a quarter for linear layers"
            .to_owned()
    })
}

/// Refuses to take `more` bytes where less is left, or where no process can have as much.
fn check(more: f64, left: Option<Left>, what: &str, advice: impl Fn() -> String) -> Result<(), Error> {
    let refuse = |have: String| {
        let message = format!("{what} {} of memory, but {have} {}", quantity::bytes(more), advice());
        Err(Error::new(ErrorKind::Memory, message))
    };
    match left {
        Some(Left { bytes, bound }) if more > bytes => {
            refuse(format!("only {} are available {bound}", quantity::bytes(bytes)))
        }
        // Also what is no number any more.
        None if more > ADDRESSABLE || more.is_nan() => {
            refuse(format!("a process cannot address more than {}", quantity::bytes(ADDRESSABLE)))
        }
        Some(_) if more.is_nan() => refuse("that cannot be counted".to_owned()),
        _ => Ok(()),
    }
}

/// Memory of this process now, bytes.
pub(crate) fn resident() -> Option<f64> {
    System::default().resident()
}

/// Memory that this process may still take.
pub(crate) fn left() -> Option<Left> {
    System::default().left()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Bound, Memory};
    use crate::ErrorKind;

    #[test]
    fn what_cannot_fit_is_refused_with_what_is_short() {
        let memory = Memory {
            weights: 1e6,
            program: 1e6,
            stack: 4,
            adapters: 1e6,
            features: 0.0,
            activations: 1e9,
            total: 1e9,
            available: Some(1e8),
            bound: Some(Bound::ControlGroup),
        };
        let error = memory.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Memory);
        let text = error.to_string();
        assert!(text.contains("954.628 MiB") && text.contains("control group"), "{text}");
        assert!(Memory { available: Some(2e9), ..memory }.check().is_ok());
        assert!(Memory { available: None, bound: None, ..memory }.check().is_ok());
        // Numbers beyond all systems, where nothing is known of this one.
        for activations in [1e30, f64::INFINITY, f64::NAN] {
            let endless = Memory { activations, available: None, bound: None, ..memory };
            assert_eq!(endless.check().unwrap_err().kind(), ErrorKind::Memory, "{activations}");
        }
    }
}
