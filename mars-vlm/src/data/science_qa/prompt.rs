//! How a ScienceQA problem becomes a question and an answer: the prompt formats of LLaVA's converter.

use crate::Error;
use std::{fmt, str::FromStr};

/// Most choices that have a letter.
pub(super) const MOST_CHOICES: usize = 26;

const INPUTS: [&str; 8] = ["QCM", "CQM", "QCML", "QCME", "QCMLE", "QCLM", "QCEM", "QCLEM"];
const OUTPUTS: [&str; 8] = ["A", "LA", "EA", "LEA", "ELA", "ALE", "AEL", "LEPA"];

/// A prompt format such as `QCM-LEA`: before the dash what the question shows, after it what the answer says.
///
/// Q is the question, C its context (the hint), M the lettered options, L the lecture, E the explanation (the
/// solution), A the answer; `LEPA` gives each part of the answer a line of its own. Default `QCM-LEA`.
///
/// Inputs: `QCM`, `CQM`, `QCML`, `QCME`, `QCMLE`, `QCLM`, `QCEM`, `QCLEM`; outputs: `A`, `LA`, `EA`, `LEA`, `ELA`,
/// `ALE`, `AEL`, `LEPA`. Data set: Lu et al. 2022, arXiv 2209.09513; formats: LLaVA, Liu et al. 2023, arXiv
/// 2304.08485.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFormat {
    input: String,
    output: String,
}

impl Default for PromptFormat {
    fn default() -> Self {
        Self { input: "QCM".into(), output: "LEA".into() }
    }
}

impl fmt::Display for PromptFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.input, self.output)
    }
}

impl FromStr for PromptFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name.split_once('-') {
            Some((input, output)) if INPUTS.contains(&input) && OUTPUTS.contains(&output) => {
                Ok(Self { input: input.into(), output: output.into() })
            }
            _ => Err(Error::Argument(format!(
                "there is no ScienceQA prompt format \"{name}\"; one of {}, a dash, and one of {}",
                INPUTS.join(", "),
                OUTPUTS.join(", ")
            ))),
        }
    }
}

/// The texts of a problem.
pub(super) struct Texts<'a> {
    /// Q.
    pub(super) question: &'a str,
    /// Empty if there is none.
    pub(super) hint: &'a str,
    /// M, without letters; at most [`MOST_CHOICES`].
    pub(super) choices: &'a [String],
    /// Position of the right choice, below [`MOST_CHOICES`].
    pub(super) answer: usize,
    /// L; empty if there is none.
    pub(super) lecture: &'a str,
    /// E; empty if there is none.
    pub(super) solution: &'a str,
}

impl PromptFormat {
    /// Question and answer of a problem.
    pub(super) fn texts(&self, of: &Texts<'_>) -> (String, String) {
        let options: Vec<String> =
            of.choices.iter().enumerate().map(|(k, choice)| format!("({}) {choice}", letter(k))).collect();
        let hint = if of.hint.trim().is_empty() { "N/A" } else { of.hint.trim() };
        let mut lines = Vec::new();
        for part in runs(&self.input) {
            match part {
                // A question that comes first needs no label.
                "Q" if lines.is_empty() => lines.push(of.question.to_string()),
                "Q" => lines.push(format!("Question: {}", of.question)),
                "C" => lines.push(format!("Context: {hint}")),
                "M" => lines.push(format!("Options: {}", options.join(" "))),
                reasons => lines.extend(because(reasons, of)),
            }
        }
        let verdict = format!("The answer is {}.", letter(of.answer));
        let answer = match self.output.as_str() {
            "LEPA" => {
                let labelled = [("LECTURE", of.lecture), ("SOLUTION", of.solution)].into_iter();
                let own = labelled.filter(|(_, text)| !text.trim().is_empty());
                let mut lines: Vec<String> = own.map(|(label, text)| format!("{label}: {text}")).collect();
                lines.push(format!("###\nANSWER: {}.", letter(of.answer)));
                lines.join("\n")
            }
            output => match output.strip_prefix('A') {
                Some(reasons) => joined([verdict].into_iter().chain(because(reasons, of))),
                None => joined(reasons(output.trim_end_matches('A'), of).map(String::from).chain([verdict])),
            },
        };
        (tidy(&lines.join("\n")), tidy(&answer))
    }
}

/// Splits into Q, C, M and runs of L and E.
fn runs(input: &str) -> Vec<&str> {
    let mut runs = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let reasons = rest.len() - rest.trim_start_matches(['L', 'E']).len();
        let (part, after) = rest.split_at(reasons.max(1));
        runs.push(part);
        rest = after;
    }
    runs
}

/// The texts that the letters L and E stand for, without empty ones.
fn reasons<'a>(letters: &'a str, of: &'a Texts<'_>) -> impl Iterator<Item = &'a str> {
    let text = |letter| if letter == 'L' { of.lecture } else { of.solution };
    letters.chars().map(text).filter(|text| !text.trim().is_empty())
}

/// The reasons that the letters stand for, labelled, if there are any.
fn because(letters: &str, of: &Texts<'_>) -> Option<String> {
    let texts = joined(reasons(letters, of).map(String::from));
    (!texts.is_empty()).then(|| format!("BECAUSE: {texts}"))
}

/// The texts with a blank between them.
fn joined(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(" ")
}

/// Double blanks to single ones, as LLaVA's converter does.
fn tidy(text: &str) -> String {
    text.replace("  ", " ").trim().to_string()
}

/// A, B, C, ...
fn letter(choice: usize) -> char {
    char::from(b'A' + (choice % MOST_CHOICES) as u8)
}
