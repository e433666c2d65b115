//! Which positions of a sequence see which.

use crate::model::batch::Pictures;
use burn::tensor::{Device, Tensor, TensorData};

/// 0 where a position may look, minus infinity where it may not, `[1 or sequences, 1, S, S]`: one for all sequences if they
/// have their pictures at the same places.
///
/// A position sees itself and those before it, and if it is one of a picture, the others of the picture. With a `window` it
/// sees none that lies `window` or more before it, of its picture neither; what is behind it in the picture it sees whole,
/// as in transformers from 46850 on (4.57 shows all of the picture).
pub(super) fn mask(
    positions: usize,
    window: Option<usize>,
    pictures: &[Pictures],
    device: &Device,
) -> Tensor<4> {
    let none = [Vec::new()];
    let pictures = if pictures.is_empty() { &none } else { pictures };
    let distinct = if pictures.iter().all(|own| *own == pictures[0]) { &pictures[..1] } else { pictures };
    let mut values = vec![f32::NEG_INFINITY; distinct.len() * positions * positions];
    for (sequence, own) in values.chunks_exact_mut((positions * positions).max(1)).zip(distinct) {
        for (at, row) in sequence.chunks_exact_mut(positions.max(1)).enumerate() {
            let first = window.map_or(0, |window| (at + 1).saturating_sub(window));
            let end = own.iter().find(|run| run.contains(&at)).map_or(at + 1, |run| run.end);
            row[first..end.min(positions)].fill(0.0);
        }
    }
    Tensor::from_data(TensorData::new(values, [distinct.len(), 1, positions, positions]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(picture: std::ops::Range<usize>) -> Pictures {
        std::iter::once(picture).collect()
    }

    /// What each position sees, by sequence.
    fn seen(window: Option<usize>, pictures: &[Pictures]) -> Vec<Vec<Vec<usize>>> {
        let mask = mask(6, window, pictures, &Device::flex());
        let values: Vec<f32> = mask.into_data().iter::<f32>().collect();
        let row = |row: &[f32]| (0..6).filter(|at| row[*at] == 0.0).collect();
        values.chunks(36).map(|own| own.chunks(6).map(row).collect()).collect()
    }

    #[test]
    fn text_sees_what_is_before_it_and_a_picture_itself() {
        assert_eq!(
            seen(None, &[one(1..4)])[0][1..5],
            [vec![0, 1, 2, 3], vec![0, 1, 2, 3], vec![0, 1, 2, 3], vec![0, 1, 2, 3, 4]]
        );
        assert_eq!(seen(None, &[])[0][..2], [vec![0], vec![0, 1]]);
    }

    #[test]
    fn a_window_cuts_off_the_beginning_of_a_picture_and_not_its_end() {
        assert_eq!(
            seen(Some(2), &[one(1..4)])[0],
            [vec![0], vec![0, 1, 2, 3], vec![1, 2, 3], vec![2, 3], vec![3, 4], vec![4, 5]]
        );
    }

    #[test]
    fn pictures_that_touch_are_no_part_of_each_other_and_equal_sequences_share_a_mask() {
        let (two, other) = (vec![0..2, 3..5], one(2..4));
        assert_eq!(seen(None, &[two.clone(), two.clone()]).len(), 1);
        let masks = seen(None, &[two, other]);
        assert_eq!((masks[0][0].len(), masks[0][3].len(), masks[1][2].len()), (2, 5, 4));
    }
}
