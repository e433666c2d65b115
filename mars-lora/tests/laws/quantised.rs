//! Products with quantised weights.

use crate::toy;
use burn::tensor::quantization::QuantValue;
use burn::tensor::{Device, Tensor, TensorData};
use mars_lora::ops::{self, BLOCK};
use mars_testkit::device::device;

fn tensor(salt: u64, shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(toy::numbers(salt, shape.iter().product(), 1.0), shape), &device())
}

fn values(x: Tensor<2>) -> Vec<f32> {
    x.without_autodiff().into_data().iter::<f32>().collect()
}

/// Whether `stayed` are whole multiples, up to `most`, of one step in each block, and nearest to `weight`.
fn nearest(weight: &[f32], stayed: &[f32], most: f32) -> bool {
    weight.chunks(BLOCK).zip(stayed.chunks(BLOCK)).all(|(weight, stayed)| {
        let step = weight.iter().fold(0.0f32, |most, v| most.max(v.abs())) / most;
        let whole = |v: &f32| ((v / step).round() - v / step).abs() < 1e-3;
        stayed.iter().all(whole) && weight.iter().zip(stayed).all(|(v, s)| (v - s).abs() < 0.501 * step)
    })
}

#[test]
fn products_and_gradients_are_those_of_the_rounded_weight() {
    for (salt, [rows, inputs, outputs]) in
        [[1, 5, 32], [7, 33, 64], [40, 96, 160], [300, 48, 4096]].into_iter().enumerate()
    {
        for (value, most) in [(QuantValue::Q8S, 127.0), (QuantValue::Q4S, 7.0)] {
            let exact = tensor(salt as u64, [inputs, outputs]);
            let weight = ops::quantise(exact.clone(), value);
            let stayed = values(weight.clone().dequantize());
            assert!(nearest(&values(exact), &stayed, most), "{value:?} {inputs}x{outputs}");

            let known = Tensor::from_data(TensorData::new(stayed, [inputs, outputs]), &device());
            let run = |weight: &Tensor<2>| {
                let x = tensor(99, [rows, inputs]).autodiff().require_grad();
                let y = ops::product(x.clone(), weight.clone());
                let mut gradients = (y.clone() * tensor(98, [rows, outputs]).autodiff()).sum().backward();
                (values(y), values(x.grad_remove(&mut gradients).unwrap()))
            };
            let (own, other) = (run(&weight), run(&known));
            // GPUs may multiply in bf16.
            let most = if device() == Device::flex() { 0.0 } else { 2e-2 };
            for (own, other) in [(&own.0, &other.0), (&own.1, &other.1)] {
                let size = other.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                assert!(
                    own.iter().zip(other).all(|(a, b)| (a - b).abs() <= most * size),
                    "{value:?} {rows} rows"
                );
            }
            assert_eq!(values(ops::product(tensor(99, [rows, inputs]), weight.clone())), own.0);
        }
    }
}

#[test]
fn zeros_stay_zeros_and_the_largest_of_a_block_stays_itself() {
    let mut numbers = vec![0.0f32; 4 * BLOCK];
    numbers[BLOCK] = -3.5;
    numbers[2 * BLOCK + 7] = 1e-30;
    let weight = Tensor::from_data(TensorData::new(numbers.clone(), [2, 2 * BLOCK]), &device());
    for value in [QuantValue::Q8S, QuantValue::Q4S] {
        let stayed = values(ops::quantise(weight.clone(), value).dequantize());
        let near = |(own, known): (&f32, &f32)| (own - known).abs() <= 1e-6 * known.abs();
        assert!(stayed.iter().zip(&numbers).all(near), "{value:?}: {stayed:?}");
    }
}
