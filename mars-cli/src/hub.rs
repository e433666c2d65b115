//! Models that are named by an id: where the environment says that the local Hugging Face cache is, and whether the
//! network may be used.

use crate::console::Console;
use mars::{
    Error,
    mars_vlm::hub::{Cache, Need, Network, find},
};
use std::path::{Path, PathBuf};

/// The folder of the model that the user calls `model`.
pub(crate) fn folder(model: &Path, need: Need, console: Console) -> Result<PathBuf, Error> {
    let variable = |name: &str| std::env::var(name).ok();
    let cache = Cache::new(cache(variable));
    let stage = std::cell::OnceCell::new();
    let found = find(model, need, &cache, &network(variable), &mut |progress| {
        let stage = stage.get_or_init(|| console.stage("fetching", "MiB", 0));
        stage.set_total(progress.total >> 20);
        stage.at(progress.done >> 20, progress.file);
    });
    if let Some(stage) = stage.into_inner() {
        stage.finish();
    }
    Ok(found?)
}

/// The cache folder, found as Hugging Face's libraries find it.
fn cache(variable: impl Fn(&str) -> Option<String>) -> PathBuf {
    let home = variable("HOME").or_else(|| variable("USERPROFILE")).unwrap_or_default();
    let path = |name: &str| {
        let text = variable(name).filter(|text| !text.is_empty())?;
        Some(match text.strip_prefix("~/") {
            Some(rest) => Path::new(&home).join(rest),
            None => PathBuf::from(text),
        })
    };
    if let Some(cache) = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")) {
        return cache;
    }
    let caches = || path("XDG_CACHE_HOME").unwrap_or_else(|| Path::new(&home).join(".cache"));
    path("HF_HOME").unwrap_or_else(|| caches().join("huggingface")).join("hub")
}

/// Whether `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` forbid the network, which of the two.
fn offline(variable: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    let is_set = |name: &str| {
        let text = variable(name).unwrap_or_default().to_uppercase();
        ["1", "ON", "YES", "TRUE"].contains(&text.as_str())
    };
    if is_set("HF_HUB_OFFLINE") {
        return Some("HF_HUB_OFFLINE is set, so nothing is fetched");
    }
    is_set("TRANSFORMERS_OFFLINE").then_some("TRANSFORMERS_OFFLINE is set, so nothing is fetched")
}

#[cfg(not(feature = "download"))]
fn network(variable: impl Fn(&str) -> Option<String>) -> Network {
    Network::Off(offline(variable).unwrap_or("This mars was built without the feature `download`"))
}

#[cfg(feature = "download")]
fn network(variable: impl Fn(&str) -> Option<String>) -> Network {
    if let Some(reason) = offline(&variable) {
        return Network::Off(reason);
    }
    let set = |name: &str| variable(name).filter(|text| !text.is_empty());
    let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
    Network::On(mars::mars_vlm::hub::Server {
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        token: set("HF_TOKEN"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<'a>(all: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_cache_is_where_the_variables_say() {
        let home = ("HOME", "/home/me");
        for (variables, expected) in [
            (&[home][..], "/home/me/.cache/huggingface/hub"),
            (&[home, ("XDG_CACHE_HOME", "/xdg")], "/xdg/huggingface/hub"),
            (&[home, ("XDG_CACHE_HOME", "/xdg"), ("HF_HOME", "/hf")], "/hf/hub"),
            (&[home, ("HF_HOME", "~/hf")], "/home/me/hf/hub"),
            (&[home, ("HF_HOME", "")], "/home/me/.cache/huggingface/hub"),
            (&[home, ("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/cache")], "/cache"),
            (&[home, ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
            (&[home, ("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/new")], "/new"),
        ] {
            assert_eq!(cache(set(variables)), Path::new(expected), "{variables:?}");
        }
    }

    #[test]
    fn offline_is_what_the_libraries_take_for_true() {
        for (value, expected) in
            [("1", true), ("true", true), ("YES", true), ("on", true), ("0", false), ("", false)]
        {
            for name in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
                let found = offline(set(&[(name, value)]));
                assert_eq!(found.is_some(), expected, "{name}={value}");
                assert!(found.is_none_or(|reason| reason.starts_with(name)));
            }
        }
        assert_eq!(offline(set(&[])), None);
    }
}
