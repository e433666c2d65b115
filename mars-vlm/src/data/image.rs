//! Encoded image bytes to 8-bit RGB, with the conventions of Pillow's `convert("RGB")`.
//!
//! The picture is turned upright by its EXIF orientation; alpha is dropped, grey is repeated,
//! palettes are looked up; 16-bit colour keeps its high byte, 16-bit grey is clipped at 255
//! (that is what `transformers.image_utils.load_image` yields, so models have seen it).

use image::{DynamicImage, ImageDecoder, ImageReader, metadata::Orientation};
use std::io::Cursor;

/// An 8-bit RGB image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl RgbImage {
    /// An image from its rows, `[height, width, 3]`.
    ///
    /// Returns `None` if a side is 0 or `pixels` is not `height * width * 3` long.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Option<Self> {
        (width > 0 && height > 0 && pixels.len() == width * height * 3).then_some(Self {
            width,
            height,
            pixels,
        })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Rows of RGB values, `[height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

/// Larger images count as decompression bombs, as in Pillow; pixels.
const MOST_PIXELS: u64 = 178_956_970;

/// What the header of an image says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Upright width and height in pixels.
    pub(crate) size: (usize, usize),
    /// Whether it is grayscale of 16 bits.
    pub(crate) deep_grey: bool,
    /// Length of the encoded image, bytes.
    pub(crate) bytes: usize,
}

/// Reads the header only; the error is the decoder's reason.
///
/// # Errors
/// A few words, also for more pixels than are decoded.
pub(crate) fn header(bytes: &[u8]) -> Result<Header, String> {
    let (decoder, orientation) = decoder(bytes)?;
    let (width, height) = decoder.dimensions();
    let turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let (width, height) = (width as usize, height as usize);
    Ok(Header {
        size: if turned { (height, width) } else { (width, height) },
        deep_grey: decoder.color_type() == image::ColorType::L16,
        bytes: bytes.len(),
    })
}

/// Decodes to RGB; the error is the decoder's reason.
///
/// # Errors
/// A few words, also for a JPEG that was cut off.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    if bytes.starts_with(&[0xff, 0xd8]) && !ends_as_jpeg(bytes) {
        return Err("the file is cut off: the end marker of a JPEG is missing".into());
    }
    let (decoder, orientation) = decoder(bytes)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
    picture.apply_orientation(orientation);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let high = |v: u16| (v >> 8) as u8;
    let pixels: Vec<u8> = match picture {
        DynamicImage::ImageRgb8(image) => image.into_raw(),
        DynamicImage::ImageRgba8(image) => image.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]).collect(),
        DynamicImage::ImageLuma8(image) => image.pixels().flat_map(|p| [p.0[0]; 3]).collect(),
        DynamicImage::ImageLumaA8(image) => image.pixels().flat_map(|p| [p.0[0]; 3]).collect(),
        DynamicImage::ImageLuma16(image) => image.pixels().flat_map(|p| [p.0[0].min(255) as u8; 3]).collect(),
        DynamicImage::ImageLumaA16(image) => image.pixels().flat_map(|p| [high(p.0[0]); 3]).collect(),
        DynamicImage::ImageRgb16(image) => image.pixels().flat_map(|p| p.0.map(high)).collect(),
        DynamicImage::ImageRgba16(image) => {
            image.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]].map(high)).collect()
        }
        other => return Err(format!("pixels of type {:?}", other.color())),
    };
    RgbImage::new(width, height, pixels).ok_or_else(|| format!("{width} x {height} pixels"))
}

fn decoder(bytes: &[u8]) -> Result<(impl ImageDecoder + '_, Orientation), String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    if reader.format().is_none() {
        if let Some((what, remedy)) = crate::foreign::foreign(bytes) {
            return Err(format!("{what}: {remedy}"));
        }
        let start: String = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
        return Err(if bytes.is_empty() {
            "the file is empty".into()
        } else {
            format!("no known image format (it begins with the bytes {start})")
        });
    }
    let mut decoder = reader.into_decoder().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(format!("{width} x {height} pixels, more than the {MOST_PIXELS} that are decoded"));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, orientation))
}

/// Whether an end-of-image marker follows the first scan.
///
/// The decoder fills up the rows that a shortened file lacks, and a model would learn from grey.
/// Segments are skipped by their lengths: a thumbnail in one has markers of its own.
fn ends_as_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            0xff => at += 1,
            0xda => return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}
