//! What to fit and to report.

use crate::{
    choose::BalanceOptions,
    fit::Loss,
    law::{Form, LawCOptions, LawPOptions},
};
use serde::{Deserialize, Serialize};

/// What to fit and to report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FitRequest {
    /// Form of Law-P; `None` (the default) chooses as [`choose_form`](crate::choose_form) does.
    pub form: Option<Form>,
    /// How to fit Law-C.
    pub law_c: LawCOptions,
    /// How to fit Law-P.
    pub law_p: LawPOptions,
    /// How ranks are balanced; its candidates are also the ranks at which the reference module is taken.
    pub balance: BalanceOptions,
    /// The module against which the others are balanced; `llm` by default.
    pub reference: String,
    /// Largest number of samples that is fitted, >= 1; larger ones are only predicted and scored. `None` (the default) fits
    /// all.
    pub fit_up_to: Option<usize>,
    /// Numbers of samples, >= 1, at which to predict and to balance ranks. Empty (the default): no predictions, and ranks
    /// balanced at the largest number of samples fitted.
    pub predict: Vec<usize>,
}

impl Default for FitRequest {
    fn default() -> Self {
        Self {
            form: None,
            law_c: LawCOptions::default(),
            law_p: LawPOptions::default(),
            balance: BalanceOptions::default(),
            reference: "llm".into(),
            fit_up_to: None,
            predict: Vec::new(),
        }
    }
}

impl FitRequest {
    /// The same with one loss for both laws. By the default residuals its size is in ln(steps) for Law-C and in
    /// perplexity for Law-P.
    #[must_use]
    pub fn with_loss(mut self, loss: Loss) -> Self {
        self.law_c.loss = loss;
        self.law_p.loss = loss;
        self
    }
}
