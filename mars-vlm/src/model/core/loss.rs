//! Cross-entropy over large vocabularies without keeping all logits.
//!
//! Rows are taken in chunks. The output layer is frozen, so the gradient of a row's loss with respect to its
//! hidden state h is known at once, g = W (softmax(W^T h) - onehot), and the logits can be forgotten before the
//! next chunk: the chunk's result is `loss + (h - fixed(h)) . g`, whose value is the loss and whose gradient is g.

use burn::tensor::activation::log_softmax;
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// Logits that are in memory at the same time.
const LOGITS: usize = 1 << 24;

/// Losses of rows, `[N]`, and whether the most probable token is the right one, 1 or 0.
#[derive(Debug)]
pub(crate) struct Scored {
    pub(crate) losses: Tensor<1>,
    pub(crate) correct: Option<Tensor<1>>,
}

/// Natural-log cross-entropies of `targets` `[N]` after `hidden` `[N, width]` by the output layer `head`
/// `[width, vocabulary]`.
pub(crate) fn cross_entropy(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    score: bool,
) -> Scored {
    let rows = hidden.dims()[0];
    let at_once = (LOGITS / head.dims()[1].max(1)).max(1);
    // A head that is trained itself needs its own gradient.
    if rows <= at_once || head.is_tracked() {
        let (losses, correct, _) = whole(hidden, head, targets, score);
        return Scored { losses, correct };
    }
    chunked(hidden, head, targets, score, at_once)
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
        let targets = targets.clone().narrow(0, from, count);
        let (mut loss, hits, logs) = whole(fixed.clone(), head.clone(), targets.clone(), score);
        if own.is_tracked() {
            let ones = Tensor::ones([count, 1], &fixed.device());
            let slope = logs.exp().scatter(1, targets.unsqueeze_dim(1), -ones, IndexingUpdateOp::Add);
            let slope = slope.matmul(head.clone().transpose());
            loss = loss + ((own - fixed) * slope).sum_dim(1).squeeze_dim(1);
        }
        losses.push(loss);
        correct.extend(hits);
    }
    Scored { losses: Tensor::cat(losses, 0), correct: score.then(|| Tensor::cat(correct, 0)) }
}

/// Losses, hits and log-probabilities.
fn whole(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    score: bool,
) -> (Tensor<1>, Option<Tensor<1>>, Tensor<2>) {
    let logits = hidden.matmul(head);
    let targets: Tensor<2, Int> = targets.unsqueeze_dim(1);
    let correct = score.then(|| logits.clone().argmax(1).equal(targets.clone()).float().squeeze_dim::<1>(1));
    let logs = log_softmax(logits, 1);
    (logs.clone().gather(1, targets).neg().squeeze_dim(1), correct, logs)
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
        let (losses, hits, _) = whole(hidden.clone(), head.clone(), targets.clone(), true);
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
}
