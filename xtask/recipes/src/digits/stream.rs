//! The pre-training task: an endless stream of fresh canvases of the training digits, easy questions first.

use image::{DynamicImage, GrayImage, RgbImage};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    canvas::{Canvas, Look},
    question::{self, Kind, Question},
    source::{Digit, Digits, Split},
};
use crate::stream::{Labelled, Phase, Sample, Stream};

const VALIDATION_SEED: u64 = 7;
/// Share of the stream that has no picture.
const TEXT_ONLY: f64 = 0.1;

/// A sample of the pre-training task.
#[derive(Clone, Debug)]
pub struct PretrainSample {
    /// The canvas, 24 x 24; none for a text-only question.
    pub image: Option<GrayImage>,
    /// Question and answer.
    pub question: Question,
}

/// Kinds with a picture; a kind listed twice is asked twice as often.
fn kinds(phase: Phase) -> &'static [Kind] {
    match phase {
        Phase::Reading => &[Kind::What, Kind::Read, Kind::Read, Kind::All, Kind::All, Kind::Word],
        Phase::Everything => {
            &[Kind::What, Kind::Read, Kind::All, Kind::Largest, Kind::Even, Kind::Sum, Kind::Sum, Kind::Word]
        }
    }
}

/// Samples without end, the same for the same seed.
#[derive(Clone, Debug)]
pub struct PretrainStream<'a> {
    digits: &'a [Digit],
    rng: ChaCha8Rng,
}

impl<'a> PretrainStream<'a> {
    /// A stream over the training digits.
    pub fn new(digits: &'a Digits, seed: u64) -> Self {
        Self { digits: digits.split(Split::Train), rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The next `n` samples.
    pub fn batch(&mut self, n: usize, phase: Phase) -> Vec<PretrainSample> {
        (0..n).map(|_| self.sample(phase)).collect()
    }

    /// The next `n` canvases without questions.
    pub fn canvases(&mut self, n: usize) -> Vec<Canvas> {
        (0..n).map(|_| Canvas::compose(self.digits, &Look::PLAIN, &mut self.rng)).collect()
    }

    fn sample(&mut self, phase: Phase) -> PretrainSample {
        let text_only = self.rng.random_bool(TEXT_ONLY);
        let kind = if text_only { Kind::Text } else { pick(kinds(phase), &mut self.rng) };
        draw(kind, self.digits, &mut self.rng)
    }
}

impl Stream for PretrainStream<'_> {
    const CLASSES: usize = 10;

    fn labelled(&mut self, n: usize) -> Vec<Labelled> {
        let canvases = self.canvases(n).into_iter();
        canvases
            .map(|c| Labelled { image: colour(c.image), labels: c.labels.map(usize::from).to_vec() })
            .collect()
    }

    fn questions(&mut self, n: usize, phase: Phase) -> Vec<Sample> {
        self.batch(n, phase).into_iter().map(Sample::from).collect()
    }
}

impl From<PretrainSample> for Sample {
    fn from(sample: PretrainSample) -> Self {
        let Question { kind, text, answer } = sample.question;
        Self { image: sample.image.map(colour), kind: kind.name(), question: text, answer }
    }
}

fn colour(picture: GrayImage) -> RgbImage {
    DynamicImage::ImageLuma8(picture).to_rgb8()
}

/// 512 fixed samples with pictures of validation digits, all kinds of pre-training equally often.
pub fn validation(digits: &Digits) -> Vec<PretrainSample> {
    const KINDS: [Kind; 7] =
        [Kind::What, Kind::Read, Kind::All, Kind::Largest, Kind::Even, Kind::Sum, Kind::Word];
    let mut rng = ChaCha8Rng::seed_from_u64(VALIDATION_SEED);
    let kinds = KINDS.iter().cycle().take(512);
    kinds.map(|&kind| draw(kind, digits.split(Split::Val), &mut rng)).collect()
}

fn pick(kinds: &[Kind], rng: &mut impl Rng) -> Kind {
    kinds.choose(rng).copied().unwrap_or(Kind::What)
}

fn draw(kind: Kind, digits: &[Digit], rng: &mut impl Rng) -> PretrainSample {
    let canvas = Canvas::compose(digits, &Look::PLAIN, rng);
    let question = question::pretraining(kind, &canvas.labels, rng)
        .expect("only kinds of the pre-training task are listed in this file");
    let image = (question.kind != Kind::Text).then_some(canvas.image);
    PretrainSample { image, question }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_seed_determines_the_stream() {
        let digits = Digits::load().unwrap();
        let texts = |seed, phase| -> Vec<_> {
            let samples = PretrainStream::new(&digits, seed).batch(200, phase);
            samples.into_iter().map(|s| (s.question, s.image.map(|i| i.into_raw()))).collect()
        };
        assert_eq!(texts(1, Phase::Everything), texts(1, Phase::Everything));
        assert_ne!(texts(1, Phase::Everything), texts(2, Phase::Everything));
        let kinds = |phase| texts(3, phase).iter().map(|s| s.0.kind).collect::<HashSet<_>>();
        let reading = HashSet::from([Kind::What, Kind::Read, Kind::All, Kind::Word, Kind::Text]);
        assert_eq!(kinds(Phase::Reading), reading);
        assert_eq!(kinds(Phase::Everything).len(), 8);
    }

    #[test]
    fn validation_always_shows_a_picture() {
        let samples = validation(&Digits::load().unwrap());
        assert_eq!(samples.len(), 512);
        assert!(samples.iter().all(|s| s.image.is_some()));
    }
}
