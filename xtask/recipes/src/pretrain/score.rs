//! How well the model answers the validation questions of the pre-training task.

use std::{collections::BTreeMap, fmt};

use anyhow::Result;
use mars_lora::{AdapterStack, Model};
use mars_vlm::model::{Idefics3, Idefics3Net, VlmBatch};

use super::encode::Encoder;
use crate::stream::Sample;

const BATCH: usize = 128;

/// The validation set, encoded once.
pub struct Scorer {
    model: Idefics3,
    batches: Vec<(VlmBatch, Vec<&'static str>)>,
}

/// Loss and accuracies.
#[derive(Clone, Debug)]
pub struct Score {
    /// Mean cross-entropy per answer token.
    pub loss: f64,
    /// Answers that are right in every token.
    pub accuracy: f64,
    /// The same by kind of question.
    pub by_kind: BTreeMap<&'static str, f64>,
}

impl Scorer {
    /// `model` is any model of the right shape without autodiff; its weights are replaced.
    ///
    /// # Errors
    /// When a sample cannot be encoded.
    pub fn new(model: Idefics3, encoder: &Encoder, samples: &[Sample]) -> Result<Self> {
        let device = model.device();
        let batches = samples.chunks(BATCH).map(|part| {
            let kinds = part.iter().map(|s| s.kind).collect();
            Ok((encoder.batch(part, &device)?, kinds))
        });
        Ok(Self { batches: batches.collect::<Result<_>>()?, model })
    }

    /// The score of these weights.
    ///
    /// # Errors
    /// Never at present; the signature allows for devices that fail.
    pub fn score(&mut self, net: Idefics3Net) -> Result<Score> {
        self.model.net = net;
        let base = AdapterStack::base(1, &self.model);
        let (mut sum, mut tokens) = (0.0, 0);
        let mut right: BTreeMap<&'static str, Vec<bool>> = BTreeMap::new();
        for (batch, kinds) in &self.batches {
            let out = self.model.forward(batch, &base, true);
            let losses: Vec<f32> = out.losses.into_data().iter::<f32>().collect();
            let hits: Vec<f32> = out
                .correct
                .into_iter()
                .flat_map(|c| c.into_data().iter::<f32>().collect::<Vec<_>>())
                .collect();
            let mut from = 0;
            for (kind, &count) in kinds.iter().zip(&out.tokens[0]) {
                let own = from..from + count;
                sum += losses[own.clone()].iter().map(|l| f64::from(*l)).sum::<f64>();
                right.entry(*kind).or_default().push(hits[own].iter().all(|h| *h > 0.5));
                from += count;
            }
            tokens += from;
        }
        let share = |hits: &[bool]| hits.iter().filter(|h| **h).count() as f64 / hits.len().max(1) as f64;
        let all: Vec<bool> = right.values().flatten().copied().collect();
        let by_kind = right.iter().map(|(kind, hits)| (*kind, share(hits))).collect();
        Ok(Score { loss: sum / f64::from(tokens.max(1) as u32), accuracy: share(&all), by_kind })
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.4}, accuracy {:.3} (", self.loss, self.accuracy)?;
        for (n, (kind, accuracy)) in self.by_kind.iter().enumerate() {
            write!(f, "{}{} {accuracy:.2}", if n == 0 { "" } else { ", " }, kind)?;
        }
        write!(f, ")")
    }
}
