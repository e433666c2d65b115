//! When two entrants are so close that the one with fewer adapter parameters is taken.

use super::{Standing, paired::Paired};

/// Whether the loss of `standing` is close to `least`, the lowest: within a relative `tolerance` of perplexity, or where training losses
/// decide, which are compared early in a run, within one standard error of the paired difference. The simpler choice is as
/// good then (the one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984).
pub(super) fn to(standing: &Standing, least: &Standing, tolerance: f64) -> bool {
    within(standing.handicapped_loss, least.handicapped_loss, tolerance) || indistinct(standing, least)
}

/// Whether the perplexity of `loss` exceeds that of `least` by a relative `tolerance` or less.
/// Perplexity is `exp(loss)`, so the test is `exp(loss - least) - 1 <= tolerance`.
fn within(loss: Option<f64>, least: Option<f64>, tolerance: f64) -> bool {
    match (loss, least) {
        (Some(loss), Some(least)) => loss <= least || (loss - least).exp_m1() <= tolerance,
        _ => false,
    }
}

fn indistinct(standing: &Standing, least: &Standing) -> bool {
    let paired = || Paired::of(&standing.blocks, &least.blocks);
    standing.training.is_some() && paired().is_some_and(|paired| paired.difference <= paired.error)
}

#[cfg(test)]
mod tests {
    use super::{Standing, to};

    fn standing(blocks: &[f64], training: bool) -> Standing {
        let loss = blocks.iter().sum::<f64>() / blocks.len() as f64;
        Standing {
            handicapped_loss: Some(loss),
            blocks: blocks.to_vec(),
            training: training.then_some((1, blocks.len())),
            ..Standing::default()
        }
    }

    #[test]
    fn a_standard_error_of_training_losses_is_close() {
        // The difference is 0.05 by block, plus and minus `scatter`; its standard error is `scatter / sqrt(3)`.
        let close = |scatter: f64, training: bool| {
            let least = standing(&[1.0, 2.0, 3.0, 4.0], training);
            let signs = [1.0, -1.0, 1.0, -1.0];
            let other: Vec<f64> =
                least.blocks.iter().zip(signs).map(|(b, s)| b + 0.05 + s * scatter).collect();
            to(&standing(&other, training), &least, 0.005)
        };
        let limit = 0.05 * 3.0_f64.sqrt();
        assert!(close(1.01 * limit, true) && !close(0.99 * limit, true) && !close(0.0, true));
        assert!(!close(1.01 * limit, false), "validation losses are compared late");
    }

    #[test]
    fn a_tolerance_of_perplexity_is_close_whatever_the_blocks_say() {
        let least = standing(&[1.0; 4], true);
        assert!(to(&standing(&[1.0 + 0.004; 4], true), &least, 0.005));
        assert!(!to(&standing(&[1.0 + 0.006; 4], true), &least, 0.005));
        assert!(!to(&Standing::default(), &least, 0.005));
    }
}
