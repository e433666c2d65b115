//! How a law is fitted.

use super::{Law, Loss, Point, Residuals, Search};

/// How to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// Space of the residuals; linear by default.
    pub residuals: Residuals,
    /// Loss on a residual; plain by default.
    pub loss: Loss,
    /// Parameter vectors to search from; empty (the default) takes [`Law::starts`].
    pub starts: Vec<Vec<f64>>,
    /// Evaluations allowed to one search, as a multiple of (parameters + 1); 1000 by default, > 0.
    pub patience: usize,
    /// Whether a law that is linear in logarithms ([`Law::log_linear`]) is solved in closed form when residuals are
    /// logarithms and the loss is plain; true by default.
    pub closed_form: bool,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            residuals: Residuals::Linear,
            loss: Loss::Plain,
            starts: Vec::new(),
            patience: 1000,
            closed_form: true,
        }
    }
}

impl FitOptions {
    pub(crate) fn search(&self) -> Search {
        Search { residuals: self.residuals, loss: self.loss, patience: self.patience, tolerance: None }
    }

    pub(crate) fn solves_directly<L: Law + ?Sized>(&self, law: &L, points: &[Point]) -> bool {
        self.closed_form
            && self.residuals == Residuals::Log
            && self.loss == Loss::Plain
            && points.first().is_some_and(|p| law.log_linear(&p.input).is_some())
    }
}
