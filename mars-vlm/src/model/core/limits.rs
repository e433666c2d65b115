//! Limits of sizes in `config.json`: far above any model, and so low that products of them can be counted.

/// Widths of layers.
pub(crate) const WIDTH: usize = 1 << 20;
/// Blocks, heads.
pub(crate) const COUNT: usize = 1 << 14;
/// Tokens of a vocabulary.
pub(crate) const VOCABULARY: usize = 1 << 24;
/// Sides of images and patches, pixels.
pub(crate) const SIDE: usize = 1 << 14;
/// Frames of a patch, and patches along a side of what becomes one token.
pub(crate) const FEW: usize = 1 << 6;

/// The first of `sizes` (name, value, largest) that is not in 1 to its largest value, in words; `section` names the
/// object that holds them.
pub(crate) fn check(section: &str, sizes: &[(&str, usize, usize)]) -> Result<(), String> {
    match sizes.iter().find(|(_, size, largest)| !(1..=*largest).contains(size)) {
        Some((name, size, largest)) => Err(format!("{section}.{name} is {size}, expected 1 to {largest}")),
        None => Ok(()),
    }
}

/// Makes sure that a number is greater than zero and finite.
pub(crate) fn positive(section: &str, name: &str, value: f64) -> Result<(), String> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(format!("{section}.{name} is {value}, expected a number greater than 0"))
}
