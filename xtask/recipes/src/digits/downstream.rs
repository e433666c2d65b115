//! A downstream task as files: three LLaVA JSON lists and one archive of pictures.

use std::path::Path;

use anyhow::Result;
use image::{ExtendedColorType, GrayImage, ImageEncoder, codecs::png};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    canvas::Canvas,
    source::{Digits, Split},
    task::Task,
};
use crate::archive::{self, Archive};

/// How one split is made.
struct Part {
    split: Split,
    name: &'static str,
    seed: u64,
    images: usize,
    questions_each: usize,
}

/// The splits of a task.
fn parts(task: &Task) -> [Part; 3] {
    let part = |split, name, seed, images, questions_each| Part {
        split,
        name,
        seed: seed + task.seed,
        images,
        questions_each,
    };
    [
        part(Split::Train, "train", 11, task.images, 4),
        part(Split::Val, "val", 12, task.evaluated[0], 2),
        part(Split::Test, "test", 13, task.evaluated[1], 2),
    ]
}

/// The files of the task: name and content.
///
/// # Errors
/// When a picture cannot be encoded or the archive cannot be written, neither of which should happen.
pub fn files(digits: &Digits, task: &Task) -> Result<Vec<(String, Vec<u8>)>> {
    let mut archive = Archive::default();
    let mut files = Vec::new();
    for part in &parts(task) {
        let mut rng = ChaCha8Rng::seed_from_u64(part.seed);
        let mut samples = Vec::new();
        for image in 0..part.images {
            let canvas = Canvas::compose(digits.split(part.split), &task.look, &mut rng);
            let picture = format!("{}{image:04}.png", part.name);
            archive.add(&picture, &png(&canvas.image)?)?;
            for (n, question) in task.about(&canvas.labels, part.questions_each, &mut rng).iter().enumerate()
            {
                let id = format!("{}{image:04}-{n}-{}", part.name, question.kind.name());
                samples.push(archive::sample(&id, &picture, &question.text, &question.answer));
            }
        }
        files.push((format!("{}.json", part.name), archive::list(&samples)));
    }
    files.push(("images.zip".into(), archive.finish()?));
    Ok(files)
}

fn png(image: &GrayImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder =
        png::PngEncoder::new_with_quality(&mut bytes, png::CompressionType::Best, png::FilterType::NoFilter);
    encoder.write_image(image.as_raw(), image.width(), image.height(), ExtendedColorType::L8)?;
    Ok(bytes)
}

/// Writes the task into `directory`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(digits: &Digits, task: &Task, directory: &Path) -> Result<()> {
    for (name, content) in files(digits, task)? {
        crate::write_file(&directory.join(name), &content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::task::EMBEDDED;
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn lists_are_llava_json_and_name_pictures_of_their_own_split() {
        let files = files(&Digits::load().unwrap(), &EMBEDDED).unwrap();
        let mut archive =
            zip::ZipArchive::new(std::io::Cursor::new(files.last().unwrap().1.clone())).unwrap();
        let mut ids = HashSet::new();
        for (part, (_, list)) in parts(&EMBEDDED).iter().zip(&files) {
            let samples: Vec<serde_json::Value> = serde_json::from_slice(list).unwrap();
            assert_eq!(samples.len(), part.images * part.questions_each);
            for sample in &samples {
                assert!(ids.insert(sample["id"].as_str().unwrap().to_string()));
                let picture = sample["image"].as_str().unwrap();
                assert!(picture.starts_with(part.name));
                assert!(archive.by_name(picture).is_ok());
                let human = sample["conversations"][0]["value"].as_str().unwrap();
                assert_eq!(human.matches("<image>").count(), 1);
            }
        }
        assert_eq!(archive.len(), parts(&EMBEDDED).iter().map(|p| p.images).sum::<usize>());
        assert!(files.iter().map(|f| f.1.len()).sum::<usize>() < 1_500_000);
    }

    #[test]
    fn pictures_survive_the_archive() {
        let digits = Digits::load().unwrap();
        let files = files(&digits, &EMBEDDED).unwrap();
        let mut archive =
            zip::ZipArchive::new(std::io::Cursor::new(files.last().unwrap().1.clone())).unwrap();
        let mut bytes = Vec::new();
        std::io::copy(&mut archive.by_name("val0000.png").unwrap(), &mut bytes).unwrap();
        let read = image::load_from_memory(&bytes).unwrap();
        assert_eq!(read.color(), image::ColorType::L8);
        let mut rng = ChaCha8Rng::seed_from_u64(parts(&EMBEDDED)[1].seed);
        let drawn = Canvas::compose(digits.split(Split::Val), &EMBEDDED.look, &mut rng);
        assert_eq!(read.into_luma8(), drawn.image);
    }
}
