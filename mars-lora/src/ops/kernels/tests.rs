//! The loops against f64, and their bits on vectors of any width.

use super::*;
use pulp::Scalar;

/// Values that look random, from -`size` to `size`.
fn numbers(count: usize, seed: u64, size: f32) -> Vec<f32> {
    let whole = (0..count as u64).map(|i| (i + (seed << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
    whole.map(|v| (v as f32 / (1 << 23) as f32 - 1.0) * size).collect()
}

/// Largest difference over the largest expected value.
fn gap(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let size = expected.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    let gaps = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
    gaps.map(|gap| if gap.is_nan() { f64::INFINITY } else { gap }).fold(0.0, f64::max) / size
}

#[test]
fn exponentials_are_right_to_two_units_in_the_last_place() {
    for step in 0..400_000 {
        let x = -86.9 + step as f32 * (174.8 / 400_000.0);
        let expected = f64::from(x).exp();
        let unit = f64::from(f32::EPSILON) * expected;
        assert!((f64::from(exp(x)) - expected).abs() <= 2.0 * unit, "e^{x} is not {}", exp(x));
    }
    assert_eq!(exp(-88.0), 0.0);
    assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    assert!(exp(f32::NAN).is_nan());
}

/// A value and a derivative of `x sigmoid(linear x + cubic x^3)`.
fn swish_at(x: f32, [linear, cubic]: [f32; 2]) -> [f64; 2] {
    let (x, linear, cubic) = (f64::from(x), f64::from(linear), f64::from(cubic));
    let s = 1.0 / (1.0 + (-(linear * x + cubic * x * x * x)).exp());
    [x * s, s + x * s * (1.0 - s) * (linear + 3.0 * cubic * x * x)]
}

#[test]
fn gates_are_their_formula_in_any_shape() {
    for (rows, half) in [(1, 1), (3, 15), (5, 16), (7, 33), (2, 256), (300, 130)] {
        for form in [[1.0, 0.0], [1.595_769, 0.071_354_8]] {
            let x = numbers(rows * 2 * half, 1, 12.0);
            let grad = numbers(rows * half, 2, 1.0);
            let (mut values, mut slopes) = (Vec::new(), vec![0.0; x.len()]);
            for row in 0..rows {
                for i in 0..half {
                    let at = row * 2 * half + i;
                    let [value, slope] = swish_at(x[at], form);
                    let (up, g) = (f64::from(x[at + half]), f64::from(grad[row * half + i]));
                    values.push(value * up);
                    (slopes[at], slopes[at + half]) = (g * up * slope, g * value);
                }
            }
            // An exponential of 2 units, and a few roundings beside it.
            let found = gate_rows(2 * half, &x, form);
            assert!(gap(&found, &values) < 2e-6, "{rows} x {half}, {form:?}");
            let found = gate_rows_slope(2 * half, &x, &grad, form);
            assert!(gap(&found, &slopes) < 2e-6, "{rows} x {half}, {form:?}");
        }
    }
}

#[test]
fn softmax_is_its_formula_in_any_width() {
    for width in [1, 7, 16, 31, 72, 300] {
        let x = numbers(5 * width, 3, 20.0);
        let expected: Vec<f64> = x
            .chunks(width)
            .flat_map(|row| {
                let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
                row.iter().map(move |x| f64::from(*x).exp() / sum)
            })
            .collect();
        let mut found = x.clone();
        softmax(width, &mut found);
        assert!(gap(&found, &expected) < 1e-6, "width {width}");
    }
}

/// Rows as they are, and what comes after the loop compiled for this processor and for any.
fn both<const N: usize>(out: &[f32], width: usize, inputs: [(&[f32], usize); N], each: &impl Row<N>) {
    let (mut fast, mut plain) = (out.to_vec(), out.to_vec());
    rows(&mut fast, width, inputs, each);
    Simd::vectorize(Scalar, Task { out: &mut plain, width, inputs, each });
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&fast), bits(&plain), "rows of {width}");
}

#[test]
fn bits_do_not_depend_on_the_width_of_vectors() {
    for width in [2, 9, 24, 72, 96, 256, 321] {
        let (rows, form) = (6, [1.0, 0.044_715]);
        let [x, y] = [4, 5].map(|seed| numbers(rows * width, seed, 6.0));
        let gamma = numbers(width, 6, 2.0);
        let (one, epsilon) = ((&x[..], width), 1e-6);
        both(&y, width, [], &softmax::Softmax);
        both(&y, width, [one], &softmax::Slope);
        both(&y, width, [one], &norms::LayerNorm { gamma: &gamma, beta: &gamma, epsilon });
        both(&y, width, [one], &norms::LayerNormSlope { gamma: &gamma, epsilon });
        both(&y, width, [one], &norms::RmsNorm { gamma: &gamma, epsilon });
        both(&y, width, [one], &norms::RmsNormSlope { gamma: &gamma, epsilon });
        both(&y, width, [one], &swish::Value(form));
        both(&y, width, [one], &swish::Slope(form));
        both(&y, width, [one, one], &swish::Product(form));
        both(&y, width, [one, one], &swish::GateSlope(form));
        if width % 2 == 0 {
            both(&y[..rows * width / 2], width / 2, [one], &swish::Beside(form));
            both(&y, width, [one, (&x[..rows * width / 2], width / 2)], &swish::BesideSlope(form));
        }
    }
}
