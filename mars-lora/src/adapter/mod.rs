//! What an adapter is: its layers, ranks, scales, first values and factors, as plain data.

mod config;
mod factors;
mod init;
mod scale;
mod site;
mod targets;
mod variant;

pub use config::AdapterConfig;
pub use factors::{Adapter, Factors};
pub use init::Init;
pub use scale::ScaleConvention;
pub use site::{AdaptedModule, Site, SiteKind};
pub use targets::Targets;
pub use variant::Variant;
