//! `hydra-style`: a hierarchical and dynamic rank scheduler at a constant parameter budget.
//!
//! After HyDRA (Xi, Bing and Yahyapour, arXiv 2512.20674), of whose method only the outline is public: ranks by layer
//! (coarse), ranks by matrix within a layer (fine), and a lightweight performance model that updates the ranks while
//! fine-tuning. Grouping, rank values, features and search are **our reading**, not the authors':
//!
//! 1. A warm-up with uniform ranks measures mean gradient norms of layers and matrices.
//! 2. Coarse: k-means in three groups on the layers' norms; their ranks are halved, kept and doubled.
//! 3. Fine: within a layer, ranks grow with the square root of a matrix' norm over the layer's mean.
//! 4. Dynamic: every few steps a Bayesian linear model of the relative change of the training loss in the logarithms of
//!    the ranks picks the most promising of random perturbations, by its lower confidence bound.
//!
//! Every allocation costs what the uniform ranks cost, to within 1 %; one that cannot is not made.

mod allocate;
mod groups;
mod performance;
mod train;

pub use train::HydraStyle;
