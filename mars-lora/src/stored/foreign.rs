//! Files that are not what their name says, recognised by their first bytes.

/// How git-lfs begins the text that it leaves in place of a file (and its forerunner did).
const POINTERS: [&[u8]; 2] =
    [b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"];

/// What a file is that begins with `start`, with a remedy, where it is a known kind of something else: 48 bytes are
/// enough. None for safetensors, JSON and what is not known.
pub fn foreign(start: &[u8]) -> Option<&'static str> {
    let begins = |with: &[u8]| start.starts_with(with);
    if POINTERS.iter().any(|pointer| begins(pointer)) {
        return Some(
            "it is a git-lfs pointer, a text that stands for the file, not the file itself: run `git lfs pull` in \
             the repository, or download the file again",
        );
    }
    let text = start.iter().position(|b| !b.is_ascii_whitespace()).map_or(start, |at| &start[at..]);
    let page = |with: &[u8]| text.get(..with.len()).is_some_and(|own| own.eq_ignore_ascii_case(with));
    if page(b"<!doctype") || page(b"<html") || page(b"<?xml") {
        return Some("it is a web page that was saved instead of the file: download the file again");
    }
    if begins(b"PK\x03\x04") || begins(b"\x80\x02") || begins(b"\x80\x04") {
        return Some(
            "it begins as a pickle of torch.save does, which can run code and is not read: save it as safetensors",
        );
    }
    if begins(b"GGUF") {
        return Some("it is a GGUF file of llama.cpp: take the model that it was made from, in safetensors");
    }
    None
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
            assert!(foreign(start).is_some_and(|what| what.contains(part)), "{part}");
        }
        for start in [&b"{\"version\": 1}"[..], b"\x40\0\0\0\0\0\0\0{", b"", b"version https://"] {
            assert_eq!(foreign(start), None);
        }
    }
}
