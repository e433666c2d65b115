//! How large images may be, encoded and decoded.

/// Longest encoded image that is read, bytes: 512 MiB.
pub(in crate::data) const LONGEST: u64 = 1 << 29;

/// Most pixels that are decoded: 89,478,485, that is 256 MiB of RGB. Above it Pillow warns of a decompression bomb.
pub(super) const MOST_PIXELS: u64 = 89_478_485;

/// Makes sure that an image of this size is decoded.
///
/// # Errors
/// A few words, for a side of 0 and for more than [`MOST_PIXELS`].
pub(super) fn check(width: usize, height: usize) -> Result<(), String> {
    let pixels = (width as u64).saturating_mul(height as u64);
    if pixels == 0 {
        return Err(format!("it has {width} x {height} pixels"));
    }
    if pixels > MOST_PIXELS {
        return Err(format!(
            "{width} x {height} pixels, more than the {MOST_PIXELS} that are decoded: scale it down"
        ));
    }
    Ok(())
}
