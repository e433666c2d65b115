//! One training run: everything that determines its numbers, and the hash that names it.

use crate::{Error, OptimSpec};
use mars_laws::Ranks;
use mars_lora::{ScaleConvention, Variant, methods::MethodSpec};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Name of a run: a content hash of its spec, 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Length in hexadecimal digits.
    pub const LENGTH: usize = 16;

    /// The id as text, fit for a file name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads an id back from text; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        (text.len() == Self::LENGTH && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    fn hash(content: &impl Serialize) -> Self {
        let json =
            serde_json::to_vec(content).expect("a struct of numbers, strings and string-keyed maps is JSON");
        Self(blake3::hash(&json).to_hex()[..Self::LENGTH].to_owned())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One training run.
///
/// Two specs with the same [`id`](Self::id) give bit-identical curves on the same CPU back-end, of which one may end once it
/// over-fits, so a result may be used again wherever its id is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// LoRA rank of each adapted module; a module left out stays as it is.
    pub ranks: Ranks,
    /// Training samples: the first `samples` of the seeded order of the training set, >= 1.
    pub samples: usize,
    /// Seed of subset, batch order and initialisation.
    pub seed: u64,
    /// Samples in one optimizer step, >= 1.
    pub batch: usize,
    /// Optimizer steps, >= 1.
    pub steps: usize,
    /// Length of the learning-rate schedule, >= `steps`.
    /// Optimizer steps. Runs that continue each other share it, so that their rates agree at each step.
    pub horizon: usize,
    /// Steps between evaluations on the validation split, >= 1; step 0 and the last are always evaluated.
    pub eval_every: usize,
    /// Between step 0 and this one nothing is evaluated; 0, the default, leaves out nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub evaluate_from: usize,
    /// Whether the run ends as soon as its convergence time is certain, see
    /// [`has_converged`](crate::convergence::has_converged). Default no; `until_settled` in files.
    #[serde(default, rename = "until_settled", skip_serializing_if = "std::ops::Not::not")]
    pub stop_when_converged: bool,
    /// Whether the run ends as soon as it over-fits for certain, see
    /// [`certain_overfitting`](crate::convergence::certain_overfitting). Default no; `until_overfit` in files. Not part of the
    /// id: up to where it ends the numbers are the same.
    #[serde(default, rename = "until_overfit", skip_serializing_if = "std::ops::Not::not")]
    pub stop_when_overfit: bool,
    /// The run is evaluated on the first so many validation samples, >= 1; `None`, the default: on all that the trainer has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// Peak learning rate of each adapted module, > 0.
    /// Multiplied at each step by [`OptimSpec::factor`].
    pub learning_rates: BTreeMap<String, f64>,
    /// Scale s of `W x + s B A x` as a function of the rank; default constant 2.
    pub scale: ScaleConvention,
    /// Optimizer and schedule.
    pub optim: OptimSpec,
    /// How the adapter is built and begun, where it is not plain LoRA.
    #[serde(default, skip_serializing_if = "Variant::is_plain")]
    pub variant: Variant,
    /// The method, where it is not plain LoRA; then `ranks` are its budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<MethodSpec>,
    /// Digest of what the other fields do not name (model, data, targets, trainer). Left empty by
    /// planners, filled in by the campaign.
    #[serde(default)]
    pub fingerprint: String,
    /// A run with the same fields but fewer steps, whose last checkpoint may be continued. Not part
    /// of the id: straight or continued, the numbers are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<RunId>,
}

impl RunSpec {
    /// Plain LoRA at `ranks` over `samples` training samples, for `steps` steps of `batch` samples each, at one peak
    /// learning rate for all modules.
    ///
    /// The schedule ends with the run, validation is twenty times in a run (at least every step), the seed is 0;
    /// scale and optimizer have their defaults.
    pub fn new(ranks: Ranks, samples: usize, batch: usize, steps: usize, rate: f64) -> Self {
        Self {
            samples,
            seed: 0,
            batch,
            steps,
            horizon: steps,
            eval_every: (steps / 20).max(1),
            evaluate_from: 0,
            stop_when_converged: false,
            stop_when_overfit: false,
            validation: None,
            learning_rates: ranks.modules().map(|module| (module.to_owned(), rate)).collect(),
            ranks,
            scale: ScaleConvention::default(),
            optim: OptimSpec::default(),
            variant: Variant::default(),
            method: None,
            fingerprint: String::new(),
            continues: None,
        }
    }

    /// The content hash of everything that determines the result.
    /// The first 16 hexadecimal digits (64 bits) of the BLAKE3 hash of the spec as compact JSON. Fields at
    /// their default that files leave out do not enter, so that ids of before such a field existed stay valid.
    pub fn id(&self) -> RunId {
        RunId::hash(&("run", Self { continues: None, stop_when_overfit: false, ..self.clone() }))
    }

    /// The content hash without `steps`: what all rungs of one trajectory share, and the key of its checkpoints.
    pub fn lineage(&self) -> RunId {
        RunId::hash(&(
            "lineage",
            Self { continues: None, stop_when_overfit: false, steps: 0, ..self.clone() },
        ))
    }

    /// What must be equal for two observations to enter one fit: method, variant, scale, learning rates, optimizer,
    /// batch and fingerprint, as a short text.
    pub fn convention(&self) -> String {
        let same = (&self.scale, &self.learning_rates, &self.optim, self.batch, &self.fingerprint);
        let hash = match (&self.method, self.variant.is_plain()) {
            (None, true) => RunId::hash(&("convention", same)),
            (Some(method), true) => RunId::hash(&("convention", same, method)),
            (_, false) => RunId::hash(&("convention", same, &self.variant)),
        };
        let method = self.method.map_or(String::new(), |method| format!("{} ", method.name()));
        format!("{method}{} #{}", self.scale, &hash.as_str()[..8])
    }

    /// Whether the run is evaluated at `step` wherever it ends.
    /// The last step of a run is evaluated as well, and is not covered here.
    pub fn evaluates_at(&self, step: usize) -> bool {
        step.is_multiple_of(self.eval_every) && (step == 0 || step >= self.evaluate_from)
    }

    /// Whether training `self` may start from a checkpoint of `earlier`.
    pub fn continues_from(&self, earlier: &Self) -> bool {
        self.steps > earlier.steps && self.lineage() == earlier.lineage()
    }

    /// Checks every field.
    /// Ranges are those of the fields. [`variant`](Self::variant) must be plain where a
    /// [`method`](Self::method) is given, and every adapted module must have a learning rate.
    ///
    /// # Errors
    /// [`Error::Spec`] naming the first field that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        for (field, value) in [
            ("samples", self.samples),
            ("batch", self.batch),
            ("steps", self.steps),
            ("eval_every", self.eval_every),
            ("validation", self.validation.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(Error::spec(field, value, "it must be at least 1"));
            }
        }
        if self.horizon < self.steps {
            let rule = format!("the schedule must be at least as long as the run ({} steps)", self.steps);
            return Err(Error::spec("horizon", self.horizon, rule));
        }
        if self.ranks.is_empty() {
            return Err(Error::spec("ranks", "empty", "at least one module must have a rank >= 1"));
        }
        for module in self.ranks.modules() {
            match self.learning_rates.get(module) {
                Some(rate) if *rate > 0.0 && rate.is_finite() => {}
                Some(rate) => {
                    return Err(Error::spec(
                        "learning_rates",
                        format!("{module} = {rate}"),
                        "a rate must be > 0",
                    ));
                }
                None => {
                    return Err(Error::spec(
                        "learning_rates",
                        "incomplete",
                        format!("`{module}` is adapted and needs one"),
                    ));
                }
            }
        }
        if self.method.is_some() && !self.variant.is_plain() {
            let rule = "a method that moves ranks is built on plain LoRA";
            return Err(Error::spec("variant", "set", rule));
        }
        self.variant.validate().map_err(Error::of_spec)?;
        self.scale.validate().map_err(Error::of_spec)?;
        self.optim.validate()
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}
