//! How a trial of a policy becomes a run of a trainer.

use crate::config::SearchConfig;
use mars_calib::{
    ConvergenceDefinition, Init, Keep, MethodSpec, OptimSpec, RunRecord, RunSpec, ScaleConvention, Variant,
};
use mars_laws::Ranks;
use mars_search::{Method, Role, Trial};
use std::collections::BTreeMap;

/// What all runs of a campaign share.
#[derive(Clone, Debug)]
pub(crate) struct RunTemplate {
    /// Samples in one optimizer step.
    pub(crate) batch: usize,
    /// Optimizer steps between evaluations of races and final runs.
    pub(crate) eval_every: usize,
    /// Optimizer steps between evaluations of calibration runs.
    pub(crate) calibration_eval_every: usize,
    /// Whether calibration runs may end once their convergence time is certain, which only times read off the validation loss
    /// allow.
    pub(crate) stop_when_converged: bool,
    /// Whether races and final runs end once they over-fit for certain, which only the built-in trainer can do with its best
    /// adapter at hand.
    pub(crate) stop_when_overfit: bool,
    /// Whether calibration runs keep their learning rate after the warm-up, which registration needs: what does not decay can be
    /// ended at any step.
    pub(crate) constant_rate: bool,
    /// Validation samples of an evaluation of calibration runs; `None`: as many as in others.
    pub(crate) calibration_validation: Option<usize>,
    /// Peak learning rate of each adapted module.
    pub(crate) learning_rates: BTreeMap<String, f64>,
    /// The module whose learning rate is the same under all methods.
    pub(crate) reference: String,
    /// LoRA scale.
    pub(crate) scale: ScaleConvention,
    /// Optimizer and schedule.
    pub(crate) optim: OptimSpec,
    /// What differs from plain LoRA.
    pub(crate) variant: Variant,
}

impl SearchConfig {
    /// What all runs of a resolved configuration share.
    pub(crate) fn run_template(&self) -> RunTemplate {
        RunTemplate {
            batch: self.train.batch,
            eval_every: self.train.eval_every.unwrap_or(1),
            calibration_eval_every: self.calibration.eval_every.unwrap_or(1),
            stop_when_converged: matches!(
                self.calibration.rule,
                ConvergenceDefinition::Registered | ConvergenceDefinition::AloneVal
            ),
            stop_when_overfit: self.keep() == Keep::Best,
            constant_rate: self.calibration.is_registered(),
            calibration_validation: self
                .calibration
                .validation_samples
                .filter(|samples| *samples > 0 && self.calibration.is_registered()),
            learning_rates: self.learning_rates(),
            reference: self.search.reference.clone(),
            scale: self.lora.scale.convention(),
            optim: self.train.optim,
            variant: self.lora.variant(),
        }
    }
}

impl RunTemplate {
    /// The run that does `trial` in a campaign with this fingerprint; `earlier` holds the records of earlier trials, by
    /// their ids.
    pub(crate) fn spec(
        &self,
        trial: &Trial,
        earlier: &BTreeMap<u32, RunRecord>,
        fingerprint: &str,
    ) -> RunSpec {
        let calibration = trial.role.is_calibration();
        let eval_every = if calibration { self.calibration_eval_every } else { self.eval_every };
        let decay_fraction = if calibration && self.constant_rate { 0.0 } else { self.optim.decay_fraction };
        // A method that moves ranks is compared as it is, whatever the variant of the others.
        let method = trial.method.and_then(|method| method_spec(method, trial.horizon));
        RunSpec {
            ranks: trial.ranks.clone(),
            samples: trial.samples,
            seed: trial.seed,
            batch: self.batch,
            steps: trial.steps,
            horizon: trial.horizon,
            eval_every,
            evaluate_from: trial.evaluate_from,
            stop_when_converged: trial.stop_when_converged && self.stop_when_converged,
            stop_when_overfit: self.stop_when_overfit && !calibration && method.is_none(),
            validation: self.calibration_validation.filter(|_| calibration),
            learning_rates: self.rates(trial.method),
            scale: self.scale,
            optim: OptimSpec { decay_fraction, ..self.optim },
            variant: match trial.method {
                Some(Method::Eva) => Variant { init: Init::Eva, ..self.variant },
                _ if method.is_some() => Variant::default(),
                _ => self.variant,
            },
            method,
            fingerprint: fingerprint.to_owned(),
            continues: trial.continues.and_then(|id| earlier.get(&id)).map(|record| record.id.clone()),
        }
    }

    /// The convention of all plain calibration runs by this template: what must be equal for observations to enter one fit.
    pub(crate) fn convention(&self, fingerprint: &str) -> String {
        let any = Trial::new(Role::Alone, Ranks::new(), 1, 1);
        self.spec(&any, &BTreeMap::new(), fingerprint).convention()
    }

    /// Learning rates under a method.
    fn rates(&self, method: Option<Method>) -> BTreeMap<String, f64> {
        let Some(Method::DiffLr(ratio)) = method else { return self.learning_rates.clone() };
        let divided = |(module, rate): (&String, &f64)| {
            let rate = if *module == self.reference { *rate } else { rate / f64::from(ratio) };
            (module.clone(), rate)
        };
        self.learning_rates.iter().map(divided).collect()
    }
}

/// The settings of a method for a run of `steps` steps; `None` for what is plain LoRA.
fn method_spec(method: Method, steps: usize) -> Option<MethodSpec> {
    match method {
        Method::AdaLora => Some(MethodSpec::adalora(steps)),
        Method::GeoLora => Some(MethodSpec::geolora(steps)),
        Method::HydraStyle => Some(MethodSpec::hydra_style(steps)),
        _ => None,
    }
}
