//! Products against f64, for every arithmetic and kernel of this machine, on sizes that fill no tile.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use mars_kernels::{Compute, Error, Frozen, Kernel, Weight, bf16};
use proptest::prelude::*;

/// The kernels that this machine has.
fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|kernel| kernel.usable().is_ok())
}

/// Values in (-0.5, 0.5) that look random.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| bf16::widen(bf16::round(*value))).collect()
}

fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// `x W` in f64, and the sum of the magnitudes of its terms.
fn exact(rows: usize, k: usize, n: usize, x: &[f32], w: impl Fn(usize, usize) -> f32) -> Vec<(f64, f64)> {
    let one = |r: usize, o: usize| {
        let terms = (0..k).map(|i| f64::from(x[r * k + i]) * f64::from(w(i, o)));
        terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
    };
    (0..rows).flat_map(|r| (0..n).map(move |o| (r, o))).map(|(r, o)| one(r, o)).collect()
}

/// The relative error of a term that the documentation states, and that of summing `k` of them in f32.
fn bound(frozen: &Frozen, compute: Compute, exact: bool, k: usize) -> f64 {
    let of_term = match (frozen.kernel(), compute, exact) {
        (Kernel::F32, ..) | (_, Compute::F32, _) => 0.0,
        (_, Compute::Bf16x2, true) => 2f64.powi(-16),
        (_, Compute::Bf16x2, false) => 3.0 * 2f64.powi(-16),
        (_, Compute::Bf16, true) => 2f64.powi(-8),
        (_, Compute::Bf16, false) => 2f64.powi(-7) + 2f64.powi(-16),
    };
    of_term + (3 * k + 4) as f64 * 2f64.powi(-24) * (1.0 + of_term)
}

fn within(got: &[f32], want: &[(f64, f64)], bound: f64) -> Result<(), TestCaseError> {
    for (place, (got, (sum, size))) in got.iter().zip(want).enumerate() {
        prop_assert!(
            (f64::from(*got) - sum).abs() <= bound * size,
            "{place}: {got} is not {sum} within {bound:e} of {size}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn products_are_those_of_f64_within_the_stated_error(
        (rows, inputs, outputs) in (0usize..80, 0usize..110, 0usize..80), seed: u32, whole: bool, transposed: bool,
    ) {
        let mut w = values(inputs * outputs, seed.into());
        if whole {
            w = rounded(&w);
        }
        let (x, dy) = (values(rows * inputs, 7), values(rows * outputs, 8));
        let at = |i: usize, o: usize| w[if transposed { o * inputs + i } else { i * outputs + o }];
        let (y, dx) = (exact(rows, inputs, outputs, &x, at), exact(rows, outputs, inputs, &dy, |o, i| at(i, o)));
        for kernel in kernels() {
            for compute in Compute::ALL {
                let make = if transposed { Weight::transposed } else { Weight::new };
                let frozen = Frozen::pack_for(make(&w, inputs, outputs).unwrap(), compute, kernel).unwrap();
                let (mut got, mut back) = (vec![f32::NAN; rows * outputs], vec![f32::NAN; rows * inputs]);
                frozen.forward(rows, &x, &mut got).unwrap();
                frozen.backward(rows, &dy, &mut back).unwrap();
                prop_assert!(same(&frozen.forward_to_vec(rows, &x).unwrap(), &got));
                prop_assert!(same(&frozen.backward_to_vec(rows, &dy).unwrap(), &back));
                within(&got, &y, bound(&frozen, compute, whole, inputs))?;
                within(&back, &dx, bound(&frozen, compute, whole, outputs))?;

                let held = frozen.weight();
                let straight: Vec<f32> = (0..inputs * outputs).map(|p| at(p / outputs, p % outputs)).collect();
                if whole || frozen.kernel() == Kernel::F32 || compute == Compute::F32 {
                    prop_assert_eq!(&held, &straight);
                } else {
                    let part = if compute == Compute::Bf16 { 2f32.powi(-8) } else { 2f32.powi(-16) };
                    prop_assert!(held.iter().zip(&straight).all(|(a, b)| (a - b).abs() <= part * b.abs()));
                }
            }
        }
    }

    #[test]
    fn whole_numbers_are_multiplied_exactly(
        (rows, inputs, outputs) in (1usize..70, 1usize..100, 1usize..70), seed: u32,
    ) {
        let whole = |count, seed| values(count, seed).iter().map(|v| (v * 200.0).round()).collect::<Vec<f32>>();
        let (w, x) = (whole(inputs * outputs, seed.into()), whole(rows * inputs, 3));
        let want = exact(rows, inputs, outputs, &x, |i, o| w[i * outputs + o]);
        for kernel in kernels() {
            for compute in Compute::ALL {
                let frozen = Frozen::pack_for(Weight::new(&w, inputs, outputs).unwrap(), compute, kernel).unwrap();
                let mut y = vec![f32::NAN; rows * outputs];
                frozen.forward(rows, &x, &mut y).unwrap();
                prop_assert!(y.iter().zip(&want).all(|(y, (sum, _))| f64::from(*y) == *sum), "{:?}", frozen);
            }
        }
    }

    #[test]
    fn products_with_the_transposed_weight_are_those_of_the_other_direction_to_the_bit(
        (rows, inputs, outputs) in (1usize..70, 1usize..110, 1usize..110), seed: u32, whole: bool,
    ) {
        let mut w = values(inputs * outputs, seed.into());
        if whole {
            w = rounded(&w);
        }
        let (x, dy) = (values(rows * inputs, 1), values(rows * outputs, 2));
        for (kernel, compute) in kernels().flat_map(|kernel| Compute::ALL.map(|compute| (kernel, compute))) {
            let frozen = Frozen::pack_for(Weight::new(&w, inputs, outputs).unwrap(), compute, kernel).unwrap();
            // The same values are the rows of the transposed weight.
            let turned = Frozen::pack_for(Weight::transposed(&w, outputs, inputs).unwrap(), compute, kernel).unwrap();
            prop_assert!(same(&frozen.forward_to_vec(rows, &x).unwrap(), &turned.backward_to_vec(rows, &x).unwrap()));
            prop_assert!(same(&frozen.backward_to_vec(rows, &dy).unwrap(), &turned.forward_to_vec(rows, &dy).unwrap()));
        }
    }

    #[test]
    fn numbers_of_threads_change_no_bit(
        (rows, inputs, outputs) in (1usize..300, 1usize..90, 1usize..300), seed: u32, whole: bool,
    ) {
        let mut w = values(inputs * outputs, seed.into());
        if whole {
            w = rounded(&w);
        }
        let (x, dy) = (values(rows * inputs, 1), values(rows * outputs, 2));
        for kernel in kernels() {
            for compute in Compute::ALL {
                let run = |threads: usize| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    pool.install(|| {
                        let frozen = Frozen::pack_for(Weight::new(&w, inputs, outputs).unwrap(), compute, kernel).unwrap();
                        let (mut y, mut dx) = (vec![f32::NAN; rows * outputs], vec![f32::NAN; rows * inputs]);
                        frozen.forward(rows, &x, &mut y).unwrap();
                        frozen.backward(rows, &dy, &mut dx).unwrap();
                        y.extend(dx);
                        y.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
                    })
                };
                let one = run(1);
                for threads in [2, 3, 7] {
                    prop_assert!(run(threads) == one, "{kernel:?} {compute} with {threads} threads");
                }
            }
        }
    }
}

#[test]
fn deep_products_are_those_of_f64_in_both_directions_on_any_number_of_threads() {
    // In one part, in two with whole blocks and edges, in three.
    for ((rows, deep, narrow), whole) in [(40, 1536, 40), (70, 1537, 72), (33, 3100, 33)]
        .into_iter()
        .flat_map(|size| [(size, false), (size, true)])
    {
        let mut w = values(deep * narrow, 5);
        if whole {
            w = rounded(&w);
        }
        let x = values(rows * deep, 1);
        let y = exact(rows, deep, narrow, &x, |i, o| w[i * narrow + o]);
        for (kernel, compute) in kernels().flat_map(|kernel| Compute::ALL.map(|compute| (kernel, compute))) {
            let pack = |weight: Weight<'_>| Frozen::pack_for(weight, compute, kernel).unwrap();
            let straight = pack(Weight::new(&w, deep, narrow).unwrap());
            let transposed = pack(Weight::transposed(&w, narrow, deep).unwrap());
            let got = straight.forward_to_vec(rows, &x).unwrap();
            within(&got, &y, bound(&straight, compute, whole, deep)).unwrap();
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                assert!(same(&pool.install(|| straight.forward_to_vec(rows, &x)).unwrap(), &got));
                assert!(same(&pool.install(|| transposed.backward_to_vec(rows, &x)).unwrap(), &got));
            }
        }
    }
}

#[test]
fn weights_that_are_not_bf16_are_noticed_and_get_a_third_term() {
    let exact = rounded(&values(70 * 40, 1));
    let mut other = exact.clone();
    other[1234] = 0.1;
    let pack = |w: &[f32], compute| {
        Frozen::pack_for(Weight::new(w, 70, 40).unwrap(), compute, Kernel::Emulator).unwrap()
    };
    let terms = |w: &[f32]| Compute::ALL.map(|compute| pack(w, compute).terms());
    assert_eq!(terms(&exact), [0, 2, 1]);
    assert_eq!(terms(&other), [0, 3, 1]);
    // Where nothing is ragged, bf16 takes half of an f32 copy, and all of it with the second part.
    let w = rounded(&values(64 * 96, 1));
    let bytes = |w: &[f32], compute| {
        Frozen::pack_for(Weight::new(w, 64, 96).unwrap(), compute, Kernel::Emulator).unwrap().bytes()
            / (64 * 96)
    };
    assert_eq!(Compute::ALL.map(|compute| bytes(&w, compute)), [4, 2, 2]);
    assert_eq!(bytes(&values(64 * 96, 1), Compute::Bf16x2), 4);
}

#[test]
fn infinities_and_nan_reach_their_row_and_no_other() {
    let other: Vec<f32> = values(40 * 33, 5).iter().map(|v| v.abs() + 1.0).collect();
    for (w, whole) in [(rounded(&other), true), (other, false)] {
        for (kernel, compute) in kernels().flat_map(|kernel| Compute::ALL.map(|compute| (kernel, compute))) {
            let mut x = vec![1.0; 3 * 40];
            (x[40 + 7], x[80 + 9]) = (f32::INFINITY, f32::NAN);
            let frozen = Frozen::pack_for(Weight::new(&w, 40, 33).unwrap(), compute, kernel).unwrap();
            let mut y = vec![0.0; 3 * 33];
            frozen.forward(3, &x, &mut y).unwrap();
            assert!(y[..33].iter().all(|y| y.is_finite()));
            assert!(
                y[33..66].iter().all(|y| if whole { *y == f32::INFINITY } else { !y.is_finite() }),
                "{frozen:?}"
            );
            assert!(y[66..].iter().all(|y| y.is_nan()));
        }
    }
}

#[test]
fn wrong_sizes_are_errors() {
    let size = |what, values, rows, columns| Error::Size { what, values, rows, columns };
    assert_eq!(Frozen::pack(&[1.0; 5], 2, 3, Compute::F32).unwrap_err(), size("the weight", 5, 2, 3));
    assert_eq!(Weight::transposed(&[], usize::MAX, 2).err(), Some(size("the weight", 0, 2, usize::MAX)));
    let frozen = Frozen::pack(&[1.0; 6], 2, 3, Compute::Bf16x2).unwrap();
    assert_eq!(frozen.forward(2, &[0.0; 3], &mut [0.0; 6]), Err(size("x", 3, 2, 2)));
    assert_eq!(frozen.forward(2, &[0.0; 4], &mut [0.0; 5]), Err(size("y", 5, 2, 3)));
    assert_eq!(frozen.backward(usize::MAX, &[0.0; 4], &mut [0.0; 5]), Err(size("dy", 4, usize::MAX, 3)));
    assert_eq!(frozen.backward(1, &[0.0; 3], &mut [0.0; 5]), Err(size("dx", 5, 1, 2)));
    assert_eq!(frozen.forward_to_vec(2, &[0.0; 3]).unwrap_err(), size("x", 3, 2, 2));
    assert_eq!(frozen.backward_to_vec(2, &[0.0; 3]).unwrap_err(), size("dy", 3, 2, 3));
    let empty = Frozen::pack(&[], 0, 3, Compute::F32).unwrap();
    let large = Error::TooLarge { rows: usize::MAX, columns: 3 };
    assert_eq!(empty.forward_to_vec(usize::MAX, &[]).unwrap_err(), large);
}

#[test]
fn without_a_kernel_for_bf16_products_are_in_f32_with_a_reason() {
    for compute in Compute::ALL {
        let frozen = Frozen::pack(&[1.0; 6], 2, 3, compute).unwrap();
        assert_eq!(frozen.refused(), Kernel::of(compute).err());
        assert_eq!(frozen.kernel(), Kernel::of(compute).unwrap_or(Kernel::F32));
    }
}

#[test]
fn a_kernel_of_another_processor_is_refused_with_its_name_and_the_reason() {
    let weight = Weight::new(&[1.0; 6], 2, 3).unwrap();
    for kernel in Kernel::ALL {
        let forced = Frozen::pack_for(weight, Compute::Bf16, kernel);
        match kernel.usable() {
            Ok(()) => assert_eq!(forced.unwrap().kernel(), kernel),
            Err(reason) => {
                println!("{kernel}: {reason}");
                let error = forced.unwrap_err();
                assert_eq!(error, Error::Unusable { kernel, reason });
                assert!(error.to_string().contains(&kernel.to_string()), "{error}");
            }
        }
        assert!(Frozen::pack_for(weight, Compute::F32, kernel).is_ok(), "in f32 {kernel} is not needed");
    }
}

/// Whether the processor is of AMD, as Linux says.
fn is_amd() -> bool {
    std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("AuthenticAMD"))
}

#[test]
fn tiles_come_first_and_dot_products_of_amd_before_f32() {
    let usable = |kernel: Kernel| kernel.usable().is_ok();
    let dots = cfg!(target_os = "linux") && is_amd() && usable(Kernel::DotProducts);
    let expected = match () {
        () if usable(Kernel::Tiles) => Some(Kernel::Tiles),
        () if dots => Some(Kernel::DotProducts),
        () => None,
    };
    for compute in [Compute::Bf16x2, Compute::Bf16] {
        assert_eq!(Kernel::of(compute).ok(), expected, "{compute}");
    }
    assert_eq!(Kernel::of(Compute::F32), Ok(Kernel::F32));
}

#[test]
fn names_of_arithmetic_are_read_as_they_are_written() {
    for compute in Compute::ALL {
        assert_eq!(compute.to_string().parse(), Ok(compute));
    }
    assert_eq!("fp8".parse::<Compute>(), Err(Error::UnknownCompute("fp8".to_owned())));
}
