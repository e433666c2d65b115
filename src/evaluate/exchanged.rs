//! Whether answers depend on the images: the loss with the images of other samples.

use mars_calib::native::Evaluation;
use mars_vlm::data::{ImageRef, Sample};
use serde::Serialize;
use std::collections::HashMap;

/// The loss of samples that were given the images of others, beside the loss with their own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExchangedImages {
    /// Samples with images for which others of the same number were found.
    pub samples: usize,
    /// Mean cross-entropy per answer token with images of other samples, nats.
    pub loss: f64,
    /// How much higher this is than the loss of the same samples with their own images, nats.
    pub difference: f64,
    /// Standard error of the difference; samples about the same images count as one observation. `None` where there are not two.
    pub standard_error: Option<f64>,
    /// Part of the samples whose answer greedy decoding gives exactly, in [0, 1].
    pub accuracy: f64,
}

impl ExchangedImages {
    /// Whether the loss rises by more than two standard errors.
    pub fn depends_on_images(&self) -> bool {
        self.standard_error.is_some_and(|error| self.difference > 2.0 * error)
    }

    /// Compares the evaluation `own` of all samples with that of `exchanged`; `None` without samples.
    pub(super) fn of(
        samples: &[Sample],
        own: &Evaluation,
        exchanged: &Exchanged,
        other: &Evaluation,
    ) -> Option<Self> {
        let tokens = other.tokens() as f64;
        let pairs = || exchanged.rows.iter().zip(&other.samples);
        let rise = |row: usize, loss: f64, tokens: usize| (loss - own.samples[row].loss) * tokens as f64;
        let difference = pairs().map(|(row, one)| rise(*row, one.loss, one.tokens)).sum::<f64>() / tokens;
        // Residuals of a ratio, summed over samples that share their images.
        let mut groups: HashMap<&[ImageRef], f64> = HashMap::new();
        for (row, one) in pairs() {
            *groups.entry(&samples[*row].images).or_default() +=
                rise(*row, one.loss, one.tokens) - difference * one.tokens as f64;
        }
        let count = groups.len() as f64;
        let variance = groups.values().map(|sum| sum * sum).sum::<f64>() * count / (count - 1.0);
        (!exchanged.rows.is_empty()).then(|| Self {
            samples: exchanged.rows.len(),
            loss: other.loss(),
            difference,
            standard_error: (groups.len() > 1).then(|| variance.sqrt() / tokens),
            accuracy: other.accuracy(),
        })
    }
}

/// Samples with the images of others.
pub(super) struct Exchanged {
    /// Which of the samples they are.
    pub(super) rows: Vec<usize>,
    /// These samples, in order.
    pub(super) samples: Vec<Sample>,
}

/// Gives each sample the images of another one with as many of them, half of the samples further on: neighbours are often about
/// the same image. Samples without images, and those for which there are no others, are left out.
pub(super) fn exchange(samples: &[Sample]) -> Exchanged {
    let mut alike: HashMap<usize, Vec<usize>> = HashMap::new();
    for (row, sample) in samples.iter().enumerate().filter(|(_, sample)| !sample.images.is_empty()) {
        alike.entry(sample.images.len()).or_default().push(row);
    }
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for rows in alike.values() {
        for (at, row) in rows.iter().enumerate() {
            let others = (0..rows.len()).map(|step| rows[(at + rows.len() / 2 + step) % rows.len()]);
            let other =
                others.into_iter().find(|other| differ(&samples[*row].images, &samples[*other].images));
            pairs.extend(other.map(|other| (*row, other)));
        }
    }
    pairs.sort_unstable();
    let with = |(row, other): &(usize, usize)| Sample {
        images: samples[*other].images.clone(),
        ..samples[*row].clone()
    };
    Exchanged {
        samples: pairs.iter().map(with).collect(),
        rows: pairs.into_iter().map(|(row, _)| row).collect(),
    }
}

/// Whether no image has kept its place.
fn differ(one: &[ImageRef], other: &[ImageRef]) -> bool {
    one.iter().zip(other).all(|(one, other)| one != other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mars_calib::native::SampleScore;
    use mars_vlm::data::Dataset;

    /// Samples with the images of the given names.
    fn samples(images: &[&[&str]]) -> Vec<Sample> {
        let one = |(at, names): (usize, &&[&str])| {
            let text = format!("{}what?", "<image>".repeat(names.len()));
            serde_json::json!({ "id": at.to_string(), "image": names, "conversations": [
                { "from": "human", "value": text }, { "from": "gpt", "value": "that" } ] })
        };
        let all: Vec<serde_json::Value> = images.iter().enumerate().map(one).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data.json");
        std::fs::write(&file, serde_json::to_string(&all).unwrap()).unwrap();
        Dataset::read(&file).unwrap().samples
    }

    fn evaluation(scores: &[(f64, usize)]) -> Evaluation {
        let one = |&(loss, tokens): &(f64, usize)| SampleScore { loss, tokens, correct: false };
        Evaluation { samples: scores.iter().map(one).collect(), flops: 0.0 }
    }

    #[test]
    fn every_sample_gets_as_many_images_of_others() {
        let all =
            samples(&[&["a"], &["a"], &["b"], &["b"], &[], &["c", "d"], &["e", "f"], &["g", "d"], &["a"]]);
        let exchanged = exchange(&all);
        assert_eq!(exchanged.rows, [0, 1, 2, 3, 5, 6, 7, 8]);
        for (row, sample) in exchanged.rows.iter().zip(&exchanged.samples) {
            let own = &all[*row];
            assert!((&sample.id, &sample.turns) == (&own.id, &own.turns));
            assert!(sample.images.len() == own.images.len() && differ(&sample.images, &own.images), "{row}");
        }
    }

    #[test]
    fn samples_without_a_counterpart_are_left_out() {
        assert!(exchange(&samples(&[&["a"], &["a"], &["b", "c"], &[]])).rows.is_empty());
        assert!(exchange(&[]).rows.is_empty());
    }

    #[test]
    fn the_difference_is_that_of_the_losses_by_tokens() {
        let all = samples(&[&["a"], &["b"], &["c"]]);
        let exchanged = exchange(&all);
        let own = evaluation(&[(1.0, 1), (2.0, 2), (0.5, 4)]);
        let other = evaluation(&[(1.5, 1), (2.0, 2), (1.0, 4)]);
        let found = ExchangedImages::of(&all, &own, &exchanged, &other).unwrap();
        assert!((found.difference - (other.loss() - own.loss())).abs() < 1e-12);
        // Of a ratio: residuals 0.5 - d, -2 d, 2 - 4 d with d = 2.5 / 7.
        let d = 2.5 / 7.0_f64;
        let sum = (0.5 - d).powi(2) + (2.0 * d).powi(2) + (2.0 - 4.0 * d).powi(2);
        assert!((found.standard_error.unwrap() - (sum * 1.5).sqrt() / 7.0).abs() < 1e-12);
    }

    /// Samples that are asked twice about the same images are no further evidence.
    #[test]
    fn samples_about_one_image_are_one_observation() {
        let error = |all: &[&[&str]], own: &[(f64, usize)], other: &[(f64, usize)]| {
            let all = samples(all);
            let found =
                ExchangedImages::of(&all, &evaluation(own), &exchange(&all), &evaluation(other)).unwrap();
            found.standard_error.unwrap()
        };
        let once = error(&[&["a"], &["b"]], &[(1.0, 1), (1.0, 1)], &[(2.0, 1), (4.0, 1)]);
        let own = [(1.0, 1); 4];
        let twice = error(&[&["a"], &["a"], &["b"], &["b"]], &own, &[(2.0, 1), (2.0, 1), (4.0, 1), (4.0, 1)]);
        assert!((once - twice).abs() < 1e-12);
    }
}
