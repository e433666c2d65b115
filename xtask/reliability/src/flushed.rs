//! Whether what is put in place survives a loss of power: flushed before the rename, and the rename flushed too.

use crate::Operation;

/// What a log of operations shows to be unsafe: a rename of something of which the last write was not flushed, or after which
/// the directory was not. Names under construction are those of `mars_lora::files`, `.tmp-<number>-<final name>`.
pub fn unflushed(operations: &[Operation]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, renamed) in operations.iter().enumerate().filter(|(_, one)| one.name == "rename") {
        let (directory, name) = renamed.path.rsplit_once('/').unwrap_or((".", &renamed.path));
        // Of this rename: what came after an earlier one of the same name.
        let again = |one: &Operation| one.name == "rename" && one.path == renamed.path;
        let begin = operations[..at].iter().rposition(again).map_or(0, |earlier| earlier + 1);
        let before = &operations[begin..at];
        let mut written: Vec<&str> = before
            .iter()
            .filter(|one| ["create", "write"].contains(&one.name.as_str()))
            .map(|one| one.path.as_str())
            .filter(|path| is_under_construction(path, directory, name))
            .collect();
        written.sort_unstable();
        written.dedup();
        for path in written {
            let last = |of: &[&str]| {
                before.iter().rposition(|one| one.path == path && of.contains(&one.name.as_str()))
            };
            if last(&["fsync"]) < last(&["create", "write"]) {
                found.push(format!("{path} is renamed to {} before it is flushed", renamed.path));
            }
        }
        let until = operations[at + 1..].iter().take_while(|one| one.name != "rename");
        let flushed = until.filter(|one| one.name == "fsync").any(|one| one.path == directory);
        if !flushed {
            found.push(format!("the rename to {} is not flushed", renamed.path));
        }
    }
    found
}

/// Whether `path` is what becomes `name` in `directory`, or a file in that.
fn is_under_construction(path: &str, directory: &str, name: &str) -> bool {
    let inside = match directory {
        "." => Some(path),
        directory => path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')),
    };
    let first = inside.and_then(|inside| inside.split('/').next()).unwrap_or_default();
    let of = first.strip_prefix(".tmp-").and_then(|rest| rest.split_once('-'));
    of.is_some_and(|(_, of)| of == name)
}

#[cfg(test)]
mod tests {
    use super::unflushed;
    use crate::Operation;

    fn log(lines: &[&str]) -> Vec<Operation> {
        let operation = |(number, line): (usize, &&str)| {
            let (name, path) = line.split_once(' ').unwrap_or((line, ""));
            Operation { number, name: name.to_owned(), path: path.to_owned() }
        };
        (1..).zip(lines).map(operation).collect()
    }

    #[test]
    fn both_flushes_are_missed() {
        let good =
            ["create out/.tmp-1-a", "write out/.tmp-1-a", "fsync out/.tmp-1-a", "rename out/a", "fsync out"];
        assert!(unflushed(&log(&good)).is_empty());
        for (without, said) in [(2, "before it is flushed"), (4, "is not flushed")] {
            let mut lines = good.to_vec();
            lines.remove(without);
            assert!(unflushed(&log(&lines)).concat().contains(said), "{lines:?}");
        }
        let late = ["create .tmp-1-a", "fsync .tmp-1-a", "write .tmp-1-a", "rename a", "fsync ."];
        assert_eq!(unflushed(&log(&late)).len(), 1);
        let folder = ["create out/.tmp-7-step-4/x", "rename out/step-4", "fsync out"];
        assert_eq!(unflushed(&log(&folder)).len(), 1);
    }
}
