//! What a policy may spend: the final run, and the plan of calibration runs.

use crate::{Error, Role, Trial};
use serde::{Deserialize, Serialize};

/// The final run that the search is for, and what calibration may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Optimizer steps of the final run, and horizon of every trial that may become it.
    pub steps: usize,
    /// Training samples of the final run: the whole training set.
    pub samples: usize,
    /// Samples per optimizer step.
    pub batch: usize,
    /// Optimizer steps between the evaluations of full-length runs; cuts of a race fall on them, so that they
    /// need no evaluations of their own.
    pub eval_every: usize,
    /// Validation samples of one evaluation; with `batch` it says what an evaluation costs beside a step.
    /// 0, the default: unknown, taken for free.
    #[serde(default)]
    pub validation_samples: usize,
    /// Whether the trainer reports the training loss of every step; `false`, the default: not known.
    #[serde(default)]
    pub training_losses: bool,
    /// Seed of the final run and of whatever the policy draws.
    pub seed: u64,
    /// The calibration runs.
    pub calibration: CalibrationPlan,
}

/// The calibration runs that fitting policies ask for (the plan's shape is ours; the paper uses ranks
/// 8, 16, 32, 64 and sizes 2^4 to 2^14).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibrationPlan {
    /// Ranks to calibrate each module at; for a law in rank at least two.
    pub ranks: Vec<usize>,
    /// Subset sizes in samples; for a law in size at least two.
    pub sizes: Vec<usize>,
    /// Optimizer steps of each calibration run, and the horizon of its schedule.
    pub steps: usize,
    /// Seeds; each run is made once with each.
    pub seeds: Vec<u64>,
    /// Rank tuples per size and seed for the performance law, spread over the grid.
    pub joint: usize,
    /// Optimizer steps after which the alone runs of lower ranks end: their convergence times come from the registration
    /// of the first steps, and only the highest rank of each module and size trains on to its convergence. As many as `steps` leave no
    /// convergence time, and no law. `None`, the default: every run trains on to its own.
    #[serde(default)]
    pub window: Option<usize>,
    /// Optimizer steps between the evaluations of a calibration run.
    /// 0, the default: unknown; each run is then charged half the evaluations of the final run.
    #[serde(default)]
    pub eval_every: usize,
    /// Validation samples of an evaluation of a calibration run; 0, the default: those of the final run.
    #[serde(default)]
    pub validation_samples: usize,
}

impl Budget {
    /// A final run of `steps` steps over `samples` samples, `batch` to a step, evaluated 16 times, with seed 0.
    ///
    /// Evaluations are taken for free, and calibration is planned at the ranks 8, 16, 32 and 64 and a quarter, half and
    /// all of the samples, each run as long as the final one: 8 joint tuples, one seed.
    pub fn new(steps: usize, samples: usize, batch: usize) -> Self {
        let mut sizes = vec![samples.div_ceil(4), samples.div_ceil(2), samples];
        sizes.dedup();
        Self {
            steps,
            samples,
            batch,
            eval_every: steps.div_ceil(16).max(1),
            validation_samples: 0,
            training_losses: false,
            seed: 0,
            calibration: CalibrationPlan {
                ranks: vec![8, 16, 32, 64],
                sizes,
                steps,
                seeds: vec![0],
                joint: 8,
                window: None,
                eval_every: 0,
                validation_samples: 0,
            },
        }
    }

    /// Whether a search can be run on this budget.
    ///
    /// # Errors
    /// [`Error::Budget`] when the final run has no steps, samples, batch or interval of evaluations.
    pub fn check(&self) -> Result<(), Error> {
        for (name, value) in [
            ("steps", self.steps),
            ("samples", self.samples),
            ("batch", self.batch),
            ("eval_every", self.eval_every),
        ] {
            if value == 0 {
                return Err(Error::Budget { why: format!("the final run has {name} = 0") });
            }
        }
        Ok(())
    }
}

impl Budget {
    /// Optimizer steps that the run to step `steps` costs with its evaluations, of which those before `evaluate_from` but
    /// the first are left out. Estimated: an evaluation is a forward pass, and a step of LoRA, whose base needs no weight
    /// gradients, is a little more than two.
    ///
    /// `steps + validation_samples / (2 * batch) * evaluations(steps, evaluate_from)`.
    pub(crate) fn price(&self, steps: usize, evaluate_from: usize) -> f64 {
        let evaluation = self.validation_samples as f64 / (2 * self.batch) as f64;
        steps as f64 + evaluation * self.evaluations(steps, evaluate_from) as f64
    }

    /// What a calibration run to step `steps` costs with its evaluations, in optimizer steps, estimated likewise.
    /// With the interval and the samples of its own evaluations where the plan has them; else with half of the evaluations of the final run, the least
    /// that it has.
    pub(crate) fn calibration_price(&self, steps: usize) -> f64 {
        let plan = &self.calibration;
        let samples =
            if plan.validation_samples > 0 { plan.validation_samples } else { self.validation_samples };
        let evaluation = samples as f64 / (2 * self.batch) as f64;
        let evaluations = match plan.eval_every {
            0 => 0.5 * self.evaluations(self.steps, 0) as f64,
            every => (1 + steps.div_ceil(every)) as f64,
        };
        steps as f64 + evaluation * evaluations
    }

    /// Evaluations of a run to step `steps`, one at its end among them.
    /// Step 0, every multiple of `eval_every` from `evaluate_from` on, and the last step count.
    pub(crate) fn evaluations(&self, steps: usize, evaluate_from: usize) -> usize {
        let left_out = evaluate_from.div_ceil(self.eval_every).saturating_sub(1);
        1 + steps.div_ceil(self.eval_every).saturating_sub(left_out)
    }
}

impl CalibrationPlan {
    /// Whether `trial` is an alone run that ends with its window: it has no convergence time by itself, since what is read off
    /// so short a curve follows its length.
    pub fn ends_with_window(&self, trial: &Trial) -> bool {
        trial.role == Role::Alone && self.window.is_some_and(|window| trial.steps <= window)
    }

    /// Steps of the window that exponents need (measured on one task: 48 are too few in half of the cases).
    pub const FULL_WINDOW: usize = 64;
    /// Evaluations in a window (measured likewise: with half as many one curve in six was refused).
    pub const WINDOW_EVALUATIONS: usize = 16;

    /// The plan of a longer final run: with the full window, all evaluations in it, and runs longer by the same factor.
    /// The same plan where its window is that long or there is none.
    pub(crate) fn of_a_longer_run(&self) -> Self {
        let Some(window) = self.window.filter(|window| (1..Self::FULL_WINDOW).contains(window)) else {
            return self.clone();
        };
        let longer = |steps: usize| steps.saturating_mul(Self::FULL_WINDOW).div_ceil(window);
        Self {
            window: Some(Self::FULL_WINDOW),
            steps: longer(self.steps),
            eval_every: longer(self.eval_every).min(Self::FULL_WINDOW / Self::WINDOW_EVALUATIONS),
            ..self.clone()
        }
    }

    /// Whether calibration can be run on this plan.
    ///
    /// # Errors
    /// [`Error::Budget`] when a list is empty, holds a zero or the same value twice, when a size
    /// exceeds `samples`, or when there are no steps.
    pub fn check(&self, samples: usize) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Budget { why });
        for (name, values) in [("ranks", &self.ranks), ("sizes", &self.sizes)] {
            if values.is_empty() || values.contains(&0) {
                return refuse(format!(
                    "calibration.{name} is {values:?}: one or more values >= 1 are needed"
                ));
            }
            if (1..values.len()).any(|i| values[..i].contains(&values[i])) {
                return refuse(format!("calibration.{name} is {values:?}: duplicate value"));
            }
        }
        if let Some(size) = self.sizes.iter().find(|size| **size > samples) {
            return refuse(format!("calibration.sizes has {size}, more than the {samples} training samples"));
        }
        if self.steps == 0 {
            return refuse("calibration.steps is 0; it must be 1 or more".to_owned());
        }
        if let Some(window) = self.window.filter(|window| !(1..=self.steps).contains(window)) {
            return refuse(format!(
                "calibration.window is {window}; it must be 1 to {}, calibration.steps",
                self.steps
            ));
        }
        if self.seeds.is_empty() || (1..self.seeds.len()).any(|i| self.seeds[..i].contains(&self.seeds[i])) {
            return refuse(format!(
                "calibration.seeds is {:?}: one or more different ones are needed",
                self.seeds
            ));
        }
        Ok(())
    }
}
