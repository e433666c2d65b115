//! Words of a shell.

use std::path::Path;

/// A word that a shell reads as `text`: as it is where nothing in it means anything, otherwise in single quotes.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The word of a path, for commands that are shown: none that a program takes for an option.
pub(crate) fn path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.starts_with('-') { word(&format!("./{text}")) } else { word(&text) }
}

/// Words with blanks between them.
pub(crate) fn words<T: AsRef<str>>(all: impl IntoIterator<Item = T>) -> String {
    all.into_iter().map(|one| word(one.as_ref())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{path, words};
    use std::{path::Path, process::Command};

    #[test]
    fn a_path_is_no_option() {
        for (name, shown) in [("-run", "./-run"), ("-a b", "'./-a b'"), ("run-1", "run-1"), ("/-x", "/-x")] {
            assert_eq!(path(Path::new(name)), shown);
        }
    }

    #[test]
    fn a_shell_reads_what_was_written() {
        let all =
            ["plain/path-1.json", "two words", "it's", "$HOME", "{r.ve}", "a\nb", "", "`x`", "\"", "\\", "*"];
        let script = format!("printf '<%s>' {}", words(all));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let expected: String = all.iter().map(|one| format!("<{one}>")).collect();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}
