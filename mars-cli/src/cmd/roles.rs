//! Folders of adapters and of models that were given in each other's place.

use mars::{Error, mars_lora::stored::regular};
use std::path::Path;

/// Refuses an adapter and a model of which each is the other.
pub(crate) fn check(adapter: &Path, model: &Path) -> Result<(), Error> {
    let has = |dir: &Path, name: &str| {
        let path = dir.join(name);
        regular::is_file(&path).map_err(Error::io("read", &path))
    };
    let is_adapter = |dir: &Path| has(dir, "adapter_config.json");
    let is_model = |dir: &Path| has(dir, "config.json");
    let swapped = is_model(adapter)? && !is_adapter(adapter)? && is_adapter(model)? && !is_model(model)?;
    if !swapped {
        return Ok(());
    }
    Err(Error::usage(format!(
        "adapter and model are swapped: {adapter} is a model directory and {model} an adapter directory; give \
         --adapter {model} --model {adapter}",
        adapter = adapter.display(),
        model = model.display()
    )))
}
