//! Whether all values of a tensor are numbers, of which it is told block by block.

/// The values seen so far.
#[derive(Debug, Default)]
pub(super) struct Finite {
    seen: usize,
    /// Place and value of the first that is not finite.
    first: Option<(usize, f64)>,
    strange: usize,
}

impl Finite {
    /// The next values, in the order of the file.
    pub(super) fn add(&mut self, values: &[f64]) {
        for (at, value) in values.iter().enumerate().filter(|(_, value)| !value.is_finite()) {
            self.first.get_or_insert((self.seen + at, *value));
            self.strange += 1;
        }
        self.seen += values.len();
    }

    /// Whether all were finite; the error names the first that is not, by its place in the tensor.
    pub(super) fn check(&self, name: &str, shape: &[usize]) -> Result<(), String> {
        let Some((at, value)) = self.first else { return Ok(()) };
        Err(format!(
            "tensor `{name}` holds {value} at {:?}, and {} of its {} values are not finite: the training that wrote it \
             diverged, or its values did not fit the type it was saved in; take another checkpoint",
            place(at, shape),
            self.strange,
            self.seen
        ))
    }
}

/// The indices of the value `at` of a tensor.
/// Row-major: the last index moves fastest. `at` is below the product of `shape`.
pub fn place(at: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = at;
    let mut indices: Vec<usize> = shape
        .iter()
        .rev()
        .map(|side| {
            let index = rest % (*side).max(1);
            rest /= (*side).max(1);
            index
        })
        .collect();
    indices.reverse();
    indices
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::TensorFile;
    use half::f16;

    #[test]
    fn values_of_every_block_are_named_by_their_place() {
        // Rows of 1024: the first block ends with row 1023.
        const ROWS: usize = 2050;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let check = |strange: &[(usize, usize, f16)]| {
            let mut values = vec![f16::from_f32(0.5); ROWS * 1024];
            strange.iter().for_each(|(row, column, value)| values[row * 1024 + column] = *value);
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let header = format!(
                r#"{{"t":{{"dtype":"F16","shape":[{ROWS},1024],"data_offsets":[0,{}]}}}}"#,
                bytes.len()
            );
            let all = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes].concat();
            std::fs::write(&path, all).unwrap();
            let file = TensorFile::open(&path).unwrap();
            let tensor = &file.tensors()[0];
            let found = file.check_finite(tensor).map_err(|e| e.to_string());
            assert_eq!(found, file.values(tensor).map(|_| ()).map_err(|e| e.to_string()));
            found
        };
        let total = ROWS * 1024;
        assert_eq!(check(&[]), Ok(()));
        let last = check(&[(ROWS - 1, 1023, f16::NAN)]).unwrap_err();
        assert!(last.contains(&format!("NaN at [2049, 1023], and 1 of its {total} values")), "{last}");
        let both = check(&[(1024, 0, f16::NAN), (1023, 1023, f16::INFINITY)]).unwrap_err();
        assert!(both.contains(&format!("inf at [1023, 1023], and 2 of its {total} values")), "{both}");
        let next = check(&[(1024, 0, f16::NEG_INFINITY)]).unwrap_err();
        assert!(next.contains("-inf at [1024, 0], and 1 of"), "{next}");
    }
}
