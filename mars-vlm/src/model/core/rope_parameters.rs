//! What `config.json` says of rotary positions.

use super::config_file::limits;
use super::line_rope::RopeBands;
use serde::Deserialize;

/// Rotary settings, where newer `transformers` keep them all and older ones what is unusual.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct RopeParameters {
    pub(super) rope_theta: Option<f64>,
    rope_type: Option<String>,
    r#type: Option<String>,
    pub(super) mrope_section: Option<[usize; 3]>,
    pub(super) mrope_interleaved: Option<bool>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
}

/// What positions are divided by, and for which frequencies, as in [`LineRope`](super::line_rope::LineRope).
pub(super) type Scaling = (f64, Option<RopeBands>);

/// Positions as they are.
pub(super) const PLAIN: Scaling = (1.0, None);

impl RopeParameters {
    /// How positions are stretched, under either name, or `None` if neither is there.
    ///
    /// Which of the two names counts differs between architectures of transformers, so both have to say the same.
    ///
    /// # Errors
    /// A message with the kind, and what it lacks.
    pub(super) fn scaling(&self) -> Result<Option<Scaling>, String> {
        let kinds = [&self.r#type, &self.rope_type].into_iter().flatten();
        let found = kinds.map(|kind| self.of_kind(kind)).collect::<Result<Vec<_>, _>>()?;
        agreed(&found)
    }

    fn of_kind(&self, kind: &str) -> Result<Scaling, String> {
        let number = |name: &str, value: Option<f64>| {
            let value =
                value.ok_or_else(|| format!("text_config: rotary positions are `{kind}` without {name}"))?;
            limits::positive("text_config", name, value).map(|()| value)
        };
        match kind {
            // Dynamic ones are plain up to `max_position_embeddings`, and longer samples are refused.
            "default" | "mrope" | "dynamic" => Ok(PLAIN),
            "linear" => Ok((number("factor", self.factor)?, None)),
            "llama3" => {
                let bands = RopeBands {
                    original: number(
                        "original_max_position_embeddings",
                        self.original_max_position_embeddings,
                    )?,
                    low: number("low_freq_factor", self.low_freq_factor)?,
                    high: number("high_freq_factor", self.high_freq_factor)?,
                };
                if bands.high <= bands.low {
                    let RopeBands { low, high, .. } = bands;
                    return Err(format!(
                        "text_config: high_freq_factor is {high}, expected more than low_freq_factor {low}"
                    ));
                }
                Ok((number("factor", self.factor)?, Some(bands)))
            }
            other => Err(format!(
                "text_config asks for `{other}` rotary positions, expected plain, linear or llama3 ones"
            )),
        }
    }
}

/// The one that all of `found` are.
///
/// # Errors
/// A message if they differ.
pub(super) fn agreed(found: &[Scaling]) -> Result<Option<Scaling>, String> {
    match found.split_first() {
        Some((first, others)) if others.iter().any(|other| other != first) => {
            Err("text_config says two things of rotary positions, expected the same under all names"
                .to_string())
        }
        first => Ok(first.map(|(first, _)| *first)),
    }
}
