//! How the frozen weights are kept in memory, and the digest of a model that is kept so.

use crate::{
    Error,
    config::SearchConfig,
    device::{Backend, DeviceList},
};
use mars_kernels::{Compute, Kernel};
use mars_lora::stored::{Float, Shards};
use mars_vlm::checkpoint::{self, Precision, Storage};
use std::path::Path;

/// `config` with the arithmetic for the model in the directory `model`, where that is left to mars: the fastest of this machine that has the
/// losses of f32 to 1e-5.
///
/// # Errors
/// An error of usage for devices that cannot be meant.
pub(crate) fn with_arithmetic(config: &SearchConfig, model: &Path) -> Result<SearchConfig, Error> {
    let mut config = config.clone();
    if config.run.compute.is_none() {
        let on_cpu = DeviceList::parse(&config.run.device)?.backend() == Backend::Cpu;
        let split = on_cpu && Kernel::of(Compute::Bf16x2).is_ok() && are_bf16(model, config.model.dtype);
        config.run.compute = Some(if split { Compute::Bf16x2 } else { Compute::F32 });
    }
    Ok(config)
}

/// Whether the matrices of the model in the directory `model`, kept as `precision`, are exactly bf16. What is wrong with files is said when they
/// are loaded.
fn are_bf16(model: &Path, precision: Precision) -> bool {
    let is_bf16 = |shards: Shards| {
        let mut matrices =
            shards.files().iter().flat_map(|file| file.tensors()).filter(|tensor| tensor.shape.len() > 1);
        matrices.all(|matrix| matrix.float() == Some(Float::BF16))
    };
    match precision {
        Precision::Bf16 => true,
        Precision::F32 => Shards::open(model).is_ok_and(is_bf16),
        Precision::F16 | Precision::Q8 | Precision::Q4 => false,
    }
}

/// Whether products can be in `compute` with weights of the type that `config` names, on its device, if the processor is one that can.
pub(super) fn has_arithmetic(config: &SearchConfig, compute: Compute) -> Result<bool, Error> {
    let on_cpu = DeviceList::parse(&config.run.device)?.backend() == Backend::Cpu;
    let quantised = matches!(config.model.dtype, Precision::Q8 | Precision::Q4);
    Ok(compute == Compute::F32 || on_cpu && !quantised)
}

/// How `config` wants the frozen weights to be kept: plainly where it leaves the arithmetic to mars.
///
/// # Errors
/// An error of usage where the arithmetic that is set needs another device, another type of weights, or another processor.
pub(crate) fn storage(config: &SearchConfig) -> Result<Storage, Error> {
    let precision = config.model.dtype;
    let Some(compute) = config.run.compute.filter(|compute| *compute != Compute::F32) else {
        return Ok(precision.into());
    };
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
        Error::usage(format!(
            "run.compute is {compute}, which needs a processor with amx-bf16, or one of AMD with avx512-bf16, and {reason}; f32 works \
             everywhere"
        ))
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
            config.run.compute = Some(Compute::Bf16x2);
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
                    let text = refused(&|config| config.run.compute = Some(compute));
                    assert!(text.contains(&format!("run.compute is {compute}")), "{text}");
                    assert!(text.contains("amx-bf16"), "{text}");
                }
                Ok(kernel) => {
                    let mut config = SearchConfig::default();
                    config.run.compute = Some(compute);
                    assert_eq!(storage(&config).expect("packed").packed, Some((compute, kernel)));
                }
            }
        }
        assert_eq!(storage(&SearchConfig::default()).expect("f32"), Storage::default());
    }

    /// A directory with one matrix and one vector, of such types.
    fn checkpoint(matrix: &str, vector: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        let size = |name: &str| if name == "F32" { 4 } else { 2 };
        let (first, all) = (4 * size(matrix), 4 * size(matrix) + 2 * size(vector));
        let header = format!(
            r#"{{"m":{{"dtype":"{matrix}","shape":[2,2],"data_offsets":[0,{first}]}},"v":{{"dtype":"{vector}","shape":[2],"data_offsets":[{first},{all}]}}}}"#
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + all, 0);
        std::fs::write(directory.path().join("model.safetensors"), bytes).expect("a file");
        directory
    }

    #[test]
    fn two_parts_are_chosen_where_every_matrix_is_bf16_and_the_processor_has_them() {
        let chosen = |dtype, directory: &Path| {
            let mut config = SearchConfig::default();
            config.model.dtype = dtype;
            with_arithmetic(&config, directory).expect("an arithmetic").run.compute
        };
        let split =
            if Kernel::of(Compute::Bf16x2).is_ok() { Some(Compute::Bf16x2) } else { Some(Compute::F32) };
        let all = |matrix, vector| {
            let directory = checkpoint(matrix, vector);
            [Precision::F32, Precision::Bf16, Precision::F16, Precision::Q8, Precision::Q4]
                .map(|dtype| chosen(dtype, directory.path()))
        };
        let wide = Some(Compute::F32);
        assert_eq!(all("BF16", "BF16"), [split, split, wide, wide, wide]);
        assert_eq!(all("BF16", "F32"), [split, split, wide, wide, wide], "vectors are added in f32");
        for matrix in ["F32", "F16"] {
            assert_eq!(all(matrix, "BF16"), [wide, split, wide, wide, wide], "{matrix}");
        }
        assert_eq!(chosen(Precision::F32, Path::new("/nowhere")), wide);
        // What is set stays.
        let mut config = SearchConfig::default();
        config.run.compute = Some(Compute::Bf16);
        let model = checkpoint("F32", "F32");
        assert_eq!(with_arithmetic(&config, model.path()).expect("that").run.compute, Some(Compute::Bf16));
    }
}
