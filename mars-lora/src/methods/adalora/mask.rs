//! Which triplets stay: those whose score is above the threshold that the budget leaves.

/// For each score, whether its triplet stays when all but `budget` are to go.
///
/// The threshold is the score at place `len - budget` from below, and everything at or below it goes: with ties
/// more may go than asked for, as in PEFT. Nothing goes when the budget is not below the number of scores (PEFT
/// fails there).
pub(super) fn keep(scores: &[f32], budget: usize) -> Vec<bool> {
    let Some(place) = scores.len().checked_sub(budget).filter(|place| *place > 0) else {
        return vec![true; scores.len()];
    };
    let mut sorted = scores.to_vec();
    sorted.sort_by(f32::total_cmp);
    let threshold = sorted[place - 1];
    // A score that is not a number is not at or below anything.
    scores.iter().map(|score| score.is_nan() || *score > threshold).collect()
}

#[cfg(test)]
mod tests {
    use super::keep;

    #[test]
    fn the_best_stay() {
        assert_eq!(keep(&[3.0, 1.0, 2.0, 5.0], 2), [true, false, false, true]);
        assert_eq!(keep(&[3.0, 1.0, 2.0, 5.0], 4), [true; 4]);
        assert_eq!(keep(&[3.0, 1.0, 2.0, 5.0], 9), [true; 4]);
        assert_eq!(keep(&[3.0, 1.0, 2.0, 5.0], 0), [false; 4]);
    }

    #[test]
    fn ties_at_the_threshold_go_together() {
        assert_eq!(keep(&[2.0, 1.0, 1.0, 1.0], 3), [true, false, false, false]);
    }

    #[test]
    fn what_is_not_a_number_stays() {
        assert_eq!(keep(&[f32::NAN, 1.0, 2.0], 2), [true, false, true]);
    }
}
