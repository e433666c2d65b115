//! Cross-entropy over large vocabularies without keeping all logits.
//!
//! Rows are taken in chunks. The output layer is frozen, so the gradient of a row's loss with respect to its
//! hidden state h is known at once, g = W (softmax(W^T h) - onehot), and the logits can be forgotten before the
//! next chunk: the chunk's result is `loss + (h - fixed(h)) . g`, whose value is the loss and whose gradient is g.
//!
//! `loss = log(sum_v exp(z_v)) - z_target` in nats, with `z = W^T h`; memory is that of one chunk of logits instead
//! of `answers * vocabulary` values. Gradients in the forward pass, chunk by chunk, are also how Liger Kernel does
//! it (Hsu et al. 2024, arXiv 2410.10989). The gradient is exact, not an approximation.

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor};
use mars_lora::ops;
use std::ops::Range;

/// Logits that are in memory at the same time.
/// 8,388,608 values, 32 MiB as f32; a single row may have more.
pub(super) const LOGITS: usize = 1 << 23;
/// Weights of an output layer in half precision that are widened at the same time.
/// 8,388,608 values, 32 MiB as f32.
pub(super) const WIDENED: usize = 1 << 23;

/// Losses of rows, `[N]`, and whether the most probable token is the right one, 1 or 0.
#[derive(Debug)]
pub(crate) struct Scored {
    /// Nats, not averaged.
    pub(crate) losses: Tensor<1>,
    /// `None` unless scores were asked for.
    pub(crate) correct: Option<Tensor<1>>,
}

/// Natural-log cross-entropies of `targets` `[N]` after `hidden` `[N, width]` by the output layer `head`
/// `[width, vocabulary]`, in f32 or in half precision.
///
/// Tracked for `hidden` alone, in chunks, if the head is frozen; with the whole graph if the head is trained.
/// `score` asks for [`Scored::correct`].
pub(crate) fn cross_entropy(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    score: bool,
) -> Scored {
    // A head that is trained itself needs its own gradient.
    if head.is_tracked() {
        return whole(hidden, head, targets, score);
    }
    let at_once = (LOGITS / head.dims()[1].max(1)).max(1);
    chunked(hidden, head, targets, score, at_once)
}

/// Logits of rows of hidden states `[N, width]`, `[N, vocabulary]`.
pub(crate) fn logits(hidden: Tensor<2>, head: &Tensor<2>) -> Tensor<2> {
    let part = |columns: Range<usize>| {
        ops::product(hidden.clone(), head.clone().narrow(1, columns.start, columns.len()))
    };
    let mut parts: Vec<Tensor<2>> = columns(head).map(part).collect();
    if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, 1) }
}

/// Parts of the vocabulary that are multiplied at once: all of it, or what may be widened.
fn columns(head: &Tensor<2>) -> impl Iterator<Item = Range<usize>> + use<> {
    let [width, vocabulary] = head.dims();
    let size = match head.dtype() {
        DType::F32 => vocabulary,
        _ if ops::in_half(head) => vocabulary,
        _ => WIDENED / width.max(1),
    };
    let size = size.clamp(1, vocabulary.max(1));
    (0..vocabulary).step_by(size).map(move |from| from..(from + size).min(vocabulary))
}

fn chunked(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    score: bool,
    at_once: usize,
) -> Scored {
    let rows = hidden.dims()[0];
    let (mut losses, mut correct) = (Vec::new(), Vec::new());
    for from in (0..rows).step_by(at_once) {
        let count = at_once.min(rows - from);
        let own = hidden.clone().narrow(0, from, count);
        let fixed = own.clone().without_autodiff();
        let targets: Tensor<2, Int> = targets.clone().narrow(0, from, count).unsqueeze_dim(1);
        let logits = logits(fixed.clone(), &head);
        if score {
            correct.push(hits(&logits, &targets));
        }
        let (most, right) = (logits.clone().max_dim(1), logits.clone().gather(1, targets.clone()));
        let shares = ops::softmax(logits);
        // The largest share is exp(largest logit) over the sum of all. The difference of the logits comes first: it is 0 where the
        // right token is the most probable one, whose small losses would drown in the rounding of a large logit.
        let mut loss = ((most - right) - shares.clone().max_dim(1).log()).squeeze_dim(1);
        if own.is_tracked() {
            let ones = Tensor::ones([count, 1], &fixed.device());
            let slope = shares.scatter(1, targets, -ones, IndexingUpdateOp::Add);
            loss = loss + ((own - fixed) * through(slope, &head)).sum_dim(1).squeeze_dim(1);
        }
        losses.push(loss);
    }
    Scored { losses: Tensor::cat(losses, 0), correct: score.then(|| Tensor::cat(correct, 0)) }
}

/// Gradients of logits `[N, vocabulary]` to those of hidden states `[N, width]`.
fn through(slope: Tensor<2>, head: &Tensor<2>) -> Tensor<2> {
    let parts = columns(head).map(|columns| {
        let own = head.clone().narrow(1, columns.start, columns.len());
        ops::product(slope.clone().narrow(1, columns.start, columns.len()), own.transpose())
    });
    parts.reduce(|sum, part| sum + part).unwrap_or_else(|| slope.clone())
}

/// Whether the largest logit is that of the target, 1 or 0.
fn hits(logits: &Tensor<2>, targets: &Tensor<2, Int>) -> Tensor<1> {
    logits.clone().argmax(1).equal(targets.clone()).float().squeeze_dim(1)
}

/// All rows at once, with a graph.
fn whole(hidden: Tensor<2>, head: Tensor<2>, targets: Tensor<1, Int>, score: bool) -> Scored {
    let logits = hidden.matmul(head);
    let targets: Tensor<2, Int> = targets.unsqueeze_dim(1);
    let correct = score.then(|| hits(&logits, &targets));
    let losses = log_softmax(logits, 1).gather(1, targets).neg().squeeze_dim(1);
    Scored { losses, correct }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn chunks_have_the_values_and_gradients_of_the_whole() {
        let device = Device::flex();
        let (rows, width, vocabulary) = (7, 5, 11);
        let tensor = |count: usize, salt: usize, shape: [usize; 2]| -> Tensor<2> {
            let values: Vec<f32> = (0..count).map(|i| ((i * 31 + salt) % 17) as f32 / 8.0 - 1.0).collect();
            Tensor::from_data(TensorData::new(values, shape), &device)
        };
        let head = tensor(width * vocabulary, 3, [width, vocabulary]);
        let targets: Vec<i32> = (0..rows as i32).map(|i| i * 3 % vocabulary as i32).collect();
        let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [rows]), &device);
        let weights = tensor(rows, 8, [rows, 1]).squeeze_dim::<1>(1);
        let run = |at_once: usize| {
            let hidden = tensor(rows * width, 0, [rows, width]).autodiff().require_grad();
            let Scored { losses, correct } =
                chunked(hidden.clone(), head.clone(), targets.clone(), true, at_once);
            let mut gradients = (losses.clone() * weights.clone()).sum().backward();
            let gradient = hidden.grad_remove(&mut gradients);
            (losses.without_autodiff(), correct, gradient)
        };
        let hidden = tensor(rows * width, 0, [rows, width]).autodiff().require_grad();
        let Scored { losses, correct: hits } = whole(hidden.clone(), head.clone(), targets.clone(), true);
        let mut gradients = (losses.clone() * weights.clone()).sum().backward();
        let gradient = hidden.grad_remove(&mut gradients);
        let far = |a: Tensor<1>, b: Tensor<1>| (a - b).abs().max().into_scalar::<f32>();
        for at_once in [1, 2, 3, 7] {
            let (l, c, g) = run(at_once);
            assert!(far(l, losses.clone().without_autodiff()) < 1e-6);
            let (c, hits) = (c.map(|c| c.without_autodiff()), hits.clone().map(|h| h.without_autodiff()));
            assert!(c.zip(hits).is_some_and(|(c, hits)| far(c, hits) == 0.0));
            let both = g.zip(gradient.clone());
            assert!(both.is_some_and(|(g, w)| (g - w).abs().max().into_scalar::<f32>() < 1e-6));
        }
    }

    #[test]
    fn losses_of_confident_tokens_keep_their_digits() {
        let device = Device::flex();
        let logits = [30.0f32, 23.0, 22.0, -8.0];
        let head = Tensor::<2>::from_data(TensorData::new(logits.to_vec(), [1, 4]), &device);
        let hidden = Tensor::<2>::ones([1, 1], &device);
        let right = Tensor::<1, Int>::from_data([0], &device);
        let own = cross_entropy(hidden, head, right, false).losses.into_scalar::<f32>();
        let others: f64 = logits[1..].iter().map(|logit| f64::from(logit - logits[0]).exp()).sum();
        let exact = others.ln_1p();
        assert!((f64::from(own) - exact).abs() < 1e-4 * exact, "{own} instead of {exact}");
    }

    #[test]
    fn the_vocabulary_of_a_head_in_half_precision_is_taken_in_parts() {
        let device = Device::flex();
        let (rows, width, vocabulary) = (3, 1 << 12, (WIDENED >> 12) + 100);
        let values = |count: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * 31 % 1009) as f32 / 504.0 - 1.0) / 64.0).collect()
        };
        let hidden = Tensor::<2>::from_data(TensorData::new(values(rows * width), [rows, width]), &device);
        let head: Tensor<2> =
            Tensor::from_data(TensorData::new(values(width * vocabulary), [width, vocabulary]), &device);
        let half = head.cast(DType::BF16);
        assert_eq!(columns(&half).count(), 2);
        let targets = Tensor::<1, Int>::from_data([5, 0, vocabulary as i32 - 1], &device);
        let run = |head: Tensor<2>| {
            let hidden = hidden.clone().autodiff().require_grad();
            let losses = cross_entropy(hidden.clone(), head, targets.clone(), false).losses;
            let mut gradients = losses.clone().sum().backward();
            let gradient = hidden.grad_remove(&mut gradients);
            let gradient: Option<Vec<f32>> = gradient.map(|g| g.into_data().iter::<f32>().collect());
            (losses.into_data().iter::<f32>().collect::<Vec<_>>(), gradient.unwrap_or_default())
        };
        let ((losses, gradient), (expected, wanted)) = (run(half.clone()), run(half.cast(DType::F32)));
        assert_eq!(losses, expected);
        let size = wanted.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        assert!(size > 1e-3 && gradient.len() == wanted.len());
        assert!(gradient.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= 1e-6 * size));
    }
}
