//! Devices that run out of memory in the middle of the work.

use crate::{Error, ErrorKind, plan::REMEDY};
use std::any::Any;

/// What burn's back ends say of memory that a device does not have: those of CubeCL 0.11, as text and as `Debug` shows them, and the
/// drivers' own words.
const WORDS: [&str; 6] = [
    "out of device memory",
    "can't allocate buffer of size",
    "OutOfMemory",
    "BufferTooBig",
    "out of memory",
    "OUT_OF_DEVICE_MEMORY",
];

/// The error of kind [`Memory`](ErrorKind::Memory) for what burn panicked with, where that is a device's lack of memory.
///
/// burn's tensor operations return no errors: a program that wants to go on after a lack of memory, or to end with a message
/// of its own, catches the panic (`std::panic::catch_unwind`) and asks this. What was finished of a campaign is on disk.
pub fn out_of_memory(panic: &(dyn Any + Send)) -> Option<Error> {
    let said =
        panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied())?;
    let line = said.lines().find(|line| WORDS.iter().any(|words| line.contains(words)))?;
    let line: String = line.chars().take(200).collect();
    Some(Error::new(
        ErrorKind::Memory,
        format!(
            "the device has no memory left ({line}); {REMEDY}, or stop other processes on the device; finished runs are kept, \
             and the same call continues"
        ),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::out_of_memory;
    use crate::ErrorKind;
    use std::panic::catch_unwind;

    #[test]
    fn a_lack_of_memory_is_an_error_and_other_panics_are_not() {
        let caught = |said: &str| {
            let said = said.to_owned();
            out_of_memory(&*catch_unwind(move || std::panic::resume_unwind(Box::new(said))).unwrap_err())
        };
        for said in [
            "called `Result::unwrap()` on an `Err` value: OutOfMemory { size: 4294967296, backtrace: .. }",
            "Error: out of device memory allocating 1024 bytes\n   0: backtrace",
            "an execution failed:\ncan't allocate buffer of size: 99",
        ] {
            let error = caught(said).unwrap();
            assert_eq!(error.kind(), ErrorKind::Memory, "{said}");
            let text = error.to_string();
            assert!(text.contains("run.gradient_checkpointing") && !text.contains('\n'), "{text}");
        }
        assert!(out_of_memory(&*catch_unwind(|| panic!("out of memory: {}", 3)).unwrap_err()).is_some());
        assert!(caught("index out of bounds: the len is 3").is_none());
        assert!(out_of_memory(&7_usize).is_none());
    }
}
