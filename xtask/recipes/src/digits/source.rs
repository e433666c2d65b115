//! The handwritten digits that every picture is made of, with a fixed split by digit image.
//!
//! Source: UCI "Optical Recognition of Handwritten Digits", `assets/digits/source/README.md`.

use anyhow::{Context, Result, ensure};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

const CSV: &str = include_str!("../../../../assets/digits/source/digits.csv");

/// Which digit images fall into which split; never change it, or test images turn up in training.
const SPLIT_SEED: u64 = 1998;
const TRAIN: usize = 1200;
const VAL: usize = 250;
const TEST: usize = 347;

/// Pixels along a side of a source digit.
pub const SIDE: usize = 8;

/// One handwritten digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digit {
    /// Which digit it is, 0..=9.
    pub label: u8,
    /// Ink, row by row, 0..=16.
    pub pixels: [u8; SIDE * SIDE],
}

/// A part of the digit images; no image is in two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// 1200 digits.
    Train,
    /// 250 digits.
    Val,
    /// 347 digits.
    Test,
}

/// All digits, by split.
#[derive(Clone, Debug)]
pub struct Digits {
    shuffled: Vec<Digit>,
}

impl Digits {
    /// The digits of the committed file.
    ///
    /// # Errors
    /// When the file is not 1797 lines of a label and 64 pixels in range.
    pub fn load() -> Result<Self> {
        let mut shuffled = parse(CSV)?;
        let (found, wanted) = (shuffled.len(), TRAIN + VAL + TEST);
        ensure!(found == wanted, "digits.csv: {found} digits instead of {wanted}");
        shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(SPLIT_SEED));
        Ok(Self { shuffled })
    }

    /// The digits of one split.
    pub fn split(&self, split: Split) -> &[Digit] {
        let (train, rest) = self.shuffled.split_at(TRAIN);
        let (val, test) = rest.split_at(VAL);
        match split {
            Split::Train => train,
            Split::Val => val,
            Split::Test => test,
        }
    }
}

fn parse(csv: &str) -> Result<Vec<Digit>> {
    let rows = csv.lines().enumerate().skip(1);
    rows.map(|(n, row)| digit(row).with_context(|| format!("digits.csv, line {}", n + 1))).collect()
}

fn digit(row: &str) -> Result<Digit> {
    let values: Vec<u8> = row
        .split(',')
        .map(|v| v.parse().with_context(|| format!("not a number: {v}")))
        .collect::<Result<_>>()?;
    ensure!(values.len() == 1 + SIDE * SIDE, "{} values instead of 65", values.len());
    let mut pixels = [0; SIDE * SIDE];
    pixels.copy_from_slice(&values[1..]);
    ensure!(values[0] <= 9, "label {} is no digit", values[0]);
    ensure!(pixels.iter().all(|&p| p <= 16), "a pixel above 16");
    Ok(Digit { label: values[0], pixels })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn splits_share_no_digit_and_hold_every_label() {
        let digits = Digits::load().unwrap();
        let mut seen = HashSet::new();
        for (split, size) in [(Split::Train, TRAIN), (Split::Val, VAL), (Split::Test, TEST)] {
            let part = digits.split(split);
            assert_eq!(part.len(), size);
            assert_eq!(part.iter().map(|d| d.label).collect::<HashSet<_>>().len(), 10);
            assert!(part.iter().all(|d| seen.insert(d.pixels)), "a digit image is in two places");
        }
    }

    #[test]
    fn bad_lines_are_named() {
        for bad in ["1,2,3", "10,0", "x", &format!("1{}", ",17".repeat(64))] {
            let error = parse(&format!("header\n{bad}\n")).unwrap_err();
            assert!(format!("{error:#}").contains("line 2"), "{error:#}");
        }
    }
}
