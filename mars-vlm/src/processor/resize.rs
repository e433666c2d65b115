//! Resizing of 8-bit RGB images, bit for bit as Pillow or torchvision resizes them.
//!
//! Separable convolution, 8-bit values between the two passes; the coefficients are normalised in f64 and rounded to 22
//! fractional bits (Pillow, `src/libImaging/Resample.c`), or to as many as let the largest of them be a 16-bit number
//! (PyTorch, `aten/src/ATen/native/cpu/UpSampleKernel.cpp`, with antialiasing). General-purpose crates differ from both
//! by some units of 255, and a processor that resizes three times in a row would show a model pixels that it was not
//! trained on.
//!
//! Target pixel k is `sum_x w(x) source(x) / sum_x w(x)` with `w(x) = kernel((x + 0.5 - c) / stretch)`, where `c =
//! (k + 0.5) * from / to` and `stretch = max(from / to, 1)`: the kernel is widened when an image shrinks, so
//! nothing is skipped. Kernels: box 1 on (-0.5, 0.5]; triangle `1 - |x|`; Keys' cubic with a = -0.5; Hamming
//! `sinc(x) (0.54 + 0.46 cos(pi x))` on (-1, 1); Lanczos `sinc(x) sinc(x / 3)` on [-3, 3).

use super::settings::{Intensity, Resampling};
use crate::data::RgbImage;
use std::f64::consts::PI;

/// Most fractional bits of a coefficient: 32 less 8 for the pixel and 2 for overshoot.
const BITS: u32 = 32 - 8 - 2;

/// Whose arithmetic a resize follows. They differ by one unit of 255 in some pixels of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resizer {
    /// That of Pillow, and so of the slow image processors of `transformers`.
    Pillow,
    /// That of torchvision on tensors of bytes, and so of the fast ones; for the bicubic filter.
    Torchvision,
}

/// `image` at `width` x `height` pixels, both at least 1, as `resizer` does it.
pub(crate) fn resize_as(
    resizer: Resizer,
    image: &RgbImage,
    (width, height): (usize, usize),
    filter: Resampling,
) -> RgbImage {
    match resizer {
        Resizer::Pillow => resize(image, width, height, filter),
        Resizer::Torchvision => {
            let (from_width, from_height) = (image.width(), image.height());
            let (width, height) = (width.max(1), height.max(1));
            let narrow = |from, to| Windows::new(from, to, filter).with_words();
            let pixels = resize_rows(image.pixels().to_vec(), from_width, width, narrow);
            let pixels = resize_columns(pixels, width, from_height, height, narrow);
            RgbImage::new(width, height, pixels).unwrap_or_else(|| image.clone())
        }
    }
}

/// `image` at `width` x `height` pixels, both at least 1, as Pillow does it.
pub(crate) fn resize(image: &RgbImage, width: usize, height: usize, filter: Resampling) -> RgbImage {
    let (from_width, from_height) = (image.width(), image.height());
    let (width, height) = (width.max(1), height.max(1));
    let mut pixels = image.pixels().to_vec();
    // Pillow 13 passes over the columns first if the image loses much more of its height than of
    // its width; the order shows where values are clipped between the passes. (Found by
    // comparison over some thousand sizes; older versions always begin with the rows.)
    let columns_first = height < from_height && from_height - height > 2 * from_width.saturating_sub(width);
    let wide = |from, to| Windows::new(from, to, filter).with_bits(BITS);
    if columns_first {
        pixels = resize_columns(pixels, from_width, from_height, height, wide);
        pixels = resize_rows(pixels, from_width, width, wide);
    } else {
        pixels = resize_rows(pixels, from_width, width, wide);
        pixels = resize_columns(pixels, width, from_height, height, wide);
    }
    RgbImage::new(width, height, pixels).unwrap_or_else(|| image.clone())
}

/// Appends the square of `image` whose corner is at (`left`, `top`) as `[3, side, side]`.
/// Channels first, normalised by `intensity`; the square must lie within the image.
pub(crate) fn append_tile(
    image: &RgbImage,
    (left, top): (usize, usize),
    side: usize,
    intensity: &Intensity,
    values: &mut Vec<f32>,
) {
    for c in 0..3 {
        let table = intensity.table(c);
        for y in top..top + side {
            let row = &image.pixels()[(y * image.width() + left) * 3..][..side * 3];
            values.extend(row.chunks_exact(3).map(|pixel| table[usize::from(pixel[c])]));
        }
    }
}

/// Rows of `from` pixels to rows of `to` pixels.
fn resize_rows(pixels: Vec<u8>, from: usize, to: usize, windows: impl Fn(usize, usize) -> Fixed) -> Vec<u8> {
    if from == to {
        return pixels;
    }
    let Fixed { windows, bits } = windows(from, to);
    let mut out = Vec::with_capacity(pixels.len() / from * to);
    for row in pixels.chunks_exact(from * 3) {
        for window in &windows {
            let mut sum = [1i32 << (bits - 1); 3];
            for (pixel, &weight) in row[window.start * 3..].chunks_exact(3).zip(&window.weights) {
                for c in 0..3 {
                    sum[c] += i32::from(pixel[c]) * weight;
                }
            }
            out.extend(sum.map(|sum| clip(sum, bits)));
        }
    }
    out
}

/// `from` rows of `width` pixels to `to` rows.
fn resize_columns(
    pixels: Vec<u8>,
    width: usize,
    from: usize,
    to: usize,
    windows: impl Fn(usize, usize) -> Fixed,
) -> Vec<u8> {
    if from == to {
        return pixels;
    }
    let stride = width * 3;
    let mut out = Vec::with_capacity(to * stride);
    let mut sums = vec![0i32; stride];
    let Fixed { windows, bits } = windows(from, to);
    for window in windows {
        sums.fill(1 << (bits - 1));
        for (row, &weight) in pixels[window.start * stride..].chunks_exact(stride).zip(&window.weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| clip(sum, bits)));
    }
    out
}

/// A sum of weighted pixels with `bits` fractional bits, back to 8 bits.
fn clip(sum: i32, bits: u32) -> u8 {
    (sum >> bits).clamp(0, 255) as u8
}

/// The source pixels of one target pixel: the first, and a weight for each.
struct Window<W> {
    start: usize,
    weights: Vec<W>,
}

/// Windows with weights of `bits` fractional bits.
struct Fixed {
    windows: Vec<Window<i32>>,
    bits: u32,
}

/// The windows of all target pixels along one side, with weights that sum to 1.
struct Windows(Vec<Window<f64>>);

impl Windows {
    /// The window of each of `to` target pixels: for target k the source pixels within `radius * max(from / to, 1)` of
    /// `(k + 0.5) * from / to`, weighted by the kernel and normalised.
    fn new(from: usize, to: usize, filter: Resampling) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = radius(filter) * stretch;
        let window = |k: usize| {
            let center = (k as f64 + 0.5) * scale;
            let start = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            let mut weights: Vec<f64> =
                (start..end).map(|x| kernel(filter, (x as f64 - center + 0.5) * (1.0 / stretch))).collect();
            let total: f64 = weights.iter().sum();
            if total != 0.0 {
                weights.iter_mut().for_each(|weight| *weight /= total);
            }
            Window { start, weights }
        };
        Self((0..to).map(window).collect())
    }

    /// Weights rounded to `bits` fractional bits, halves away from 0.
    fn with_bits(self, bits: u32) -> Fixed {
        let one = f64::from(1u32 << bits);
        let fixed = |w: &f64| (w * one + 0.5f64.copysign(*w)) as i32;
        let window = |Window { start, weights }: Window<f64>| Window {
            start,
            weights: weights.iter().map(fixed).collect(),
        };
        Fixed { windows: self.0.into_iter().map(window).collect(), bits }
    }

    /// Weights rounded to as many fractional bits as leave the largest below 2^15.
    fn with_words(self) -> Fixed {
        let largest = self.0.iter().flat_map(|window| &window.weights).fold(0.0f64, |most, w| most.max(*w));
        let fits = |bits: &u32| ((0.5 + largest * f64::from(1u32 << bits)) as i64) < 1 << 15;
        let bits = (1..=BITS).take_while(fits).last().unwrap_or(1);
        self.with_bits(bits)
    }
}

/// How far a kernel reaches, in pixels of the coarser image.
fn radius(filter: Resampling) -> f64 {
    match filter {
        Resampling::Box => 0.5,
        Resampling::Bilinear | Resampling::Hamming => 1.0,
        Resampling::Bicubic => 2.0,
        Resampling::Lanczos => 3.0,
    }
}

/// Weight of a pixel at distance `x`, in pixels of the coarser image.
fn kernel(filter: Resampling, x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
    let distance = x.abs();
    match filter {
        Resampling::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
        Resampling::Bilinear => (1.0 - distance).max(0.0),
        Resampling::Hamming if distance == 0.0 => 1.0,
        Resampling::Hamming if distance >= 1.0 => 0.0,
        Resampling::Hamming => sinc(x) * (0.54 + 0.46 * (x * PI).cos()),
        Resampling::Bicubic => {
            const A: f64 = -0.5;
            if distance < 1.0 {
                ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0
            } else if distance < 2.0 {
                (((distance - 5.0) * distance + 8.0) * distance - 4.0) * A
            } else {
                0.0
            }
        }
        Resampling::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
        Resampling::Lanczos => 0.0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use safetensors::SafeTensors;

    /// Compares a noisy image under each filter with what is in a fixture; how many times.
    fn compared(file: &str, resizer: Resizer) -> usize {
        let path = format!("{}/tests/fixtures/{file}/resize.safetensors", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        let images = SafeTensors::deserialize(&bytes).unwrap();
        let source = images.tensor("source").unwrap();
        let source = RgbImage::new(source.shape()[1], source.shape()[0], source.data().to_vec()).unwrap();
        let filters = [
            ("1", Resampling::Lanczos),
            ("2", Resampling::Bilinear),
            ("3", Resampling::Bicubic),
            ("4", Resampling::Box),
            ("5", Resampling::Hamming),
        ];
        let mut compared = 0;
        for (name, target) in images.tensors() {
            let Some((filter, _)) = name.split_once('.') else { continue };
            let filter = filters.iter().find(|(number, _)| *number == filter).unwrap().1;
            let [height, width, _] = *target.shape() else { panic!("{name}") };
            let ours = resize_as(resizer, &source, (width, height), filter);
            assert!(ours.pixels() == target.data(), "{name}");
            compared += 1;
        }
        compared
    }

    /// Every filter, larger and smaller, in both orders of the passes (`tests/oracle/processor.py`).
    #[test]
    fn equal_to_pillow_bit_for_bit() {
        assert_eq!(compared("processor", Resizer::Pillow), 40);
    }

    /// Larger and smaller (`tests/oracle/qwen3_processor.py`).
    #[test]
    fn equal_to_torchvision_bit_for_bit() {
        assert_eq!(compared("qwen3_processor", Resizer::Torchvision), 11);
    }

    #[test]
    fn a_flat_image_stays_flat_and_its_own_size_changes_nothing() {
        let flat = RgbImage::new(9, 5, [7, 130, 255].repeat(45)).unwrap();
        for (width, height) in [(1, 1), (30, 2), (3, 40), (9, 5)] {
            let resized = resize(&flat, width, height, Resampling::Lanczos);
            assert_eq!(resized.pixels(), [7, 130, 255].repeat(width * height));
        }
    }
}
