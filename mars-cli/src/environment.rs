//! The variables of the environment that may be settings.

use crate::cluster::index;
use mars::{Error, config::Layers};
use std::ffi::OsString;

/// Those of `all` whose names begin as those of settings do, as text, but for that of an index. The values of the others may be
/// anything.
///
/// # Errors
/// An error of usage for a setting that is not UTF-8.
pub(crate) fn settings(
    all: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, Error> {
    let layers = Layers::new();
    let mut own = Vec::new();
    for (name, value) in all {
        let Some(name) = name.into_string().ok().filter(|name| name.starts_with("MARS_")) else { continue };
        if name == index::OWN {
            continue;
        }
        let value = match value.into_string() {
            Err(_) if layers.setting_of(&name).is_some() => {
                return Err(Error::usage(format!(
                    "the value of the environment variable {name} is not UTF-8; settings are text"
                )));
            }
            value => value.unwrap_or_else(|value| value.to_string_lossy().into_owned()),
        };
        own.push((name, value));
    }
    Ok(own)
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::settings;
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};

    #[test]
    fn a_setting_that_is_no_text_is_refused_by_its_name() {
        let of = |name: &str| {
            let all = [("MARS_TRAIN_BATCH", b"4".to_vec()), (name, b"/data/\xff".to_vec())];
            settings(all.into_iter().map(|(name, value)| (name.into(), OsString::from_vec(value))))
        };
        let error = of("MARS_OUT_DIR").unwrap_err();
        assert_eq!(error.kind(), mars::ErrorKind::Usage);
        assert!(error.to_string().contains("MARS_OUT_DIR"), "{error}");
        // Those of other programs are warned of by name.
        assert_eq!(of("MARS_HOME").unwrap()[1].0, "MARS_HOME");
        for name in ["HOME", "MARS_INDEX"] {
            assert_eq!(of(name).unwrap().len(), 1, "{name}");
        }
    }
}
