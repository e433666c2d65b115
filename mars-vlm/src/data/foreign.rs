//! Files that hold something else than their names or settings say, told by their first bytes.

use mars_lora::stored::{Foreign, leftover};

/// First bytes, what begins with them, and the remedy.
const KNOWN: [(&[u8], &str, &str); 17] = [
    (b"PAR1", "a Parquet file", "name it .parquet, and no other format"),
    (b"ARROW1", "an Arrow file", "save the data set as Parquet or JSON lines (to_parquet, to_json)"),
    (
        b"\xff\xff\xff\xff",
        "an Arrow stream",
        "save the data set as Parquet or JSON lines (to_parquet, to_json)",
    ),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ\0", "an xz archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"PK\x03\x04", "a zip archive", "unpack it first; an archive of images is named apart from the data"),
    (b"SQLite format 3\0", "an SQLite database", "save the samples as JSON lines"),
    (b"\x80\x02", "a Python pickle", "save the samples as JSON lines"),
    (b"\x80\x04", "a Python pickle", "save the samples as JSON lines"),
    (b"\x80\x05", "a Python pickle", "save the samples as JSON lines"),
    (b"\x93NUMPY", "a NumPy array", "save the samples as JSON lines"),
    (b"%PDF", "a PDF document", "give a file of samples"),
    (b"\x89PNG", "an image", "give the file of samples that names its images"),
    (b"\xff\xd8\xff", "an image", "give the file of samples that names its images"),
];

/// What a file that begins with `head` is, if it is known and none of the formats of data sets.
pub(crate) fn foreign(head: &[u8]) -> Option<Foreign> {
    let known = KNOWN.into_iter().find(|(start, ..)| head.starts_with(start));
    leftover(head).or(known.map(|(_, what, remedy)| Foreign { what, remedy }))
}

/// Whether the first line of a text is that of a table: two fields or more between commas or tabs.
pub(super) fn table(text: &str) -> Option<&'static str> {
    let line = text.lines().next()?;
    let fields = |separator: char| line.split(separator).filter(|field| !field.trim().is_empty()).count();
    match line {
        _ if fields('\t') > 1 => Some("a table of values between tabs (TSV)"),
        _ if fields(',') > 1 => Some("a table of values between commas (CSV)"),
        _ => None,
    }
}
