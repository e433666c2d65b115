//! The orientation in XMP, which counts where EXIF data have none: cameras write EXIF, some editors only this.

/// The digit of the first `tiff:Orientation` that has one, as an attribute (`tiff:Orientation="6"`) or an element
/// (`<tiff:Orientation>6`), as Pillow's `getexif` finds it: by its text, whatever the XML around it.
pub(super) fn orientation(xmp: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"tiff:Orientation";
    let ends = xmp.windows(NAME.len()).enumerate().filter(|(_, part)| *part == NAME);
    ends.map(|(start, _)| &xmp[start + NAME.len()..]).find_map(|rest| {
        let digit = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?.first()?;
        digit.is_ascii_digit().then(|| u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::orientation;

    /// What Pillow 13.0.0 finds in the same texts: `tiff:Orientation(="|>)([0-9])`.
    #[test]
    fn the_first_digit_of_either_form_counts() {
        for (xmp, found) in [
            (r#"<rdf:Description tiff:Orientation="6"/>"#, Some(6)),
            ("<tiff:Orientation>8</tiff:Orientation>", Some(8)),
            (r#"tiff:Orientation="0" tiff:Orientation="6""#, Some(0)),
            (r#"tiff:Orientation="9""#, Some(9)),
            (r#"tiff:Orientation="60""#, Some(6)),
            (r#"tiff:Orientation="" <tiff:Orientation>3<"#, Some(3)),
            (r#"tiff:Orientationtiff:Orientation="5""#, Some(5)),
            ("tiff:Orientation='6'", None),
            (r#"tiff:Orientation=" 6""#, None),
            (r#"tiff:orientation="6""#, None),
            (r#"exif:Orientation="6""#, None),
            (r#"tiff:Orientation=""#, None),
            ("tiff:Orientation", None),
            ("", None),
        ] {
            assert_eq!(orientation(xmp.as_bytes()), found, "{xmp}");
        }
        assert_eq!(orientation(b"\xff\0tiff:Orientation=\"7\""), Some(7));
    }
}
