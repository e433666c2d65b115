//! Samples per second of the loader, beside the training step's on the embedded task.
//!
//! `cargo bench --bench loader [-- --rounds N]` prints a table: for photographs of 512 x 512 pixels as JPEG, decoded
//! and cut up as SmolVLM and Qwen2-VL want them, and for the embedded digits, with no thread of the loader's own, one
//! and two. Settings take turns in each round; processor time is that of the whole process.
#![allow(clippy::print_stdout)]

use burn::tensor::Device;
use image::{Rgb, RgbImage, codecs::jpeg::JpegEncoder};
use mars_calib::native::{Loading, NativeOptions, NativeTrainer};
use mars_calib::{OptimSpec, RunEnd, RunSpec, ScaleConvention, Silent, Trainer, Variant};
use mars_laws::Ranks;
use mars_lora::{Error, Examples};
use mars_vlm::data::{Dataset, ImageStore};
use mars_vlm::model::{AnyModel, EncodedExamples, VlmBatch};
use mars_vlm::processor::Processor;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

/// Photographs, their sides in pixels, and how many make a batch.
const PHOTOS: usize = 16;
const SIDE: u32 = 512;
const PHOTO_BATCH: usize = 4;
/// Batches of digits that the loader alone makes.
const DIGIT_BATCHES: usize = 64;
/// The training that the loader is compared with.
const BATCH: usize = 16;
const STEPS: usize = 40;
const RANK: usize = 8;

/// What a setting took in each round: seconds, and seconds of processor time.
struct Measured {
    name: String,
    samples: usize,
    times: Vec<(f64, f64)>,
}

fn main() -> Result<(), Failure> {
    let rounds = argument("--rounds", 5);
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir()?;
    photographs(folder.path())?;
    let fixtures = manifest.join("mars-vlm/tests/fixtures");
    let smol = json!({"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 512}});
    let smol_facts = json!({"scale_factor": 4, "vision_config": {"image_size": 512, "patch_size": 16}});
    let qwen =
        json!({"min_pixels": 3136, "max_pixels": 1_003_520, "patch_size": 14, "merge_size": 2, "size": null});
    let qwen_facts =
        json!({"vision_config": {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}});
    let mut sets = Vec::new();
    for (name, fixture, settings, facts) in [
        ("512 x 512 JPEG, SmolVLM", "processor/split", smol, smol_facts),
        ("512 x 512 JPEG, Qwen2-VL", "families/qwen", qwen, qwen_facts),
    ] {
        let model = patched(&fixtures.join(fixture), folder.path(), &settings, &facts)?;
        let examples = open(&model, folder.path(), &folder.path().join("data.json"))?;
        println!("{name}: {} tokens a sample", examples.tokens(0));
        sets.push((name, examples, PHOTOS / PHOTO_BATCH, PHOTO_BATCH));
    }
    let (assets, images) = (manifest.join("assets"), manifest.join("assets/digits/images.zip"));
    let digits = |name: &str| open(&assets.join("model"), &images, &assets.join("digits").join(name));
    sets.push(("embedded digits", digits("train.json")?, DIGIT_BATCHES, BATCH));

    let mut all: Vec<Measured> = Vec::new();
    for round in 0..=rounds {
        let mut measured = Vec::new();
        for (name, examples, batches, size) in &sets {
            for workers in 0..=2 {
                let time = timed(|| load(examples, *batches, *size, workers))?;
                measured.push((format!("{name}: loader, {workers} threads"), batches * size, time));
            }
        }
        let model = AnyModel::from_dir(&assets.join("model"), &Device::flex())?;
        let (train, validation) = (&sets[2].1, digits("val.json")?);
        let ready = |examples| Ready::new(examples);
        let time = timed(|| train_on(&model, &ready(train)?, &ready(&validation)?, 0))?;
        measured.push(("embedded digits: training, one batch ready".into(), STEPS * BATCH, time));
        for workers in 0..=2 {
            let time = timed(|| train_on(&model, train, &validation, workers))?;
            measured.push((format!("embedded digits: training, {workers} threads"), STEPS * BATCH, time));
        }
        for (k, (name, samples, time)) in measured.into_iter().enumerate() {
            if round == 0 {
                // Warms up.
                all.push(Measured { name, samples, times: Vec::new() });
            } else {
                all[k].times.push(time);
            }
        }
    }
    println!(
        "\n| setting | samples/s, median | least | most | processor ms a sample |\n|---|---|---|---|---|"
    );
    for Measured { name, samples, times } in &all {
        let rates = |of: fn(&(f64, f64)) -> f64| {
            let mut rates: Vec<f64> = times.iter().map(|time| *samples as f64 / of(time)).collect();
            rates.sort_by(f64::total_cmp);
            rates
        };
        let (wall, processor) = (rates(|time| time.0), rates(|time| time.1));
        let middle = times.len() / 2;
        let (least, most) = (wall[0], wall[wall.len() - 1]);
        println!(
            "| {name} | {:.1} | {least:.1} | {most:.1} | {:.3} |",
            wall[middle],
            1e3 / processor[middle]
        );
    }
    Ok(())
}

fn argument(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|a| a != name);
    arguments.nth(1).and_then(|value| value.parse().ok()).unwrap_or(default).max(1)
}

/// Seconds, and seconds of processor time, that `work` takes.
fn timed(work: impl FnOnce() -> Result<(), Failure>) -> Result<(f64, f64), Failure> {
    let (began, before) = (Instant::now(), processor_time());
    work()?;
    Ok((began.elapsed().as_secs_f64(), processor_time() - before))
}

/// Processor time of this process, seconds (Linux, where a tick is a hundredth; 0 elsewhere).
fn processor_time() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Writes JPEGs with smooth and rough places, and a data file about them.
fn photographs(folder: &Path) -> Result<(), Failure> {
    let mut items = Vec::new();
    for k in 0..PHOTOS {
        let mut noise = 0x9E37_79B9_u32.wrapping_mul(k as u32 + 1);
        let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let wave = |of: u32, at: f32| ((of as f32 / at + k as f32).sin() * 80.0 + 128.0) as u8;
            let rough = if (x / 64 + y / 64) % 3 == 0 { (noise >> 27) as u8 } else { 0 };
            Rgb([wave(x, 31.0), wave(y, 47.0), wave(x + y, 73.0)].map(|v| v.saturating_add(rough)))
        });
        let name = format!("{k}.jpg");
        JpegEncoder::new_with_quality(File::create(folder.join(&name))?, 90).encode_image(&picture)?;
        items.push(json!({"id": name, "image": name, "conversations": [
            {"from": "human", "value": "<image>\nWhat is this?"}, {"from": "gpt", "value": "Waves."}]}));
    }
    Ok(fs::write(folder.join("data.json"), serde_json::to_vec(&items)?)?)
}

/// A copy of a fixture's processor with the sizes of a real model.
fn patched(
    fixture: &Path,
    folder: &Path,
    settings: &Value,
    facts: &Value,
) -> Result<std::path::PathBuf, Failure> {
    let model = folder.join(fixture.file_name().unwrap_or_default());
    fs::create_dir_all(&model)?;
    for entry in fs::read_dir(fixture)? {
        let path = entry?.path();
        fs::copy(&path, model.join(path.file_name().unwrap_or_default()))?;
    }
    let change = |name: &str, changes: &Value| -> Result<(), Failure> {
        let path = model.join(name);
        let mut object: Value = serde_json::from_slice(&fs::read(&path)?)?;
        for (key, value) in changes.as_object().into_iter().flatten() {
            object[key] = value.clone();
        }
        object["text_config"]["max_position_embeddings"] = 8192.into();
        Ok(fs::write(&path, serde_json::to_vec(&object)?)?)
    };
    change("preprocessor_config.json", settings)?;
    if model.join("processor_config.json").exists() {
        change("processor_config.json", &json!({"image_seq_len": null}))?;
    }
    change("config.json", facts)?;
    Ok(model)
}

fn open(model: &Path, images: &Path, data: &Path) -> Result<EncodedExamples, Failure> {
    let processor = Arc::new(Processor::from_dir(model)?);
    let store = Arc::new(ImageStore::open(images)?);
    Ok(EncodedExamples::new(processor, store, Dataset::read(data)?.samples)?)
}

/// Makes `batches` batches of `size` samples, and does nothing with them.
fn load(examples: &EncodedExamples, batches: usize, size: usize, workers: usize) -> Result<(), Failure> {
    let device = Device::flex();
    let make = |number: usize| {
        let rows = (0..size).map(|k| (number * size + k) % examples.len()).collect();
        examples.batch(&[rows], &device)
    };
    Loading { workers }.run(batches, make, |made| {
        for batch in made {
            batch?;
        }
        Ok(())
    })
}

/// Trains one adapter of rank 8 on both towers.
fn train_on<E>(model: &AnyModel, train: &E, validation: &E, workers: usize) -> Result<(), Failure>
where
    E: Examples<Batch = VlmBatch>,
{
    let loading = Loading { workers };
    let options = NativeOptions { loading, validation_samples: 1, ..NativeOptions::default() };
    let run = RunSpec {
        ranks: Ranks::new().with("ve", RANK).with("llm", RANK),
        samples: train.len(),
        seed: 0,
        batch: BATCH,
        steps: STEPS,
        horizon: STEPS,
        eval_every: STEPS,
        evaluate_from: 0,
        stop_when_converged: false,
        stop_when_overfit: false,
        validation: None,
        learning_rates: [("ve".to_string(), 1e-3), ("llm".to_string(), 1e-3)].into(),
        scale: ScaleConvention::Constant { scale: 2.0 },
        optim: OptimSpec::default(),
        fingerprint: String::new(),
        method: None,
        variant: Variant::default(),
        continues: None,
    };
    let record = NativeTrainer::new(model, train, validation, options).train(&[run], &mut Silent).remove(0);
    if record.end == RunEnd::Finished { Ok(()) } else { Err(format!("the run ended: {}", record.end).into()) }
}

/// Examples whose batches need not be made: the same two again and again.
struct Ready<'a> {
    examples: &'a EncodedExamples,
    batch: VlmBatch,
    one: VlmBatch,
}

impl<'a> Ready<'a> {
    fn new(examples: &'a EncodedExamples) -> Result<Self, Failure> {
        let batch = |size| examples.batch(&[(0..size).collect()], &Device::flex());
        Ok(Self { examples, batch: batch(BATCH)?, one: batch(1)? })
    }
}

impl Examples for Ready<'_> {
    type Batch = VlmBatch;

    fn len(&self) -> usize {
        self.examples.len()
    }

    fn id(&self, index: usize) -> String {
        self.examples.id(index)
    }

    fn batch(&self, rows: &[Vec<usize>], _device: &Device) -> Result<VlmBatch, Error> {
        match rows {
            [own] if own.len() == BATCH => Ok(self.batch.clone()),
            [own] if own.len() == 1 => Ok(self.one.clone()),
            _ => Err(Error::Batch("only batches of one adapter are ready".to_string())),
        }
    }
}
