//! The vocabulary of the tiny model: whole words, digits, punctuation and SmolVLM's special tokens.

use crate::idefics3::SPECIAL;

/// Numbers 0..=18 in words: a digit, or the sum of two.
pub const NUMBERS: [&str; 19] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
];

const TEMPLATE: [&str; 7] = ["\n", "User", "Assistant", ":", "?", ".", ","];
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const QUESTIONS: [&str; 22] = [
    "what",
    "digit",
    "is",
    "read",
    "all",
    "top",
    "bottom",
    "left",
    "right",
    "top-left",
    "top-right",
    "bottom-left",
    "bottom-right",
    "largest",
    "of",
    "how",
    "many",
    "even",
    "sum",
    "write",
    "word",
    "plus",
];
/// Words that only the downstream task uses: the model has never seen them.
const NEW: [&str; 7] = ["say", "the", "number", "at", "in", "smallest", "odd"];

/// Every token in the order of its id.
pub fn all() -> Vec<&'static str> {
    let groups: [&[&'static str]; 6] = [&SPECIAL, &TEMPLATE, &DIGITS, &NUMBERS, &QUESTIONS, &NEW];
    groups.concat()
}

/// Rows of the embedding table: the vocabulary rounded up to a multiple of 8.
pub fn table_size() -> usize {
    all().len().next_multiple_of(8)
}
