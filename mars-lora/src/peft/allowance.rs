//! How much memory the regular expressions of a file may take.
//!
//! A few bytes of text can ask for any amount (`\w{100000}`), and a file comes from a stranger. So what an expression
//! takes is estimated from its parts before it is compiled. The estimates lie above what compiled expressions of
//! `fancy-regex` 0.17 were measured to hold after they had been asked about the layers of a model.

use crate::Error;
use fancy_regex::Expr;

const KIB: usize = 1 << 10;
/// All expressions of a file, MiB: thousands of short ones.
const MOST: usize = 64;
/// An expression of one character.
const LEAST: usize = 16 * KIB;
/// One byte of text, of which a tree is made on the way.
const TEXT: usize = 64;
/// One literal character, one branch, one repetition.
const STATE: usize = 64;
/// A few ranges of characters, as `.` and `[^.]`.
const RANGES: usize = 2 * KIB;
/// `\d`, `\s`.
const SMALL_CLASS: usize = 16 * KIB;
/// `\w` and other classes of thousands of characters.
const CLASS: usize = 128 * KIB;
/// Longer patterns are shortened in messages.
const SHOWN: usize = 100;

/// What is left for further expressions, and the field that they stand in.
#[derive(Debug)]
pub(crate) struct Allowance {
    field: &'static str,
    left: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { field: "pattern", left: MOST << 20 }
    }
}

impl Allowance {
    /// The same, for the expressions of `field`.
    pub(crate) fn of(&mut self, field: &'static str) -> &mut Self {
        self.field = field;
        self
    }

    /// Takes off what `pattern` needs, of which `whole` is compiled, and returns it, bytes.
    ///
    /// # Errors
    /// [`Error::LargePattern`] if less is left, [`Error::BadPattern`] for what is no expression.
    pub(super) fn take(&mut self, pattern: &str, whole: &str) -> Result<usize, Error> {
        let text = LEAST.saturating_add(whole.len().saturating_mul(TEXT));
        if text > self.left {
            return Err(self.exceeded(pattern));
        }
        let tree = Expr::parse_tree(whole)
            .map_err(|e| Error::BadPattern { pattern: short(pattern), why: e.to_string() })?;
        let needed = text.saturating_add(memory(&tree.expr));
        self.left = self.left.checked_sub(needed).ok_or_else(|| self.exceeded(pattern))?;
        Ok(needed)
    }

    /// The error that `pattern` needs too much.
    pub(super) fn exceeded(&self, pattern: &str) -> Error {
        Error::LargePattern { field: self.field, pattern: short(pattern), most: MOST }
    }
}

/// The beginning of a pattern, for messages.
pub(super) fn short(pattern: &str) -> String {
    let mut chars = pattern.chars();
    let start: String = chars.by_ref().take(SHOWN).collect();
    if chars.next().is_some() { start + "..." } else { start }
}

/// The memory of an expression's parts, bytes.
fn memory(expr: &Expr) -> usize {
    let sum = |all: &[Expr]| all.iter().map(memory).fold(0, usize::saturating_add);
    match expr {
        Expr::Concat(all) => sum(all),
        Expr::Alt(all) => sum(all).saturating_add(all.len() * STATE),
        Expr::Group(one) | Expr::LookAround(one, _) | Expr::AtomicGroup(one) => {
            memory(one).saturating_add(STATE)
        }
        Expr::Repeat { child, lo, hi, .. } => {
            let copies = if *hi == usize::MAX { (*lo).max(1) } else { (*hi).max(1) };
            memory(child).saturating_add(STATE).saturating_mul(copies)
        }
        Expr::Conditional { condition, true_branch, false_branch } => [condition, true_branch, false_branch]
            .into_iter()
            .map(|one| memory(one))
            .fold(STATE, usize::saturating_add),
        Expr::Literal { val, casei } => val.len() * if *casei { 4 * STATE } else { STATE },
        Expr::Any { .. } => RANGES,
        Expr::Delegate { inner, casei, .. } => match inner.as_str() {
            r"\d" | r"\s" => SMALL_CLASS,
            _ if *casei || inner.contains(['\\', '&']) || inner.contains("[:") => CLASS,
            _ => RANGES + inner.len() * 4 * STATE,
        },
        _ => STATE,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// How many copies of a pattern are within the allowance.
    fn count(pattern: &str) -> usize {
        let mut allowance = Allowance::default();
        let whole = format!(r"^(?:.*\.)?(?:{pattern})$");
        (0..100_000).take_while(|_| allowance.take(pattern, &whole).is_ok()).count()
    }

    #[test]
    fn what_adapters_have_is_within_it_a_thousand_times_over() {
        for pattern in [
            r".*layers\.3\..*q_proj",
            r"model\.visual\.(?:.*\.)?(?:qkv|proj)",
            r"^model\.decoder\.layers\.0\.encoder_attn\.k_proj",
            r"(?!.*text).*\.q_proj",
            r"model\.layers\.(?:0|1|2|3|10|11|12)\.self_attn\.q_proj",
        ] {
            assert!(count(pattern) > 1000, "{pattern}: {}", count(pattern));
        }
        assert!(count(r"model\.layers\.\d+\.\w+_proj") > 100);
    }

    #[test]
    fn what_asks_for_much_is_not() {
        for pattern in [
            r"\w{1000}",
            r"[\w&&a]{1000}",
            r"((a{100}){100}){100}",
            r"(?:a?){10000000}",
            r"(?:a{4294967295}){4294967295}",
            r"(?<=\w{1,1000}b)c",
            r"(?=a)(?:(?i)ab){1000000}",
            &"a".repeat(4 << 20),
            &"(?=a)\\w*".repeat(1000),
        ] {
            assert_eq!(count(pattern), 0, "{}", short(pattern));
        }
        assert!(count(r"\w{120}") < 8);
    }
}
