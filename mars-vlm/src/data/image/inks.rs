//! Colours of printing.

/// RGB of inverted cyan, magenta, yellow and black, `[.., 4]` values of which 255 is no ink.
pub(super) fn rgb_of_inverted(values: &[u8]) -> Vec<u8> {
    values.chunks_exact(4).flat_map(|inks| pixel([0, 1, 2, 3].map(|k| 255 - inks[k]))).collect()
}

/// RGB of cyan, magenta, yellow and black, 0 being no ink.
///
/// As in Pillow, `r = k' - c k' / 255` with `k' = 255 - k`, rounded.
pub(super) fn pixel([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let white = 255 - i32::from(black);
    [cyan, magenta, yellow].map(|ink| {
        let product = i32::from(ink) * white + 128;
        (white - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
    })
}
