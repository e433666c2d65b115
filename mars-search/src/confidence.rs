//! How sure a choice is, as numbers and in words.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How sure a choice is, at the cut that left one. It is about the validation loss at that step only: how other samples
/// could have changed the choice, not how later steps or other seeds could, and not what choices that were not compared
/// would have reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// Optimizer step of that cut.
    pub step: usize,
    /// Share of redrawn validation sets on which the choice has the lowest loss of those compared, handicaps included; where
    /// several have the same loss, each has its part of the share. Drawn by Student's t with a degree of freedom less than there are
    /// blocks of samples: of two choices, 1 - p of the paired test. Above 0 and below 1: draws make nothing certain.
    pub probability: f64,
    /// By how much perplexity exceeds that of the best of those compared, mean over redrawn validation sets, handicaps
    /// included; relative: 0.01 is 1 %. Above 0.
    pub expected_regret: f64,
    /// The two by the measured losses alone; `None` where all that were compared have the same handicap, and in decisions of
    /// before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhandicapped: Option<Unhandicapped>,
    /// How many were compared.
    pub compared: usize,
    /// What the difference to the best of the others is, and how exact; `None` in decisions of before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Margin>,
}

/// How sure a choice is by the measured losses, where the choice was made with handicaps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unhandicapped {
    /// As [`Confidence::probability`].
    pub probability: f64,
    /// As [`Confidence::expected_regret`].
    pub expected_regret: f64,
}

/// The difference between a choice and the best of the others that it was compared with, on the same validation samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Margin {
    /// Optimizer steps of the final run, of which the comparison saw the first [`step`](Confidence::step).
    pub steps: usize,
    /// Samples of the comparison; `None` where the number is not known.
    pub samples: Option<usize>,
    /// The steps whose training losses were compared, first and last, each on a batch that was not trained on before;
    /// `None` where it was the validation loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<(usize, usize)>,
    /// Loss of the choice minus that of the other, nats per answer token; negative where the choice is lower.
    pub difference: f64,
    /// Handicap of the choice minus that of the other, nats, which the comparison adds to the difference; 0 where both
    /// have the same.
    pub handicap: f64,
    /// Standard error of the difference, paired by blocks of the samples, nats.
    pub error: f64,
    /// The least difference that these samples tell from none, nats: half of the 95 % interval of Student's t.
    pub resolvable: f64,
}

impl Margin {
    /// Whether the samples tell the two apart, handicap included.
    pub fn is_resolved(&self) -> bool {
        let compared = (self.difference + self.handicap).abs();
        compared > self.resolvable && compared > 0.0
    }

    /// Whether the choice measured higher than the other, and is not above it with the handicaps.
    pub fn is_by_handicap(&self) -> bool {
        self.difference > 0.0 && self.handicap < 0.0 && self.difference + self.handicap <= 0.0
    }
}

impl Confidence {
    /// The probability in percent, without a certainty that no sample gives: `more than 99 %`.
    pub fn certainty(&self) -> String {
        certainty(self.probability)
    }

    /// The expected regret in percent, likewise: `below 0.1 % of perplexity`.
    pub fn regret(&self) -> String {
        regret(self.expected_regret)
    }

    /// Whether the figures contain a handicap for the number of parameters.
    pub fn is_handicapped(&self) -> bool {
        self.unhandicapped.is_some() || self.margin.is_some_and(|margin| margin.handicap != 0.0)
    }
}

impl Unhandicapped {
    /// As [`Confidence::certainty`].
    pub fn certainty(&self) -> String {
        certainty(self.probability)
    }

    /// As [`Confidence::regret`].
    pub fn regret(&self) -> String {
        regret(self.expected_regret)
    }
}

fn certainty(probability: f64) -> String {
    match 100.0 * probability {
        percent if percent > 99.0 => "more than 99 %".to_owned(),
        percent if percent < 1.0 => "less than 1 %".to_owned(),
        percent => format!("{percent:.0} %"),
    }
}

fn regret(expected: f64) -> String {
    match 100.0 * expected {
        percent if percent < 0.1 => "below 0.1 % of perplexity".to_owned(),
        percent => format!("{percent:.1} % of perplexity"),
    }
}

/// A sentence: what was compared, where, on how many samples, and what they tell.
impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = self.compared.saturating_sub(1);
        write!(
            f,
            "Compared with {others} other{} at step {}",
            if others == 1 { "" } else { "s" },
            self.step
        )?;
        if let Some(margin) = &self.margin {
            write!(f, " of {}", margin.steps)?;
            match (margin.training, margin.samples) {
                (Some((from, to)), Some(samples)) => write!(
                    f,
                    " on the {samples} training samples of steps {from} to {to}, each seen for the first time"
                )?,
                (_, Some(samples)) => write!(f, " on {samples} validation samples")?,
                (_, None) => {}
            }
            write!(f, ": {margin}")?;
        } else {
            f.write_str(":")?;
        }
        write!(
            f,
            " lowest{} with a probability of {} over the choice of {} samples, expected regret among the compared choices {}",
            if self.is_handicapped() { " after the handicap" } else { "" },
            self.certainty(),
            if self.margin.is_some_and(|margin| margin.training.is_some()) {
                "training"
            } else {
                "validation"
            },
            self.regret()
        )?;
        if let Some(measured) = &self.unhandicapped {
            let (share, regret) = (measured.certainty(), measured.regret());
            write!(f, "; by the measured losses alone {share}, with regret {regret}")?;
        }
        f.write_str(".")
    }
}

impl fmt::Display for Margin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { difference, handicap, error, resolvable, .. } = *self;
        let side = if difference < 0.0 { "below" } else { "above" };
        if difference == 0.0 {
            f.write_str("the same loss as the best other")?;
        } else {
            write!(f, "{:.4} nats per token {side} the best other", difference.abs())?;
        }
        if handicap != 0.0 {
            let whom = if handicap > 0.0 { "against it" } else { "in its favour" };
            write!(f, ", with a handicap of {:.4} {whom} for the number of parameters", handicap.abs())?;
        }
        write!(f, " (standard error {error:.4}; differences below {resolvable:.4} are within noise")?;
        if !self.is_resolved() {
            f.write_str(", as this one is")?;
        }
        f.write_str(");")
    }
}

#[cfg(test)]
mod tests {
    use super::{Confidence, Margin};

    #[test]
    fn a_certain_choice_of_two_says_how_little_that_is() {
        let margin = Margin {
            steps: 96,
            samples: Some(32),
            training: None,
            difference: -0.5,
            handicap: 0.0,
            error: 0.1,
            resolvable: 0.2,
        };
        let sure = Confidence {
            step: 32,
            probability: 1.0,
            expected_regret: 0.0,
            unhandicapped: None,
            compared: 2,
            margin: Some(margin),
        };
        assert_eq!(
            sure.to_string(),
            "Compared with 1 other at step 32 of 96 on 32 validation samples: 0.5000 nats per token below the best other \
             (standard error 0.1000; differences below 0.2000 are within noise); lowest with a probability of more than \
             99 % over the choice of validation samples, expected regret among the compared choices below 0.1 % of perplexity."
        );
        let close = Margin { difference: 0.03, handicap: -0.05, ..margin };
        assert!(!close.is_resolved());
        let text = close.to_string();
        assert!(
            text.contains("0.0300 nats per token above") && text.contains("0.0500 in its favour"),
            "{text}"
        );
        assert!(text.contains("are within noise, as this one is"), "{text}");
        // Of a decision of before the measured losses were told beside it.
        let old = Confidence { margin: Some(close), ..sure }.to_string();
        assert!(old.contains("lowest after the handicap with a probability of more than 99 %"), "{old}");
        let tie = Margin { difference: 0.0, error: 0.0, resolvable: 0.0, ..margin };
        assert!(tie.to_string().starts_with("the same loss") && !tie.is_resolved());
        let old: Confidence =
            serde_json::from_str(r#"{"step":4,"probability":0.5,"expected_regret":0.02,"compared":3}"#)
                .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            old.to_string(),
            "Compared with 2 others at step 4: lowest with a probability of 50 % over the choice of validation samples, expected \
             regret among the compared choices 2.0 % of perplexity."
        );
    }
}
