//! Choices from fitted laws: the form of Law-P, balanced ranks, the best of a few ranks and of millions.

mod balance;
mod contenders;
mod form_choice;
mod outcome;
mod rank_search;

pub use balance::{BalanceOptions, BalancedRank, balance, balance_laws, solve_rank};
pub use contenders::{Contender, contenders};
pub(crate) use form_choice::choose_with_fits;
pub use form_choice::{DecidedBy, FormChoice, FormScore, RollingStep, choose_form};
pub use outcome::{FallbackReason, Outcome, OutcomeKind};
pub use rank_search::{ScoredRanks, best_ranks};
