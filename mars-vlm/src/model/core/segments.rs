//! Attention within segments of different lengths: images, or windows of images.
//!
//! Rows are gathered segment by segment, segments of equal length are one batch, and the results go back to
//! where the rows came from. So nothing is padded and no score is computed that is not used.

use super::indices::indices;
use burn::tensor::{Device, Int, Tensor};
use mars_lora::ops::{self, Attention};
use std::collections::BTreeMap;

/// A division of rows into segments.
#[derive(Clone, Debug)]
pub(crate) struct Segments {
    /// Number and length of the segments, by length.
    groups: Vec<(usize, usize)>,
    /// Rows in the order of the segments; `None` if they stand so already.
    order: Option<Order>,
}

#[derive(Clone, Debug)]
struct Order {
    there: Tensor<1, Int>,
    back: Tensor<1, Int>,
}

impl Segments {
    /// `segments` hold every row once.
    pub(crate) fn new(segments: &[Vec<usize>], device: &Device) -> Self {
        let mut by_length: BTreeMap<usize, Vec<&Vec<usize>>> = BTreeMap::new();
        for segment in segments.iter().filter(|segment| !segment.is_empty()) {
            by_length.entry(segment.len()).or_default().push(segment);
        }
        let groups = by_length.iter().map(|(length, own)| (own.len(), *length)).collect();
        let there: Vec<usize> = by_length.into_values().flatten().flatten().copied().collect();
        if there.iter().enumerate().all(|(place, row)| place == *row) {
            return Self { groups, order: None };
        }
        let mut back = vec![0; there.len()];
        for (place, row) in there.iter().enumerate() {
            back[*row] = place as i32;
        }
        let there = indices(there.into_iter().map(|row| row as i32).collect(), device);
        Self { groups, order: Some(Order { there, back: indices(back, device) }) }
    }

    /// Attention of `form`, without tables and mask, within each segment; `q`, `k`, `v` are `[B, H, S, W]` with B * S rows in all,
    /// the result is `[B, S, H * W]`.
    /// Costs `sum(length^2)` pairs instead of `S^2`.
    pub(crate) fn attend(&self, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, form: &Attention) -> Tensor<3> {
        let [batch, heads, positions, width] = q.dims();
        let rows = |x: Tensor<4>| {
            let heads = x.dims()[1];
            let x = x.swap_dims(1, 2).reshape([batch * positions, heads * width]);
            match &self.order {
                Some(order) => x.select(0, order.there.clone()),
                None => x,
            }
        };
        let (q, k, v) = (rows(q), rows(k), rows(v));
        let mut parts = Vec::with_capacity(self.groups.len());
        let mut from = 0;
        for &(count, length) in &self.groups {
            let part = |x: &Tensor<2>| {
                let heads = x.dims()[1] / width;
                let x = x.clone().narrow(0, from, count * length);
                x.reshape([count, length, heads, width]).swap_dims(1, 2)
            };
            let out = ops::attend(part(&q), part(&k), part(&v), form);
            parts.push(out.reshape([count * length, heads * width]));
            from += count * length;
        }
        let out = if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 0) };
        let out = match &self.order {
            Some(order) => out.select(0, order.back.clone()),
            None => out,
        };
        out.reshape([batch, positions, heads * width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn segments_in_any_order_attend_as_if_each_were_alone() {
        let device = Device::flex();
        let (rows, width) = (10, 4);
        let tensor = |salt: usize| -> Tensor<4> {
            let values: Vec<f32> =
                (0..rows * 2 * width).map(|i| ((i * 37 + salt) % 23) as f32 / 11.0).collect();
            Tensor::from_data(TensorData::new(values, [1, 2, rows, width]), &device)
        };
        let (q, k, v) = (tensor(1), tensor(5), tensor(9));
        let form = Attention { heads: 2, groups: 2, scale: 0.5, tables: None, mask: None, products: None };
        let segments = [vec![4, 1, 7], vec![0], vec![2, 9, 3], vec![5, 6], vec![8]];
        let all = Segments::new(&segments, &device).attend(q.clone(), k.clone(), v.clone(), &form);
        for segment in &segments {
            let own = indices(segment.iter().map(|row| *row as i32).collect(), &device);
            let pick = |x: &Tensor<4>| x.clone().select(2, own.clone());
            let alone = ops::attend(pick(&q), pick(&k), pick(&v), &form);
            let difference = (all.clone().select(1, own.clone()) - alone).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-6, "{segment:?}: {difference}");
        }
    }
}
