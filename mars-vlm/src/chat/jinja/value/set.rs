//! Lists and mappings, which know how deeply they are nested.

use super::{
    super::{
        budget::{BYTES_A_STEP, Budget, DEEPEST_VALUE},
        fault::Fault,
    },
    Value, compare,
};

/// The items of a list or tuple.
#[derive(Debug)]
pub(in super::super) struct Seq {
    items: Vec<Value>,
    depth: u32,
}

/// A mapping in the order of insertion.
#[derive(Debug)]
pub(in super::super) struct Dict {
    entries: Vec<(Value, Value)>,
    depth: u32,
}

/// Levels of something around `items`.
pub(super) fn depth_above<'v>(items: impl Iterator<Item = &'v Value>) -> Result<u32, Fault> {
    let depth = 1 + items.map(Value::depth).max().unwrap_or(0);
    if depth > DEEPEST_VALUE {
        let what = format!("lists and mappings are nested more than {DEEPEST_VALUE} levels deep");
        return Err(Fault::new(what));
    }
    Ok(depth)
}

impl Seq {
    /// # Errors
    /// If it is nested too deeply.
    pub(in super::super) fn new(items: Vec<Value>) -> Result<Self, Fault> {
        let depth = depth_above(items.iter())?;
        Ok(Self { items, depth })
    }

    pub(in super::super) fn items(&self) -> &[Value] {
        &self.items
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }
}

impl Dict {
    /// The mapping of `pairs`; of equal keys the last counts, in the place of the first.
    ///
    /// # Errors
    /// For a key that is a list or mapping, and if it is nested too deeply.
    pub(in super::super) fn new(pairs: Vec<(Value, Value)>, budget: &Budget) -> Result<Self, Fault> {
        let mut entries: Vec<(Value, Value)> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            if matches!(key, Value::List(_) | Value::Dict(_)) {
                return Err(Fault::new(format!("unhashable type: '{}'", key.kind())));
            }
            match find(&entries, &key, budget)? {
                Some(at) => entries[at].1 = value,
                None => entries.push((key, value)),
            }
        }
        let depth = depth_above(entries.iter().flat_map(|(key, value)| [key, value]))?;
        Ok(Self { entries, depth })
    }

    pub(in super::super) fn entries(&self) -> &[(Value, Value)] {
        &self.entries
    }

    /// # Errors
    /// If no steps are left.
    pub(in super::super) fn get(&self, key: &Value, budget: &Budget) -> Result<Option<&Value>, Fault> {
        Ok(find(&self.entries, key, budget)?.map(|at| &self.entries[at].1))
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }
}

fn find(entries: &[(Value, Value)], key: &Value, budget: &Budget) -> Result<Option<usize>, Fault> {
    let most = if let Value::Str(text) = key { text.len() } else { 0 };
    budget.steps(entries.len() / 8)?;
    for (at, (one, _)) in entries.iter().enumerate() {
        if match (one, key) {
            // Texts of different lengths differ at once.
            (Value::Str(a), Value::Str(b)) if a.len() == most => {
                budget.steps(most / BYTES_A_STEP)?;
                a == b
            }
            (Value::Str(_), Value::Str(_)) => false,
            _ => compare::equal(one, key, budget)?,
        } {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
