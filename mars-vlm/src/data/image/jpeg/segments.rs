//! The segments before the first scan of a JPEG, which have lengths.

/// Markers and contents, as far as they are whole. A thumbnail in one has markers of its own, which do not count.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 2;
    std::iter::from_fn(move || {
        while bytes.get(at..at + 2) == Some(&[0xff, 0xff]) {
            at += 1;
        }
        let &[0xff, marker, high, low] = bytes.get(at..at + 4)? else { return None };
        let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
        let content = bytes.get(at + 4..end).filter(|_| marker != START_OF_SCAN)?;
        at = end;
        Some((marker, content))
    })
}

const START_OF_SCAN: u8 = 0xda;

/// Whether its scans refine each other.
pub(super) fn is_progressive(bytes: &[u8]) -> bool {
    segments(bytes).any(|(marker, _)| marker == 0xc2)
}

/// The EXIF data, with the name that they begin with.
pub(super) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut all =
        segments(bytes).filter(|(marker, content)| *marker == 0xe1 && content.starts_with(b"Exif\0\0"));
    all.next().map(|(_, content)| content)
}

/// The XMP: of several the last, as Pillow does.
pub(super) fn xmp(bytes: &[u8]) -> Option<&[u8]> {
    let all = segments(bytes).filter(|(marker, _)| *marker == 0xe1);
    all.filter_map(|(_, content)| content.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0")).last()
}

/// At most so many scans: that marker occurs in no data of pixels.
pub(super) fn scans(bytes: &[u8]) -> u64 {
    bytes.windows(2).filter(|pair| *pair == [0xff, START_OF_SCAN]).count() as u64
}
