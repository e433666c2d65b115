//! Questions about a canvas with their answers: those of pre-training and those of the downstream task.

use rand::Rng;

use super::words::NUMBERS;

const POSITIONS: [&str; 4] = ["top-left", "top-right", "bottom-left", "bottom-right"];
const LINES: [(&str, [usize; 2]); 4] =
    [("top", [0, 1]), ("bottom", [2, 3]), ("left", [0, 2]), ("right", [1, 3])];

/// What is asked; every kind is its own small task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The digit in one cell.
    What,
    /// Both digits of a row or column.
    Read,
    /// All four digits.
    All,
    /// The larger digit of a row or column.
    Largest,
    /// How many of the four are even.
    Even,
    /// The sum of a row or column.
    Sum,
    /// One cell, or a row or column, in words.
    Word,
    /// No image: digits into words, words into digits, sums of words.
    Text,
    /// The smaller digit of a row or column.
    Smallest,
    /// How many of the four are odd.
    Odd,
}

impl Kind {
    /// Its name, as in the ids of samples.
    pub fn name(self) -> &'static str {
        match self {
            Self::What => "what",
            Self::Read => "read",
            Self::All => "all",
            Self::Largest => "largest",
            Self::Even => "even",
            Self::Sum => "sum",
            Self::Word => "word",
            Self::Text => "text",
            Self::Smallest => "smallest",
            Self::Odd => "odd",
        }
    }
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub kind: Kind,
    /// In words of the vocabulary.
    pub text: String,
    /// In words or digits of the vocabulary.
    pub answer: String,
}

fn question(kind: Kind, text: String, answer: String) -> Question {
    Question { kind, text, answer }
}

/// A question of pre-training, mostly answered in digits; `None` for a kind of the downstream task alone.
pub fn pretraining(kind: Kind, labels: &[u8; 4], rng: &mut impl Rng) -> Option<Question> {
    let cell = rng.random_range(0..4);
    let (line, cells) = LINES[rng.random_range(0..4)];
    let [a, b] = cells.map(|c| labels[c]);
    let (text, answer) = match kind {
        Kind::What => (format!("what digit is {} ?", POSITIONS[cell]), labels[cell].to_string()),
        Kind::Read => (format!("read {line}"), format!("{a} {b}")),
        Kind::All => ("read all".into(), labels.map(|l| l.to_string()).join(" ")),
        Kind::Largest => (format!("largest digit of {line} ?"), a.max(b).to_string()),
        Kind::Even => ("how many even ?".into(), count(labels, 0).to_string()),
        Kind::Sum => (format!("sum of {line} ?"), (a + b).to_string()),
        Kind::Word if rng.random_bool(0.5) => (format!("write {} word", POSITIONS[cell]), word(labels[cell])),
        Kind::Word => (format!("write {line} word"), format!("{} {}", word(a), word(b))),
        Kind::Text => return Some(text_only(rng)),
        Kind::Smallest | Kind::Odd => return None,
    };
    Some(question(kind, text, answer))
}

/// A question without a picture, so that number words mean something before they are answers.
fn text_only(rng: &mut impl Rng) -> Question {
    let [a, b]: [usize; 2] = [rng.random_range(0..10), rng.random_range(0..10)];
    let (text, answer) = match rng.random_range(0..3) {
        0 => (format!("write {a} word"), NUMBERS[a].to_string()),
        1 => (format!("write {} digit", NUMBERS[a]), a.to_string()),
        _ => (format!("{} plus {}", NUMBERS[a], NUMBERS[b]), NUMBERS[a + b].to_string()),
    };
    question(Kind::Text, text, answer)
}

/// The kinds of the downstream task.
pub const DOWNSTREAM: [Kind; 5] = [Kind::What, Kind::Read, Kind::Sum, Kind::Smallest, Kind::Odd];

/// A question of the downstream task, answered in number words: `kind` is one of [`DOWNSTREAM`].
///
/// Every variant of the question (each cell, each row and column) is one value of `variant`, 0..4.
pub fn downstream(kind: Kind, variant: usize, labels: &[u8; 4]) -> Option<Question> {
    let (line, cells) = LINES[variant];
    let [a, b] = cells.map(|c| labels[c]);
    let (text, answer) = match kind {
        Kind::What => (format!("say the number at {}", POSITIONS[variant]), word(labels[variant])),
        Kind::Read => (format!("say {line}"), format!("{} {}", word(a), word(b))),
        Kind::Sum => (format!("say the sum in {line}"), word(a + b)),
        Kind::Smallest => (format!("say the smallest in {line}"), word(a.min(b))),
        Kind::Odd => ("say how many odd".into(), word(count(labels, 1))),
        Kind::All | Kind::Largest | Kind::Even | Kind::Word | Kind::Text => return None,
    };
    Some(question(kind, text, answer))
}

fn word(n: u8) -> String {
    NUMBERS[usize::from(n)].to_string()
}

/// How many labels leave `remainder` when halved.
fn count(labels: &[u8; 4], remainder: u8) -> u8 {
    labels.iter().map(|l| u8::from(l % 2 == remainder)).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::digits::{task::EMBEDDED, words};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::HashSet;

    #[test]
    fn answers_are_right() {
        let labels = [7, 2, 0, 9];
        let answer = |kind, variant| downstream(kind, variant, &labels).unwrap().answer;
        assert_eq!([0, 1, 2, 3].map(|v| answer(Kind::What, v)), ["seven", "two", "zero", "nine"]);
        assert_eq!(
            [0, 1, 2, 3].map(|v| answer(Kind::Read, v)),
            ["seven two", "zero nine", "seven zero", "two nine"]
        );
        assert_eq!([0, 1, 2, 3].map(|v| answer(Kind::Sum, v)), ["nine", "nine", "seven", "eleven"]);
        assert_eq!([0, 1, 2, 3].map(|v| answer(Kind::Smallest, v)), ["two", "zero", "zero", "two"]);
        assert_eq!(answer(Kind::Odd, 0), "two");
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        assert_eq!(pretraining(Kind::All, &labels, &mut rng).unwrap().answer, "7 2 0 9");
        assert_eq!(pretraining(Kind::Even, &labels, &mut rng).unwrap().answer, "2");
        for _ in 0..20 {
            let q = pretraining(Kind::Largest, &labels, &mut rng).unwrap();
            let wanted = match q.text.as_str() {
                "largest digit of top ?" | "largest digit of left ?" => "7",
                _ => "9",
            };
            assert_eq!(q.answer, wanted, "{}", q.text);
        }
    }

    #[test]
    fn every_word_is_in_the_vocabulary() {
        let known: HashSet<_> = words::all().into_iter().collect();
        assert_eq!(known.len(), words::all().len(), "a word is listed twice");
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let kinds =
            [Kind::What, Kind::Read, Kind::All, Kind::Largest, Kind::Even, Kind::Sum, Kind::Word, Kind::Text];
        for i in 0..600 {
            let labels: [u8; 4] = std::array::from_fn(|_| rng.random_range(0..10));
            let asked = pretraining(kinds[i % kinds.len()], &labels, &mut rng).unwrap();
            for q in EMBEDDED.about(&labels, 4, &mut rng).into_iter().chain([asked]) {
                let all = format!("{} {}", q.text, q.answer);
                let spelled = |w: &str| w.chars().all(|c| c.is_ascii_digit());
                assert!(all.split(' ').all(|w| known.contains(w) || spelled(w)), "{all}");
            }
        }
        assert!((0..10).all(|digit| known.contains(digit.to_string().as_str())));
    }
}
