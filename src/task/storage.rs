//! How the frozen weights are kept in memory, and the digest of a model that is kept so.

use crate::{
    Error,
    config::SearchConfig,
    device::{Backend, DeviceList},
};
use mars_kernels::{Compute, Kernel};
use mars_vlm::checkpoint::{self, Precision, Storage};
use std::path::Path;

/// How `config` wants the frozen weights to be kept.
///
/// # Errors
/// An error of usage where the arithmetic that is set needs another device, another type of weights, or another processor.
pub(crate) fn storage(config: &SearchConfig) -> Result<Storage, Error> {
    let (compute, precision) = (config.run.compute, config.model.dtype);
    if compute == Compute::F32 {
        return Ok(precision.into());
    }
    if DeviceList::parse(&config.run.device)?.backend() != Backend::Cpu {
        let device = &config.run.device;
        return Err(Error::usage(format!(
            "run.compute is {compute}, which is for the CPU; run.device is {device}"
        )));
    }
    if matches!(precision, Precision::Q8 | Precision::Q4) {
        let text = format!(
            "run.compute is {compute} and model.dtype {precision}; of a quantised base products are in f32"
        );
        return Err(Error::usage(text));
    }
    let kernel = Kernel::of(compute).map_err(|reason| {
        let needs = match compute {
            Compute::Bf16 => "amx-bf16, or one of AMD with avx512-bf16",
            _ => "amx-bf16",
        };
        let text = format!("run.compute is {compute}, which needs a processor with {needs}, and {reason}; f32 works everywhere");
        Error::usage(text)
    })?;
    Ok(Storage { precision, packed: Some((compute, kernel)) })
}

/// Digest of a model as it is loaded: of its files, of the type in which weights are kept and of the arithmetic with them, where
/// these are not f32.
pub(super) fn model_digest(directory: &Path, dtype: Precision, compute: Compute) -> Result<String, Error> {
    let mut digest = checkpoint::fingerprint(directory)?;
    if dtype != Precision::F32 {
        digest = format!("{digest} {dtype}");
    }
    if compute != Compute::F32 {
        digest = format!("{digest} compute {compute}");
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn only_an_arithmetic_other_than_f32_is_part_of_the_digest() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = SearchConfig::embedded();
        config.out.dir = directory.path().to_owned();
        let model = crate::task::TaskFiles::of(&config).expect("files of the embedded task").model;
        let digest = |dtype, compute| model_digest(&model, dtype, compute).expect("a digest");
        let files = checkpoint::fingerprint(&model).expect("a fingerprint");
        assert_eq!(digest(Precision::F32, Compute::F32), files);
        assert_eq!(digest(Precision::Bf16, Compute::F32), format!("{files} bf16"));
        let all: std::collections::BTreeSet<String> = [Precision::F32, Precision::Bf16]
            .into_iter()
            .flat_map(|dtype| Compute::ALL.map(|compute| digest(dtype, compute)))
            .collect();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn an_arithmetic_that_is_not_at_hand_is_an_error_of_usage_that_names_the_setting() {
        let refused = |change: &dyn Fn(&mut SearchConfig)| {
            let mut config = SearchConfig::default();
            config.run.compute = Compute::Bf16x2;
            change(&mut config);
            let error = storage(&config).expect_err("an error");
            assert_eq!(error.kind(), ErrorKind::Usage);
            error.to_string()
        };
        let text = refused(&|config| config.model.dtype = Precision::Q8);
        assert!(text.contains("run.compute is bf16x2") && text.contains("q8"), "{text}");
        for compute in [Compute::Bf16x2, Compute::Bf16] {
            match Kernel::of(compute) {
                Err(_) => {
                    let text = refused(&|config| config.run.compute = compute);
                    assert!(text.contains(&format!("run.compute is {compute}")), "{text}");
                    assert!(text.contains("amx-bf16"), "{text}");
                }
                Ok(kernel) => {
                    let mut config = SearchConfig::default();
                    config.run.compute = compute;
                    assert_eq!(storage(&config).expect("packed").packed, Some((compute, kernel)));
                }
            }
        }
        assert_eq!(storage(&SearchConfig::default()).expect("f32"), Storage::default());
    }
}
