//! Files that are not what their name says, recognised by their first bytes.

use std::fmt;

/// How git-lfs begins the text that it leaves in place of a file (and its forerunner did).
const POINTERS: [&[u8]; 2] =
    [b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"];

/// What a file is instead of what its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// As in "it is ..".
    pub what: &'static str,
    /// What the user can do.
    pub remedy: &'static str,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is {}: {}", self.what, self.remedy)
    }
}

/// What downloads leave in place of any file, if a file begins with `start` that is such: 64 bytes are enough.
pub fn leftover(start: &[u8]) -> Option<Foreign> {
    if POINTERS.iter().any(|pointer| start.starts_with(pointer)) {
        return Some(Foreign {
            what: "a git-lfs pointer, a text that stands for the file, not the file itself",
            remedy: "run `git lfs pull` in the repository, or download the file again",
        });
    }
    let text = start.trim_ascii_start();
    let page = |with: &[u8]| text.get(..with.len()).is_some_and(|own| own.eq_ignore_ascii_case(with));
    let is_page = page(b"<!doctype html") || page(b"<html");
    let (what, remedy) = ("a web page that was saved instead of the file", "download the file again");
    is_page.then_some(Foreign { what, remedy })
}

/// What a file of weights or their settings is that begins with `start`, where it is a known kind of something else: 64
/// bytes are enough. None for safetensors, JSON and what is not known.
pub fn foreign(start: &[u8]) -> Option<Foreign> {
    let begins = |with: &[u8]| start.starts_with(with);
    if let Some(found) = leftover(start) {
        return Some(found);
    }
    if start.trim_ascii_start().starts_with(b"<?xml") {
        return Some(Foreign {
            what: "an XML document that was saved instead of the file, as some servers answer with errors",
            remedy: "download the file again",
        });
    }
    if begins(b"PK\x03\x04") || begins(b"\x80\x02") || begins(b"\x80\x04") {
        return Some(Foreign {
            what: "a pickle of torch.save, which can run code and is not read",
            remedy: "save it as safetensors",
        });
    }
    begins(b"GGUF").then_some(Foreign {
        what: "a GGUF file of llama.cpp",
        remedy: "take the model that it was made from, in safetensors",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_kinds_are_known_by_their_beginning() {
        for (start, part) in [
            (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0"[..], "git-lfs"),
            (b"\n <!DOCTYPE html>", "web page"),
            (b"<HTML>", "web page"),
            (b"PK\x03\x04abc", "pickle"),
            (b"GGUF\x03\0\0\0", "GGUF"),
        ] {
            assert!(foreign(start).is_some_and(|found| found.to_string().contains(part)), "{part}");
        }
        for start in [&b"{\"version\": 1}"[..], b"\x40\0\0\0\0\0\0\0{", b"", b"version https://"] {
            assert_eq!(foreign(start), None);
        }
    }
}
