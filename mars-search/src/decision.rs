//! What a policy decided, and everything a reader needs to follow why.

use crate::{CandidateSource, Confidence, Gain, LawPLoss, Space};
use mars_laws::{LawCSummary, LawPFit, Ranks, RegistrationOutcome};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// In which sense the chosen ranks are an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionOutcome {
    /// The ranks solve the balance, or were chosen by measurement by a policy that needs no law.
    Solved,
    /// A balanced rank fell outside the candidates and was moved to the nearest.
    Clamped,
    /// The default ranks, because no other choice could be balanced, paid for or compared.
    Fallback,
    /// However they were chosen: training at these ranks did not make the model better than it was before.
    Unimproved,
}

impl fmt::Display for DecisionOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecisionOutcome::Solved => "solved",
            DecisionOutcome::Clamped => "clamped",
            DecisionOutcome::Fallback => "fallback",
            DecisionOutcome::Unimproved => "unimproved",
        })
    }
}

/// The end of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The chosen rank of each module.
    pub ranks: Ranks,
    /// In which sense they are an answer.
    pub outcome: DecisionOutcome,
    /// Why these ranks, in sentences for the user.
    pub reason: String,
    /// The trial whose adapter, trained to the full number of steps, is the result.
    pub trial: u32,
    /// Every rank choice that was considered, in the order of consideration.
    pub candidates: Vec<Candidate>,
    /// How sure it is, where choices were compared on the same validation samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// What training brought; `None` where the model was not evaluated before its first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<Gain>,
    /// The laws the decision rests on; `None` for policies that fit none.
    pub laws: Option<FittedLaws>,
}

impl Decision {
    /// The choice, as one of the candidates.
    pub fn chosen(&self) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.trial == Some(self.trial))
    }

    /// The decision with what training brought. Where that is no improvement, the reason says so first, and the outcome is
    /// [`Unimproved`](DecisionOutcome::Unimproved).
    #[must_use]
    pub(crate) fn with_gain(mut self, gain: Option<Gain>) -> Self {
        let known = self.gain.is_some_and(|known| !known.is_improvement());
        self.gain = gain;
        if let Some(gain) = gain.filter(|gain| !gain.is_improvement() && !known) {
            self.outcome = DecisionOutcome::Unimproved;
            self.reason = format!("{gain} {}", self.reason);
        }
        self
    }

    /// The decision about a model with so many tokens in its vocabulary: a result that is no better than guessing among
    /// them is no improvement, see [`Gain::with_vocabulary`].
    #[must_use]
    pub fn with_vocabulary(self, vocabulary: usize) -> Self {
        let gain = self.gain.map(|gain| gain.with_vocabulary(vocabulary));
        self.with_gain(gain)
    }
}

/// One rank choice that a policy considered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The ranks.
    pub ranks: Ranks,
    /// Where the choice comes from.
    pub source: CandidateSource,
    /// How the balance ended for it; `None` where no balance was computed.
    pub outcome: Option<DecisionOutcome>,
    /// Balanced ranks before rounding, for modules where the formula gave a number.
    pub raw: BTreeMap<String, f64>,
    /// Its furthest trial with a usable loss, else the one it failed in; `None` when it never ran.
    pub trial: Option<u32>,
    /// Validation loss at the end of that trial, in nats per answer token.
    pub last_loss: Option<f64>,
    /// The step at which it lost, or up to which it was to train when it diverged or failed; `None`
    /// when it won or never ran.
    pub dropped_at: Option<usize>,
    /// What else is to be said: why it was left out, how it failed, what a law predicted.
    pub note: Option<String>,
}

impl Candidate {
    /// A choice of which only ranks and source are known yet.
    pub fn new(ranks: Ranks, source: CandidateSource) -> Self {
        Self {
            ranks,
            source,
            outcome: None,
            raw: BTreeMap::new(),
            trial: None,
            last_loss: None,
            dropped_at: None,
            note: None,
        }
    }

    /// Whether a balance outside the candidates was moved to these ranks.
    pub fn is_clamped(&self) -> bool {
        self.source == CandidateSource::Balanced && self.outcome == Some(DecisionOutcome::Clamped)
    }

    /// That the balance lies beyond the candidates of `space`, and where, as a clause; `None` where it was not
    /// [moved](Self::is_clamped).
    pub fn beyond(&self, space: &Space) -> Option<String> {
        if !self.is_clamped() {
            return None;
        }
        let outside = |module: &str, raw: f64| {
            let ranks = space.ranks_of(module);
            let below = ranks.first().is_some_and(|low| raw < *low as f64);
            below || ranks.last().is_some_and(|high| raw > *high as f64 && raw.is_finite())
        };
        let raw = self.raw.iter().filter(|(module, raw)| outside(module, **raw));
        let raw: Vec<String> = raw.map(|(module, raw)| format!("{module} = {raw:.1}")).collect();
        let at = if raw.is_empty() { String::new() } else { format!(", at {}", raw.join(", ")) };
        Some(format!("The balance lies beyond the candidates{at}"))
    }

    /// Adds to the note.
    pub(crate) fn add_note(&mut self, note: impl Into<String>) {
        let note = note.into();
        self.note = Some(self.note.take().map_or(note.clone(), |before| format!("{before}; {note}")));
    }
}

/// The laws behind a decision, with the points they were fitted on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FittedLaws {
    /// Law-C of each module that could be fitted.
    pub law_c: BTreeMap<String, ModuleLaw>,
    /// Modules whose Law-C could not be fitted, and why.
    pub unfitted: BTreeMap<String, String>,
    /// Law-P, where one was fitted; without its bootstrap draws.
    pub law_p: Option<LawPFit>,
    /// What its perplexities are; `None` without a law, and in decisions of before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub law_p_loss: Option<LawPLoss>,
    /// Why there is none, where the runs of a race were to give one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfitted_law_p: Option<String>,
    /// The registered curves of each module, by size; empty where convergence times were read off each curve.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registered: BTreeMap<String, Vec<RegisteredSet>>,
}

/// The curves of one module at one size, laid on one another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegisteredSet {
    /// Samples of the training subset.
    pub samples: usize,
    /// Shifts, exponent and common curve, or why there are none.
    pub outcome: RegistrationOutcome,
}

/// Law-C of one module and its points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModuleLaw {
    /// The law, its intervals and why the fit ended; in JSON its fields are on the same level as `points`.
    #[serde(flatten)]
    pub summary: LawCSummary,
    /// The points, censored ones included.
    pub points: Vec<LawPoint>,
}

impl ModuleLaw {
    /// Whether points of more than two ranks have a time: a power law goes through any two, whose R^2 is 1 and says nothing.
    pub fn is_overdetermined(&self) -> bool {
        let timed = self.points.iter().filter(|point| point.steps.is_some());
        timed.map(|point| point.rank).collect::<BTreeSet<_>>().len() > 2
    }
}

/// One alone run as a point of Law-C.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawPoint {
    /// The trial it comes from.
    pub trial: u32,
    /// Rank of the module.
    pub rank: usize,
    /// Samples of the training subset.
    pub samples: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Convergence time in steps; `None` when the run is left out of the fit.
    pub steps: Option<f64>,
    /// Why it is left out; `None` when it is not.
    pub censored: Option<String>,
}
