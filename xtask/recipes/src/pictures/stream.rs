//! Pre-training on drawn scenes, and on names and sections of one part of the clip art.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use image::{Rgb, RgbImage, imageops};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    clipart::Picture,
    rows,
    scene::{CELLS, COLOURS, FIGURES, Scene},
    scene_question,
};
use crate::stream::{Labelled, Phase, Sample, Stream};

/// Share of questions about clip art while reading is learned, and afterwards.
const CLIPART: [f64; 2] = [0.1, 0.5];
/// Classes that things leave for sections.
const SECTIONS: usize = 32;
/// Classes of things, nothing included.
const THINGS: usize = 1 + FIGURES.len() * COLOURS.len();
/// Pictures are moved by up to so many pixels each way.
const MOVED: i64 = 3;

/// A picture in memory.
#[derive(Clone, Debug)]
pub struct Shown {
    image: RgbImage,
    texts: Vec<(&'static str, String)>,
}

/// Reads the pictures of a part that have a name or a section.
///
/// # Errors
/// When a picture cannot be read.
pub fn shown(directory: &Path, part: &[Picture]) -> Result<Vec<Shown>> {
    let texts = |p: &Picture| {
        let both = [("name", &p.name), ("section", &p.section)];
        both.into_iter().filter_map(|(kind, text)| text.clone().map(|t| (kind, t))).collect::<Vec<_>>()
    };
    part.iter()
        .map(|p| (p, texts(p)))
        .filter(|(_, texts)| !texts.is_empty())
        .map(|(p, texts)| Ok(Shown { image: rows::picture(&directory.join("images").join(&p.file))?, texts }))
        .collect()
}

/// Samples without end, the same for the same seed.
#[derive(Clone, Debug)]
pub struct PictureStream {
    pictures: Vec<Shown>,
    /// Pictures by section, each of which is a class of the tokens of its pictures.
    sections: Vec<Vec<usize>>,
    rng: ChaCha8Rng,
}

impl PictureStream {
    /// A stream over these pictures.
    pub fn new(pictures: Vec<Shown>, seed: u64) -> Self {
        let mut sections: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (n, picture) in pictures.iter().enumerate() {
            for (_, name) in picture.texts.iter().filter(|(kind, _)| *kind == "section") {
                sections.entry(name.clone()).or_default().push(n);
            }
        }
        let sections = sections.into_values().take(SECTIONS).collect();
        Self { pictures, sections, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// A scene, or a picture of a section; all tokens of a picture have the class of its section, and frequent
    /// sections are not preferred.
    fn labelled_picture(&mut self) -> Labelled {
        let section = self.rng.random_range(0..self.sections.len().max(1));
        if self.rng.random_bool(0.5)
            && let Some(&picture) = self.sections.get(section).and_then(|s| s.choose(&mut self.rng))
        {
            let image = moved(&self.pictures[picture].image, &mut self.rng);
            return Labelled { image, labels: vec![THINGS + section; CELLS * CELLS] };
        }
        let scene = Scene::grid(0.6, &mut self.rng);
        Labelled { labels: scene.labels(), image: scene.image }
    }

    fn sample(&mut self, phase: Phase) -> Sample {
        let share = CLIPART[usize::from(phase == Phase::Everything)];
        if self.rng.random_bool(share)
            && let Some(shown) = self.pictures.choose(&mut self.rng)
            && let Some((kind, answer)) = shown.texts.choose(&mut self.rng)
        {
            return about(moved(&shown.image, &mut self.rng), kind, answer);
        }
        scene_question::ask(phase, &mut self.rng)
    }
}

impl Stream for PictureStream {
    const CLASSES: usize = THINGS + SECTIONS;

    fn labelled(&mut self, n: usize) -> Vec<Labelled> {
        (0..n).map(|_| self.labelled_picture()).collect()
    }

    fn questions(&mut self, n: usize, phase: Phase) -> Vec<Sample> {
        (0..n).map(|_| self.sample(phase)).collect()
    }
}

/// Half of `n` fixed samples about scenes, half about `pictures`, as they are.
pub fn validation(pictures: &[Shown], n: usize) -> Vec<Sample> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let texts: Vec<_> = pictures.iter().flat_map(|p| p.texts.iter().map(move |t| (&p.image, t))).collect();
    let scenes: Vec<Sample> = (0..n / 2).map(|_| scene_question::ask(Phase::Everything, &mut rng)).collect();
    let clipart = texts.choose_multiple(&mut rng, n - n / 2);
    scenes
        .into_iter()
        .chain(clipart.map(|(image, (kind, answer))| about((*image).clone(), kind, answer)))
        .collect()
}

/// Every text of pre-training once, for the tokenizer; those about scenes as often as those about pictures.
pub fn texts(pictures: &[Shown]) -> Vec<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let about_pictures: Vec<Sample> = pictures
        .iter()
        .flat_map(|p| p.texts.iter().map(|(kind, answer)| about(RgbImage::new(1, 1), kind, answer)))
        .collect();
    let scenes: Vec<Sample> =
        about_pictures.iter().map(|_| scene_question::ask(Phase::Everything, &mut rng)).collect();
    about_pictures.into_iter().chain(scenes).flat_map(|s| [s.question, s.answer]).collect()
}

fn about(image: RgbImage, kind: &'static str, answer: &str) -> Sample {
    let question = if kind == "name" { "what does this picture show?" } else { "which section is it from?" };
    Sample { image: Some(image), kind, question: question.into(), answer: answer.into() }
}

/// The picture, moved a little on white and half of the time mirrored.
fn moved(image: &RgbImage, rng: &mut impl Rng) -> RgbImage {
    let mut canvas = RgbImage::from_pixel(image.width(), image.height(), Rgb([255; 3]));
    let (x, y) = (rng.random_range(-MOVED..=MOVED), rng.random_range(-MOVED..=MOVED));
    imageops::overlay(&mut canvas, image, x, y);
    if rng.random_bool(0.5) { imageops::flip_horizontal(&canvas) } else { canvas }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(seed: u64) -> PictureStream {
        let image = RgbImage::from_pixel(48, 48, Rgb([9, 99, 199]));
        let texts = vec![("name", "a blue wall".to_string()), ("section", "buildings".to_string())];
        PictureStream::new(vec![Shown { image, texts }], seed)
    }

    #[test]
    fn a_seed_determines_the_stream() {
        let drawn = |seed| (stream(seed).labelled(5), stream(seed).questions(50, Phase::Everything));
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn both_sources_are_asked_about_in_both_phases() {
        for phase in [Phase::Reading, Phase::Everything] {
            let kinds: Vec<&str> = stream(3).questions(300, phase).iter().map(|s| s.kind).collect();
            assert!(
                ["name", "section", "cell", "row", "colours"].iter().all(|k| kinds.contains(k)),
                "{kinds:?}"
            );
        }
    }

    #[test]
    fn classes_cover_all_labels() {
        let labels: Vec<usize> = stream(4).labelled(300).into_iter().flat_map(|p| p.labels).collect();
        assert_eq!(labels.iter().max(), Some(&THINGS), "one section");
        assert!(labels.contains(&(THINGS - 1)) && labels.contains(&0));
        assert_eq!(labels.len(), 300 * 9);
    }
}
