//! The laws: their formulas as [`Law`](crate::Law)s, and their fits to observations with intervals.

mod law_c;
mod law_c_fit;
mod law_c_registered;
mod law_c_summary;
mod law_p;
mod law_p_fit;
mod offset;
mod one_size;
mod power;

pub use law_c::{LawC, LawCForm};
pub(crate) use law_c_fit::fit_law_c_each;
pub use law_c_fit::{LawCFit, LawCOptions, fit_law_c, fit_law_c_all};
pub use law_c_registered::{CalibrationSet, RegisteredLawC, registered_law_c};
pub use law_c_summary::LawCSummary;
pub use law_p::{Form, LawPForm};
pub use law_p_fit::{LawPFit, LawPOptions, fit_law_p};
pub use offset::Offset;
pub use power::PowerLaw;
