//! Keys of patterns that are names and no more: they are compared with the ends of paths, without an automaton.

use std::collections::HashMap;

/// Keys without operators.
///
/// They match what `(.*\.)?(key)$` does: the whole path or its end after a dot, where a dot of the key stands for any
/// character but a line break, and `\.` and `\-` for themselves.
#[derive(Clone, Debug)]
pub(super) struct PathEnds<T> {
    /// By the number of characters.
    keys: HashMap<usize, Vec<Key<T>>>,
}

#[derive(Clone, Debug)]
struct Key<T> {
    place: usize,
    /// `None` for any character.
    name: Vec<Option<char>>,
    value: T,
}

impl<T> Default for PathEnds<T> {
    fn default() -> Self {
        Self { keys: HashMap::new() }
    }
}

impl<T: Copy> PathEnds<T> {
    /// Adds a key with its place in the file, behind those before it; false if it has operators.
    pub(super) fn insert(&mut self, key: &str, place: usize, value: T) -> bool {
        let Some(name) = name(key) else { return false };
        self.keys.entry(name.len()).or_default().push(Key { place, name, value });
        true
    }

    /// Place and value of the first key that matches `path`.
    pub(super) fn first(&self, path: &str) -> Option<(usize, T)> {
        // Neither `.*` nor a key matches a line break.
        if path.contains('\n') {
            return None;
        }
        let path: Vec<char> = path.chars().collect();
        let starts = (0..=path.len()).filter(|at| *at == 0 || path[at - 1] == '.');
        let found = starts.filter_map(|at| {
            let end = &path[at..];
            let same =
                |key: &&Key<T>| key.name.iter().zip(end).all(|(own, c)| own.is_none_or(|own| own == *c));
            self.keys.get(&end.len())?.iter().find(same)
        });
        found.min_by_key(|key| key.place).map(|key| (key.place, key.value))
    }
}

/// The characters of a key, or nothing if it has operators.
fn name(key: &str) -> Option<Vec<Option<char>>> {
    let mut chars = key.chars();
    let mut name = Vec::with_capacity(key.len());
    while let Some(c) = chars.next() {
        name.push(match c {
            '.' => None,
            '\\' => Some(chars.next().filter(|c| ['.', '-'].contains(c))?),
            '_' | '-' => Some(c),
            _ if c.is_ascii_alphanumeric() => Some(c),
            _ => return None,
        });
    }
    Some(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::allowance::Allowance;
    use super::super::python::PythonRegex;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_in_the_file_counts() {
        let mut ends = PathEnds::default();
        for (place, key) in ["q.proj", "layers.1.q_proj", "q_proj", "a|b"].into_iter().enumerate() {
            assert_eq!(ends.insert(key, place, place), key != "a|b");
        }
        assert_eq!(ends.first("model.layers.1.q_proj"), Some((0, 0)));
        assert_eq!(ends.first("model.layers.1.k_proj"), None);
        assert_eq!(ends.first("model.layers.1xq_proj"), Some((1, 1)));
        assert_eq!(ends.first("model.layers.1.qq_proj"), None);
    }

    proptest! {
        /// Short texts of few characters, so that many match.
        #[test]
        fn it_decides_as_the_expression_does(
            key in r"([a1_.-]|\\\.|\\-){0,6}",
            paths in prop::collection::vec("[a1_.\\-b\n]{0,8}", 1..40),
            from in 0..8_usize,
        ) {
            let mut ends = PathEnds::default();
            prop_assert!(ends.insert(&key, 0, ()));
            let regex = PythonRegex::tail(&key, &mut Allowance::default()).unwrap();
            // The key itself at the end, after what may or may not be a dot.
            let own = key.replace('\\', "");
            let more = paths.iter().map(|path| format!("{}{own}", &path[..from.min(path.len())]));
            for path in more.chain(paths.iter().cloned()) {
                prop_assert_eq!(ends.first(&path).is_some(), regex.matches(&path).unwrap(), "{:?} {:?}", key, path);
            }
        }
    }
}
