//! Last lines that a killed trainer has left without their end.

use crate::Error;
use mars_lora::stored::regular;
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

/// Ends the last line of the log `path` where it has no end, so that what is appended later begins a line of its own: one that
/// `is_whole` gets its line break, another is cut off.
///
/// # Errors
/// [`Error::Io`], also for a log of more than `longest` bytes.
pub(super) fn end_last_line(path: &Path, longest: u64, is_whole: fn(&[u8]) -> bool) -> Result<(), Error> {
    let bytes = regular::read(path, longest).map_err(Error::io("read", path))?;
    let ended = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let rest = &bytes[ended..];
    let end = || -> io::Result<()> {
        let file = if is_whole(rest) {
            let mut file = File::options().append(true).open(path)?;
            file.write_all(b"\n")?;
            file
        } else {
            let file = File::options().write(true).open(path)?;
            file.set_len(ended as u64)?;
            file
        };
        file.sync_all()
    };
    if rest.is_empty() { Ok(()) } else { end().map_err(Error::io("end the last line of", path)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::end_last_line;
    use std::fs;

    #[test]
    fn a_last_line_is_ended_or_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let is_number = |line: &[u8]| std::str::from_utf8(line).is_ok_and(|line| line.parse::<f64>().is_ok());
        for (before, after) in [
            (&b"1\n2\n"[..], &b"1\n2\n"[..]),
            (b"1\n2", b"1\n2\n"),
            (b"1\nx", b"1\n"),
            (b"1\n\xc3", b"1\n"),
            (b"x", b""),
            (b"", b""),
        ] {
            fs::write(&path, before).unwrap();
            end_last_line(&path, 9, is_number).unwrap();
            assert_eq!(fs::read(&path).unwrap(), after);
        }
    }
}
