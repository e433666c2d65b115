//! From samples to RGB.

use super::samples::Samples;
use super::tags::{Meaning, Tags};
use crate::data::image::inks;

/// RGB of all pixels; `samples` are those of a pixel together, or all of one kind together (`planar`).
pub(super) fn rgb(tags: &Tags, samples: &Samples, planar: bool) -> Result<Vec<u8>, String> {
    let (count, most) = (tags.samples, (1u32 << tags.bits) - 1);
    let pixels = samples.len() / count;
    let sample = |pixel: usize, k: usize| {
        if planar { samples.at(k * pixels + pixel) } else { samples.at(pixel * count + k) }
    };
    // 16 bits keep the high byte.
    let byte = |pixel: usize, k: usize| {
        if tags.bits == 16 { (sample(pixel, k) >> 8) as u8 } else { sample(pixel, k) as u8 }
    };
    let grey = |pixel: usize| {
        let value = sample(pixel, 0);
        match tags.bits {
            16 if tags.signed => value.cast_signed().clamp(0, 255) as u8,
            16 => value.min(255) as u8,
            _ => (u32::from(value) * 255 / most) as u8,
        }
    };
    Ok(match tags.meaning {
        Meaning::BlackIsZero => (0..pixels).flat_map(|pixel| [grey(pixel); 3]).collect(),
        Meaning::WhiteIsZero if tags.bits == 16 => (0..pixels).flat_map(|pixel| [grey(pixel); 3]).collect(),
        Meaning::WhiteIsZero => (0..pixels).flat_map(|pixel| [255 - grey(pixel); 3]).collect(),
        Meaning::Palette => (0..pixels)
            .flat_map(|pixel| tags.palette.get(usize::from(sample(pixel, 0))).copied().unwrap_or_default())
            .collect(),
        Meaning::Rgb if tags.premultiplied => {
            let colour = |pixel: usize| {
                let alpha = u32::from(byte(pixel, 3));
                [0, 1, 2].map(|k| match (u32::from(byte(pixel, k)), alpha) {
                    (_, 0) => 0,
                    (value, alpha) => (value * 255 / alpha).min(255) as u8,
                })
            };
            (0..pixels).flat_map(colour).collect()
        }
        Meaning::Rgb => (0..pixels).flat_map(|pixel| [0, 1, 2].map(|k| byte(pixel, k))).collect(),
        Meaning::Inks => {
            (0..pixels).flat_map(|pixel| inks::pixel([0, 1, 2, 3].map(|k| byte(pixel, k)))).collect()
        }
    })
}
