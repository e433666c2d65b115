//! Which evaluation of a run is better than its last by more than noise (ours).
//!
//! Of evaluations that differ by noise only, the lowest is no better than the last, which has the learning rate's decay behind it.

/// Standard errors of the paired difference above which the best evaluation is better than the last.
const ERRORS: f64 = 2.0;

/// Part of the improvement above which it is, where no losses by block are reported.
const PART: f64 = 0.02;

/// The step whose adapter is kept of a run with these validation losses; that of the last where there is no better one. `None`
/// without a usable loss after step 0.
///
/// `curve` is (optimizer step, nats per answer token) by rising step; `blocks` gives the loss at one of these steps by blocks of the
/// split, nothing where it is not reported so.
/// The best evaluation b is better than the last, l, if the mean of `l_i - b_i` over the blocks i is more than two of its standard
/// errors above 0; without blocks, if `l - b` is more than 2 % of `l_0 - b`, with l_0 the first loss of the curve.
///
/// ```
/// let rising = [(0, 4.0), (10, 1.0), (20, 1.5)];
/// let none = |_| -> &[f64] { &[] };
/// assert_eq!(mars_laws::kept_step(&rising, none), Some(10));
/// assert_eq!(mars_laws::kept_step(&rising[..2], none), Some(10));
/// // Two blocks that do not agree that it rose.
/// let noisy = |step| -> &[f64] { if step == 10 { &[0.0, 2.0] } else { &[3.0, 0.0] } };
/// assert_eq!(mars_laws::kept_step(&rising, noisy), Some(20));
/// ```
pub fn kept_step<'a, T: Copy + Into<f64> + 'a>(
    curve: &[(usize, f64)],
    blocks: impl Fn(usize) -> &'a [T],
) -> Option<usize> {
    let (_, first) = *curve.first()?;
    let (end, last) = *curve.last().filter(|(step, _)| *step > 0)?;
    let (step, best) = lowest_loss(curve.iter().copied())?;
    let better = || match (blocks(step), blocks(end)) {
        (of_best, of_last) if of_best.len() == of_last.len() && of_best.len() > 1 => {
            exceeds(of_last, of_best, ERRORS)
        }
        _ => !last.is_finite() || last - best > PART * (first - best),
    };
    Some(if step < end && better() { step } else { end })
}

/// The lowest loss of a curve with its step, that of step 0 left out; the first of equals.
pub fn lowest_loss(curve: impl IntoIterator<Item = (usize, f64)>) -> Option<(usize, f64)> {
    let usable = curve.into_iter().filter(|(step, loss)| *step > 0 && loss.is_finite());
    usable.reduce(|best, point| if point.1 < best.1 { point } else { best })
}

/// Whether `losses` are above `others` by more than so many standard errors of their paired difference, both by the same blocks
/// of a split; not with fewer than two blocks.
pub fn exceeds<T: Copy + Into<f64>>(losses: &[T], others: &[T], errors: f64) -> bool {
    if losses.len() != others.len() || losses.len() < 2 {
        return false;
    }
    let paired = losses.iter().zip(others);
    let differences: Vec<f64> = paired.map(|(loss, other)| (*loss).into() - (*other).into()).collect();
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|own| (own - mean).powi(2)).sum::<f64>() / (count - 1.0);
    mean > errors * (variance / count).sqrt()
}
