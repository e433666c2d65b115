//! Encoded images to 8-bit RGB: what Pillow's `convert("RGB")` gives after `ImageOps.exif_transpose`, which is what
//! `transformers.image_utils.load_image` yields and models have seen.
//!
//! The kind of an image is read from its first bytes, never from its name. Of several frames the first counts; alpha is
//! dropped, grey is repeated, palettes are looked up.

mod bmp;
mod decode;
mod gif;
mod inks;
mod jpeg;
mod kind;
mod limits;
mod orientation;
mod png;
mod pnm;
mod rgb;
mod tiff;
mod webp;
mod xmp;

pub(super) use decode::{Header, decode, header};
pub(super) use limits::LONGEST;
pub use rgb::RgbImage;
