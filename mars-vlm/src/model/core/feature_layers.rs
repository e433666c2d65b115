//! Which states of an encoder are features: that after one block, or those after several side by side.

use super::kept;
use burn::tensor::Tensor;
use serde::Deserialize;

/// `vision_feature_layer`, as `config.json` has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a whole number or a list of them")]
pub(crate) enum LayerNumbers {
    /// A single one.
    One(i64),
    /// Several.
    Several(Vec<i64>),
}

/// Numbers of blocks after which the state is a feature, in the order in which these lie side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureLayers(Vec<usize>);

impl FeatureLayers {
    /// Those that `numbers` says of an encoder of `depth` blocks. States count from what the first block takes, 0, and
    /// negative numbers from the end.
    ///
    /// # Errors
    /// A message with a number that is outside, or if there is none.
    pub(crate) fn counted(numbers: LayerNumbers, depth: usize) -> Result<Self, String> {
        let numbers = match numbers {
            LayerNumbers::One(number) => vec![number],
            LayerNumbers::Several(numbers) => numbers,
        };
        let states = depth as i64 + 1;
        let counted = |number: &i64| if *number < 0 { states.checked_add(*number) } else { Some(*number) };
        let place = |number| counted(number).filter(|place| (0..states).contains(place));
        if let Some(number) = numbers.iter().find(|number| place(number).is_none()) {
            return Err(format!("vision_feature_layer is {number}, but there are {depth} layers"));
        }
        if numbers.is_empty() {
            return Err("vision_feature_layer is [], expected at least one layer".to_string());
        }
        Ok(Self(numbers.iter().filter_map(place).map(|place| place as usize).collect()))
    }

    /// How many states lie side by side.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Number of blocks that run.
    pub fn blocks(&self) -> usize {
        self.0.iter().copied().max().unwrap_or(0)
    }

    /// Numbers of blocks after which a state is kept, ascending; the last is what the encoder ends with.
    fn kept(&self) -> Vec<usize> {
        let mut kept = self.0.clone();
        kept.sort_unstable();
        kept.dedup();
        kept
    }

    /// What `block` makes of the state `x`, of `width` values and those that are kept, so that `done` blocks are done.
    pub(crate) fn advance(
        &self,
        done: usize,
        x: Tensor<3>,
        width: usize,
        block: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        kept::advance(x, width, done < self.blocks() && self.0.contains(&done), block)
    }

    /// The features, from what the last block gives with the states that were kept.
    /// `[T, S, (1 + n) * width]` to `[T, S, count * width]`.
    pub(crate) fn select(&self, x: Tensor<3>, width: usize) -> Tensor<3> {
        if self.count() == 1 {
            return x;
        }
        let kept = self.kept();
        // The last state comes first, the others follow in their order.
        let place = |layer: &usize| match kept.iter().position(|kept| kept == layer) {
            Some(place) if place + 1 < kept.len() => place + 1,
            _ => 0,
        };
        let state = |layer| x.clone().narrow(2, place(layer) * width, width);
        Tensor::cat(self.0.iter().map(state).collect(), 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_numbers_count_from_the_last_state() {
        let counted = |numbers: &[i64]| FeatureLayers::counted(LayerNumbers::Several(numbers.to_vec()), 4);
        assert_eq!(counted(&[-1, -2, 0, -5]), Ok(FeatureLayers(vec![4, 3, 0, 0])));
        assert_eq!(FeatureLayers::counted(LayerNumbers::One(-2), 24), Ok(FeatureLayers(vec![23])));
        for outside in [5, -6, i64::MIN, i64::MAX] {
            assert!(counted(&[1, outside]).is_err_and(|why| why.contains(&outside.to_string())));
        }
        assert!(counted(&[]).is_err_and(|why| why.contains("[]")));
    }
}
