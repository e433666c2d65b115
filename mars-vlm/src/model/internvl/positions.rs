//! The learnt positions of the patches of a tile: a square table, stretched to tiles of another size.

use burn::tensor::{Device, Tensor, TensorData};

/// `table` `[from^2, width]` stretched to `[to^2, width]`, row by row, bicubically as `interpolate` of PyTorch does it without
/// `align_corners` and without antialiasing.
pub(super) fn stretched(table: Tensor<2>, [from, to]: [usize; 2]) -> Tensor<2> {
    let width = table.dims()[1];
    let device = table.device().without_autodiff();
    let weights = |device: &Device| -> Tensor<2> {
        Tensor::from_data(TensorData::new(weights(from, to), [to, from]), device)
    };
    let rows = weights(&device).matmul(table.reshape([from, from * width]));
    let rows: Tensor<3> = rows.reshape([to, from, width]);
    let columns = weights(&device).unsqueeze::<3>();
    columns.matmul(rows).reshape([to * to, width])
}

/// Row-major `[to, from]`: what each of `from` places along a side contributes to each of `to`.
///
/// Place k is at `(k + 0.5) from / to - 0.5`, between the second and third of four neighbours; those beyond the ends are the
/// ends once more. Keys' cubic with a = -0.75.
fn weights(from: usize, to: usize) -> Vec<f32> {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let scale = from as f32 / to as f32;
    let mut all = vec![0.0; to * from];
    for (k, row) in all.chunks_exact_mut(from.max(1)).enumerate() {
        let place = scale * (k as f32 + 0.5) - 0.5;
        let before = place.floor();
        let t = place - before;
        for (n, weight) in [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)].into_iter().enumerate() {
            let neighbour = (before as isize + n as isize - 1).clamp(0, from as isize - 1);
            row[neighbour as usize] += weight;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_a_table_of_its_own_size_stays() {
        for (from, to) in [(6, 4), (3, 4), (4, 4), (32, 16), (1, 5), (5, 1)] {
            let all = weights(from, to);
            for (k, row) in all.chunks_exact(from).enumerate() {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{from} to {to}: {row:?}");
                assert!(from != to || (row[k] - 1.0).abs() < 1e-6, "{row:?}");
                // The stretched table is as symmetric as the table.
                let mirrored = all[(to - 1 - k) * from..][..from].iter().rev();
                assert!(row.iter().zip(mirrored).all(|(a, b)| (a - b).abs() < 1e-5), "{from} to {to}");
            }
        }
    }
}
