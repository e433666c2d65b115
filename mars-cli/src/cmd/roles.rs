//! Folders of adapters and of models that were given in each other's place.

use mars::Error;
use std::path::Path;

/// Refuses an adapter and a model of which each is the other.
pub(crate) fn check(adapter: &Path, model: &Path) -> Result<(), Error> {
    let is_adapter = |dir: &Path| dir.join("adapter_config.json").is_file();
    let is_model = |dir: &Path| dir.join("config.json").is_file();
    let swapped = is_model(adapter) && !is_adapter(adapter) && is_adapter(model) && !is_model(model);
    if !swapped {
        return Ok(());
    }
    Err(Error::usage(format!(
        "adapter and model are swapped: {adapter} is the folder of a model, and {model} that of an adapter; give \
         --adapter {model} --model {adapter}",
        adapter = adapter.display(),
        model = model.display()
    )))
}
