//! A method from its settings.

use super::{AdaLora, GeoLora, HydraStyle, MethodSpec, MethodTraining, RankMethod};
use crate::{AdaptedModule, AdapterConfig, Error, Site};

impl MethodSpec {
    /// Starts the method; `plain` is plain LoRA at the same ranks.
    ///
    /// # Errors
    /// As [`AdaLora::new`], [`GeoLora::new`] and [`HydraStyle::new`].
    pub fn start(
        &self,
        training: MethodTraining,
        plain: AdapterConfig,
        modules: &[AdaptedModule],
        sites: &[Site],
    ) -> Result<Box<dyn RankMethod>, Error> {
        Ok(match *self {
            Self::AdaLora(own) => Box::new(AdaLora::new(own, training, plain, modules, sites)?),
            Self::GeoLora(own) => Box::new(GeoLora::new(own, training, plain, modules, sites)?),
            Self::HydraStyle(own) => Box::new(HydraStyle::new(own, training, plain, modules, sites)?),
        })
    }
}
