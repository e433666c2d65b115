//! What a report says of where its numbers come from.

use crate::{config::SearchConfig, report::Provenance};
use mars_kernels::Compute;
use std::path::Path;

/// Model, data and the settings that matter for the result, and `more`.
pub(super) fn provenance(
    config: &SearchConfig,
    model: &str,
    data: &str,
    adapter: Option<&Path>,
    more: impl IntoIterator<Item = (String, String)>,
) -> Provenance {
    let rates = config.learning_rates();
    let rates: Vec<String> = rates.iter().map(|(module, rate)| format!("{module} {rate}")).collect();
    let layers = config.lora.targets.clone().unwrap_or_else(|| "all linear".to_owned());
    let compute = config.run.compute;
    let arithmetic = (compute != Compute::F32).then(|| ("arithmetic of frozen layers", compute.to_string()));
    let settings = [
        ("device", config.run.device.clone()),
        ("LoRA scale", config.lora.scale.convention().to_string()),
        ("learning rates", rates.join(", ")),
        ("layers", layers),
        ("convergence", config.calibration.rule.to_string()),
    ];
    Provenance {
        model: model.to_owned(),
        data: data.to_owned(),
        adapter: adapter.map_or_else(|| "kept by the trainer".to_owned(), |path| path.display().to_string()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        more: settings
            .into_iter()
            .chain(arithmetic)
            .map(|(name, text)| (name.to_owned(), text))
            .chain(more)
            .collect(),
    }
}
