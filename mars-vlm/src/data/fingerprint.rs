//! The digest of a data set, so that results on other samples are never taken for results on these.

use super::{
    sample::{Part, Role, Sample},
    store::ImageStore,
};
use crate::Error;
use blake3::Hasher;

/// Digests of a data set and of what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints {
    /// That of the whole, as [`fingerprint`] has it.
    pub all: String,
    /// 128 bits of BLAKE3 for each sample, in order: equal where turns and images are.
    pub samples: Vec<[u8; 16]>,
}

/// Digest of `samples`: conversations and the contents of their images, in order; 16 hexadecimal digits (64 bits of
/// BLAKE3). Ids, file names and positions in files do not count, nor how an image is packed.
///
/// Images whose digest `store` knows already, from a split or because they were decoded, are not read again.
///
/// What is hashed, sample by sample: for each turn the role, a 0 byte, the parts as text (below), a 0 byte, and a 2 byte
/// if it is an answer that is not learnt; for each
/// image the 32 bytes of [`ImageStore::fingerprint`]; a 1 byte. The parts of a turn are written
/// `[Image, Text("What \"is\" it?")]`, with the escapes of Rust string literals.
///
/// # Errors
/// Those of [`ImageStore::fingerprint`].
pub fn fingerprint(samples: &[Sample], store: &ImageStore) -> Result<String, Error> {
    Ok(fingerprints(samples, store)?.all)
}

/// The digest of `samples`, and that of each of them.
///
/// # Errors
/// As for [`fingerprint`].
pub fn fingerprints(samples: &[Sample], store: &ImageStore) -> Result<Fingerprints, Error> {
    let mut all = Hasher::new();
    let mut each = Vec::with_capacity(samples.len());
    let (mut hashed, mut text) = (Vec::new(), String::new());
    for sample in samples {
        hashed.clear();
        for turn in &sample.turns {
            text.clear();
            write_parts(&turn.parts, &mut text);
            for bytes in [turn.role.name(), &text] {
                hashed.extend_from_slice(bytes.as_bytes());
                hashed.push(0);
            }
            if turn.role == Role::Assistant && !turn.learnt {
                hashed.push(2);
            }
        }
        for image in &sample.images {
            hashed.extend_from_slice(&store.fingerprint(image)?);
        }
        hashed.push(1);
        all.update(&hashed);
        let mut digest = [0; 16];
        digest.copy_from_slice(&blake3::hash(&hashed).as_bytes()[..16]);
        each.push(digest);
    }
    Ok(Fingerprints { all: all.finalize().to_hex()[..16].to_owned(), samples: each })
}

/// Appends `[Image, Text("..")]`.
///
/// Campaigns on disk hold digests of this text, which was at first the `Debug` print of the parts. It is written out
/// here so that neither a renamed variant nor a field more can change the digests of data that did not change.
fn write_parts(parts: &[Part], out: &mut String) {
    out.push('[');
    for (k, part) in parts.iter().enumerate() {
        if k > 0 {
            out.push_str(", ");
        }
        match part {
            Part::Image => out.push_str("Image"),
            Part::Text(text) => {
                out.push_str("Text(\"");
                for c in text.chars() {
                    match c {
                        // The one character that needs an escape in a character literal only.
                        '\'' => out.push(c),
                        c => out.extend(c.escape_debug()),
                    }
                }
                out.push_str("\")");
            }
        }
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parts: &[Part]) -> String {
        let mut out = String::new();
        write_parts(parts, &mut out);
        out
    }

    #[test]
    fn every_character_is_written_as_debug_prints_it() {
        for c in '\0'..=char::MAX {
            // Combining characters are escaped wherever they stand, so one in the middle is tested.
            let parts = [Part::Text(format!("a{c}'"))];
            assert_eq!(written(&parts), format!("{parts:?}"));
        }
    }

    #[test]
    fn parts_are_written_as_debug_prints_them() {
        let text = |text: &str| Part::Text(text.to_string());
        let cases: [&[Part]; 5] = [
            &[],
            &[Part::Image],
            &[text("")],
            &[Part::Image, text("What \"is\" it?\n'\\'"), Part::Image, Part::Image, text("e\u{301}, 東京")],
            &[text("], Image"), text("\u{301}\u{301} 🎲\r\t\u{0}\u{7f}\u{200b}")],
        ];
        for parts in cases {
            assert_eq!(written(parts), format!("{parts:?}"));
        }
    }
}
