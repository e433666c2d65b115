//! Which kind of image bytes are.

use super::decode::Stored;
use super::{bmp, gif, jpeg, png, pnm, tiff, webp};

/// How images of a kind are read.
pub(super) struct Kind {
    /// Whether bytes begin like an image of this kind.
    begins: fn(&[u8]) -> bool,
    /// Reads the header.
    pub(super) header: fn(&[u8]) -> Result<Stored, String>,
    /// Decodes an image whose header has been read to RGB, `[height, width, 3]`, not turned upright.
    pub(super) pixels: fn(&[u8], &Stored) -> Result<Vec<u8>, String>,
}

const KINDS: [Kind; 7] = [
    Kind { begins: |b| b.starts_with(b"\xff\xd8"), header: jpeg::header, pixels: jpeg::pixels },
    Kind { begins: |b| b.starts_with(b"\x89PNG\r\n\x1a\n"), header: png::header, pixels: png::pixels },
    Kind { begins: webp::begins, header: webp::header, pixels: webp::pixels },
    Kind {
        begins: |b| b.starts_with(b"GIF87a") || b.starts_with(b"GIF89a"),
        header: gif::header,
        pixels: gif::pixels,
    },
    Kind { begins: |b| b.starts_with(b"BM"), header: bmp::header, pixels: bmp::pixels },
    Kind { begins: tiff::begins, header: tiff::header, pixels: tiff::pixels },
    Kind { begins: pnm::begins, header: pnm::header, pixels: pnm::pixels },
];

/// The kind of an image by its first bytes.
///
/// # Errors
/// A few words about bytes that begin like no image.
pub(super) fn kind(bytes: &[u8]) -> Result<&'static Kind, String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    KINDS.iter().find(|kind| (kind.begins)(bytes)).ok_or_else(|| {
        if let Some(other) = mars_lora::stored::leftover(bytes) {
            return other.to_string();
        }
        let start: String = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
        format!("no known image format (it begins with the bytes {start})")
    })
}
