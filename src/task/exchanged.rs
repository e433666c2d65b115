//! Whether answers depend on the images: the loss with the images of other samples.

use crate::Error;
use mars_calib::native::Evaluation;
use mars_vlm::{
    data::{ImageRef, Sample},
    model::EncodedExamples,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

/// The loss of samples that were given the images of others, beside the loss with their own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Further samples that the model does not take with the images of others, which make them too long, say; they are not scored.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unfit: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl ExchangedImages {
    /// Whether the loss rises by more than two standard errors.
    pub fn depends_on_images(&self) -> bool {
        self.standard_error.is_some_and(|error| self.difference > 2.0 * error)
    }

    /// Compares the evaluation `own` of all samples with that of those in `pairs`; `None` without such.
    pub(crate) fn of(own: &Evaluation, pairs: &Pairs, other: &Evaluation) -> Option<Self> {
        let tokens = other.tokens() as f64;
        let scored = || pairs.rows.iter().zip(&other.samples);
        let rise = |row: usize, loss: f64, tokens: usize| (loss - own.samples[row].loss) * tokens as f64;
        let difference = scored().map(|(row, one)| rise(*row, one.loss, one.tokens)).sum::<f64>() / tokens;
        // Residuals of a ratio, summed over samples that share their images.
        let mut groups: BTreeMap<usize, f64> = BTreeMap::new();
        for ((row, one), group) in scored().zip(&pairs.groups) {
            *groups.entry(*group).or_default() +=
                rise(*row, one.loss, one.tokens) - difference * one.tokens as f64;
        }
        let count = groups.len() as f64;
        let variance = groups.values().map(|sum| sum * sum).sum::<f64>() * count / (count - 1.0);
        (!pairs.rows.is_empty()).then(|| Self {
            samples: pairs.rows.len(),
            loss: other.loss(),
            difference,
            standard_error: (groups.len() > 1).then(|| variance.sqrt() / tokens),
            accuracy: other.accuracy(),
            unfit: pairs.unfit,
        })
    }
}

impl fmt::Display for ExchangedImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, loss, difference, accuracy, unfit, .. } = self;
        write!(f, "with the images of other samples: loss {loss:.5} ({difference:+.5}")?;
        if let Some(error) = self.standard_error {
            write!(f, ", standard error {error:.5}")?;
        }
        let meaning = if self.depends_on_images() {
            "the answers depend on the images"
        } else {
            "no evidence that the answers depend on the images; if they do not, the rank of the vision encoder is meaningless"
        };
        write!(f, "), accuracy {:.1} %; {samples} samples", 100.0 * accuracy)?;
        if *unfit > 0 {
            write!(
                f,
                " ({unfit} more samples would be too long with exchanged images, or the model refuses their size)"
            )?;
        }
        write!(f, ": {meaning}")
    }
}

/// Which samples were given the images of which others.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pairs {
    /// The samples, rising.
    pub(crate) rows: Vec<usize>,
    /// The samples whose images they got.
    others: Vec<usize>,
    /// For each a number that it shares with those about the same images.
    groups: Vec<usize>,
    /// Samples that are not among them, as the model does not take them with the images of the other.
    unfit: usize,
}

impl Pairs {
    /// Gives each sample the images of another one with as many of them, half of the samples further on: neighbours are often about
    /// the same image. Samples without images, and those for which there are no others, are left out.
    pub(crate) fn of(samples: &[Sample]) -> Self {
        let mut alike: HashMap<usize, Vec<usize>> = HashMap::new();
        for (row, sample) in samples.iter().enumerate().filter(|(_, sample)| !sample.images.is_empty()) {
            alike.entry(sample.images.len()).or_default().push(row);
        }
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for rows in alike.values() {
            for (at, row) in rows.iter().enumerate() {
                let mut others = (0..rows.len()).map(|step| rows[(at + rows.len() / 2 + step) % rows.len()]);
                let other = others.find(|other| differ(&samples[*row].images, &samples[*other].images));
                pairs.extend(other.map(|other| (*row, other)));
            }
        }
        pairs.sort_unstable();
        let mut known: HashMap<&[ImageRef], usize> = HashMap::new();
        let groups = pairs.iter().map(|(row, _)| {
            let next = known.len();
            *known.entry(&samples[*row].images).or_insert(next)
        });
        let groups = groups.collect();
        let (rows, others) = pairs.into_iter().unzip();
        Self { rows, others, groups, unfit: 0 }
    }

    /// At most `most` of them, evenly spaced.
    pub(crate) fn at_most(&self, most: usize) -> Self {
        let stride = self.rows.len().div_ceil(most.max(1)).max(1);
        let thin = |all: &[usize]| all.iter().copied().step_by(stride).collect();
        Self {
            rows: thin(&self.rows),
            others: thin(&self.others),
            groups: thin(&self.groups),
            unfit: self.unfit,
        }
    }

    /// The pairs of `examples` whose sample the model takes with the images of the other, and these samples encoded.
    ///
    /// # Errors
    /// When an image cannot be read any more.
    pub(crate) fn encoded(&self, examples: &EncodedExamples) -> Result<(Self, EncodedExamples), Error> {
        let (places, encoded) = examples.with_fitting(self.exchanged(examples.samples()))?;
        let some = |all: &[usize]| places.iter().map(|at| all[*at]).collect();
        let unfit = self.unfit + self.rows.len() - places.len();
        let pairs =
            Self { rows: some(&self.rows), others: some(&self.others), groups: some(&self.groups), unfit };
        Ok((pairs, encoded))
    }

    /// The samples `rows` of `samples`, with the images of others.
    fn exchanged(&self, samples: &[Sample]) -> Vec<Sample> {
        let with = |(row, other): (&usize, &usize)| Sample {
            images: samples[*other].images.clone(),
            ..samples[*row].clone()
        };
        self.rows.iter().zip(&self.others).map(with).collect()
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
        let pairs = Pairs::of(&all);
        assert_eq!(pairs.rows, [0, 1, 2, 3, 5, 6, 7, 8]);
        assert_eq!(pairs.groups, [0, 0, 1, 1, 2, 3, 4, 0]);
        for (row, sample) in pairs.rows.iter().zip(pairs.exchanged(&all)) {
            let own = &all[*row];
            assert!((&sample.id, &sample.turns) == (&own.id, &own.turns));
            assert!(sample.images.len() == own.images.len() && differ(&sample.images, &own.images), "{row}");
        }
    }

    #[test]
    fn samples_without_a_counterpart_are_left_out() {
        assert_eq!(Pairs::of(&samples(&[&["a"], &["a"], &["b", "c"], &[]])), Pairs::default());
        assert_eq!(Pairs::of(&[]), Pairs::default());
    }

    #[test]
    fn a_part_of_the_pairs_is_spread_over_all_of_them() {
        let names: Vec<String> = (0..10).map(|at| at.to_string()).collect();
        let images: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
        let all = Pairs::of(&samples(&images.iter().map(|one| one.as_slice()).collect::<Vec<_>>()));
        assert_eq!(all.at_most(3).rows, [0, 4, 8]);
        assert_eq!(all.at_most(3).others, [5, 9, 3]);
        assert_eq!((all.at_most(10), all.at_most(11)), (all.clone(), all));
        assert_eq!(Pairs::default().at_most(3), Pairs::default());
    }

    #[test]
    fn the_difference_is_that_of_the_losses_by_tokens() {
        let pairs = Pairs::of(&samples(&[&["a"], &["b"], &["c"]]));
        let own = evaluation(&[(1.0, 1), (2.0, 2), (0.5, 4)]);
        let other = evaluation(&[(1.5, 1), (2.0, 2), (1.0, 4)]);
        let found = ExchangedImages::of(&own, &pairs, &other).unwrap();
        assert!((found.difference - (other.loss() - own.loss())).abs() < 1e-12);
        // Of a ratio: residuals 0.5 - d, -2 d, 2 - 4 d with d = 2.5 / 7.
        let d = 2.5 / 7.0_f64;
        let sum = (0.5 - d).powi(2) + (2.0 * d).powi(2) + (2.0 - 4.0 * d).powi(2);
        assert!((found.standard_error.unwrap() - (sum * 1.5).sqrt() / 7.0).abs() < 1e-12);
    }

    /// Samples that are asked twice about the same images are no further evidence.
    #[test]
    fn samples_about_one_image_are_one_observation() {
        let found = |all: &[&[&str]], own: &[(f64, usize)], other: &[(f64, usize)]| {
            ExchangedImages::of(&evaluation(own), &Pairs::of(&samples(all)), &evaluation(other)).unwrap()
        };
        let once = found(&[&["a"], &["b"]], &[(1.0, 1), (1.0, 1)], &[(2.0, 1), (4.0, 1)]);
        let own = [(1.0, 1); 4];
        let twice = found(&[&["a"], &["a"], &["b"], &["b"]], &own, &[(2.0, 1), (2.0, 1), (4.0, 1), (4.0, 1)]);
        assert!((once.standard_error.unwrap() - twice.standard_error.unwrap()).abs() < 1e-12);
        assert!(twice.to_string().contains("the answers depend on the images"), "{twice}");
        let same = found(&[&["a"], &["b"]], &[(1.0, 1), (1.0, 1)], &[(0.5, 1), (1.5, 1)]);
        assert!(same.to_string().contains("no evidence that the answers depend"), "{same}");
    }
}
