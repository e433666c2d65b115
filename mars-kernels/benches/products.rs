//! Products of the sizes of LoRA steps, forward and backward, in every arithmetic of this machine, beside the crate
//! `gemm`. On one thread: `RAYON_NUM_THREADS=1 cargo bench --package mars-kernels`.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mars_kernels::{Compute, Frozen, Kernel};

const SHAPES: [(usize, usize, usize); 8] = [
    (1024, 576, 1536),
    (1024, 1536, 576),
    (1024, 576, 576),
    (64, 576, 1536),
    (104, 768, 3072),
    (1024, 768, 3072),
    (352, 64, 64),
    // The output layer of SmolLM2.
    (104, 576, 49_152),
];

fn products(criterion: &mut Criterion) {
    let computes = Compute::ALL.into_iter().filter(|compute| Kernel::of(*compute).is_ok());
    for (rows, inputs, outputs) in SHAPES {
        let fill =
            |count: usize| (0..count).map(|i| ((i * 7919) % 256) as f32 / 256.0 - 0.5).collect::<Vec<f32>>();
        let (weight, x, dy) = (fill(inputs * outputs), fill(rows * inputs), fill(rows * outputs));
        let (mut y, mut dx) = (vec![0.0; rows * outputs], vec![0.0; rows * inputs]);
        let mut group = criterion.benchmark_group(format!("{rows}x{inputs}x{outputs}"));
        // Multiplications and additions.
        group.throughput(Throughput::Elements(2 * (rows * inputs * outputs) as u64));
        for compute in computes.clone() {
            let Ok(frozen) = Frozen::pack(&weight, inputs, outputs, compute) else { continue };
            group.bench_function(format!("{compute} forward"), |bench| {
                bench.iter(|| frozen.forward(rows, black_box(&x), black_box(&mut y)));
            });
            group.bench_function(format!("{compute} backward"), |bench| {
                bench.iter(|| frozen.backward(rows, black_box(&dy), black_box(&mut dx)));
            });
        }
        let (n, k) = (outputs as isize, inputs as isize);
        let all = gemm::Parallelism::Rayon(0);
        group.bench_function("gemm forward", |bench| {
            bench.iter(|| {
                let (to, x, w) = (y.as_mut_ptr(), black_box(x.as_ptr()), weight.as_ptr());
                // SAFETY: the slices have the sizes and strides that are named.
                unsafe {
                    gemm::gemm(
                        rows, outputs, inputs, to, 1, n, false, x, 1, k, w, 1, n, 0f32, 1f32, false, false,
                        false, all,
                    );
                }
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = products
}
criterion_main!(benches);
