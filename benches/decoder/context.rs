use super::{HEAD_WIDTH, HEADS, KV_HEADS, WIDTH};
use burn::nn::RmsNorm;
use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Device, Tensor, TensorData};
use mars_kernels::Products;
use mars_lora::ops::{self, Attention, Swish};

/// What the blocks share.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Rotary positions, `[1, 1, S, HEAD_WIDTH]`.
    cos: Tensor<4>,
    sin: Tensor<4>,
    /// 0 where a position may look, else minus infinity, `[1, 1, S, S]`.
    mask: Tensor<4>,
    /// Whether norms, attention and activation are those of `mars_lora::ops`, or burn's.
    fused: bool,
}

impl Context {
    pub(crate) fn new(positions: usize, fused: bool, device: &Device) -> Self {
        let half = HEAD_WIDTH / 2;
        let angle = |i: usize| {
            let (position, dimension) = (i / HEAD_WIDTH, i % HEAD_WIDTH % half);
            position as f64 / 10_000f64.powf(dimension as f64 / half as f64)
        };
        let table = |f: fn(f64) -> f64| {
            let values: Vec<f32> = (0..positions * HEAD_WIDTH).map(|i| f(angle(i)) as f32).collect();
            Tensor::from_data(TensorData::new(values, [1, 1, positions, HEAD_WIDTH]), device)
        };
        let cells = (0..positions * positions).map(|i| (i / positions, i % positions));
        let mask: Vec<f32> =
            cells.map(|(row, column)| if column > row { f32::NEG_INFINITY } else { 0.0 }).collect();
        Self {
            cos: table(f64::cos),
            sin: table(f64::sin),
            mask: Tensor::from_data(TensorData::new(mask, [1, 1, positions, positions]), device),
            fused,
        }
    }

    pub(super) fn positions(&self) -> usize {
        self.mask.dims()[2]
    }

    pub(super) fn norm(&self, norm: &RmsNorm, x: Tensor<3>) -> Tensor<3> {
        match self.fused {
            true => ops::rms_norm(x, norm.gamma.val(), norm.epsilon),
            false => norm.forward(x),
        }
    }

    pub(super) fn attend(&self, [q, k, v]: [Tensor<4>; 3], products: Option<Products>) -> Tensor<3> {
        let scale = 1.0 / (HEAD_WIDTH as f64).sqrt();
        if self.fused {
            let tables = Some([self.cos.clone(), self.sin.clone()]);
            let mask = Some(self.mask.clone());
            let form = Attention { heads: HEADS, groups: KV_HEADS, scale, tables, mask, products };
            return ops::attend(q, k, v, &form);
        }
        let (q, k) = (self.rotate(q), self.rotate(k));
        let [batch, _, positions, _] = q.dims();
        // Queries of one key head are rows of one product, so keys and values are not repeated.
        let rows = HEADS / KV_HEADS * positions;
        let q = q.mul_scalar(scale).reshape([batch, KV_HEADS, rows, HEAD_WIDTH]);
        let scores = q.matmul(k.swap_dims(2, 3)).reshape([batch, HEADS, positions, positions]);
        let weights = softmax(scores + self.mask.clone(), 3).reshape([batch, KV_HEADS, rows, positions]);
        let mixed = weights.matmul(v).reshape([batch, HEADS, positions, HEAD_WIDTH]);
        mixed.swap_dims(1, 2).reshape([batch, positions, WIDTH])
    }

    pub(super) fn gate(&self, gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
        if self.fused { Swish::SILU.gate(gate, up) } else { silu(gate) * up }
    }

    fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let half = HEAD_WIDTH / 2;
        let turned =
            Tensor::cat(vec![x.clone().narrow(3, half, half).neg(), x.clone().narrow(3, 0, half)], 3);
        x * self.cos.clone() + turned * self.sin.clone()
    }
}
