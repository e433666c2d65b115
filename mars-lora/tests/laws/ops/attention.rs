//! Attention as a step, against its formula in burn's operations.

use super::{tensor, values};
use burn::tensor::{Device, Tensor, activation};
use mars_lora::ops::{self, Attention};
use mars_testkit::device::device;

/// Sequences, positions, heads, groups and widths: one block of positions, several, several parts of them.
const SHAPES: [[usize; 5]; 8] = [
    [1, 1, 1, 1, 2],
    [2, 5, 4, 2, 6],
    [3, 22, 4, 2, 24],
    [1, 25, 4, 4, 16],
    [2, 67, 3, 1, 10],
    [2, 129, 2, 2, 8],
    [1, 300, 4, 2, 6],
    [1, 1300, 1, 1, 4],
];

/// Rows with all projections, tables of angles, and a mask that hides what lies ahead and behind `seen` positions.
fn attention_of(
    [batch, positions, heads, groups, width]: [usize; 5],
    turned: bool,
    seen: usize,
) -> (Tensor<3>, Attention) {
    let x = tensor(1, [batch, positions, (heads + 2 * groups) * width], 2.0);
    let table = |salt: u64| {
        let half = tensor::<4>(salt, [1, 1, positions, width / 2], 1.0);
        Tensor::cat(vec![half.clone(), half], 3)
    };
    let hidden: Vec<f32> = (0..positions * positions)
        .map(|i| {
            if i % positions <= (i / positions).min(seen.saturating_sub(1)) { 0.0 } else { f32::NEG_INFINITY }
        })
        .collect();
    let mask = Tensor::<1>::from_floats(&hidden[..], &device()).reshape([1, 1, positions, positions]);
    let tables = turned.then(|| [table(2), table(3)]);
    let mask = (seen > 0 && seen <= positions).then_some(mask);
    (x, Attention { heads, groups, scale: 0.3, tables, mask })
}

/// Softmax and sums over whole tensors of repeated heads.
fn attention_formula(x: Tensor<3>, form: &Attention) -> Tensor<3> {
    let [batch, positions, all] = x.dims();
    let (heads, groups) = (form.heads, form.groups);
    let width = all / (heads + 2 * groups);
    let head = |index: usize| x.clone().narrow(2, index * width, width);
    let turn = |x: Tensor<3>| match &form.tables {
        Some([cos, sin]) => {
            let (a, b) = (x.clone().narrow(2, 0, width / 2), x.clone().narrow(2, width / 2, width / 2));
            let table = |t: &Tensor<4>| t.clone().squeeze_dim::<3>(1);
            x * table(cos) + Tensor::cat(vec![b.neg(), a], 2) * table(sin)
        }
        None => x,
    };
    let each = (0..heads).map(|h| {
        let group = h / (heads / groups);
        let (q, k) = (turn(head(h)), turn(head(heads + group)));
        let mut scores = q.matmul(k.swap_dims(1, 2)).mul_scalar(form.scale);
        if let Some(mask) = &form.mask {
            scores = scores + mask.clone().squeeze_dim::<3>(1);
        }
        activation::softmax(scores, 2).matmul(head(heads + groups + group))
    });
    let y = Tensor::cat(each.collect(), 2);
    assert_eq!(y.dims(), [batch, positions, heads * width]);
    y
}

#[test]
fn attention_is_its_formula() {
    for shape in SHAPES {
        for (turned, seen) in [(false, 0), (true, shape[1]), (true, 1)] {
            let (x, form) = attention_of(shape, turned, seen);
            let what = format!("{shape:?} {turned} {seen}");
            super::compare(&what, [x], |[x]| ops::attention(x, &form), |[x]| attention_formula(x, &form));
        }
    }
}

#[test]
fn attention_of_heads_apart_is_that_of_heads_side_by_side() {
    for shape in SHAPES {
        let [batch, positions, heads, groups, width] = shape;
        for (turned, seen) in [(false, 0), (true, positions)] {
            let (x, form) = attention_of(shape, turned, seen);
            // Views of rows, with the heads before the positions, and tensors in that order.
            for ordered in [false, true] {
                let split = |x: Tensor<3>, from: usize, heads: usize| {
                    let own = x.narrow(2, from * width, heads * width);
                    let own = own.reshape([batch, positions, heads, width]).swap_dims(1, 2);
                    if ordered { own.add_scalar(0.0) } else { own }
                };
                let apart = |[x]: [Tensor<3>; 1]| {
                    let [q, k, v] = [(0, heads), (heads, groups), (heads + groups, groups)]
                        .map(|(from, heads)| split(x.clone(), from, heads));
                    ops::attend(q, k, v, &form)
                };
                let what = format!("{shape:?} {turned} {ordered}");
                super::compare(&what, [x.clone()], apart, |[x]| ops::attention(x, &form));
            }
        }
    }
}

#[test]
fn attention_has_the_same_bits_on_any_number_of_threads_alone_and_beside_others() {
    if device() != Device::flex() {
        return;
    }
    // The last has parts of more than the least number of positions.
    for [batch, positions, heads, groups, width] in
        [[40, 60, 2, 2, 24], [3, 300, 4, 2, 24], [1, 1300, 4, 2, 8]]
    {
        let (x, form) = attention_of([batch, positions, heads, groups, width], true, positions);
        let run = |x: Tensor<3>| {
            let x = x.autodiff().require_grad();
            let y = ops::attention(x.clone(), &form);
            let mut gradients = y.clone().square().sum().backward();
            (values(y), values(x.grad_remove(&mut gradients).unwrap()))
        };
        let on = |threads: usize, x: Tensor<3>| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(x))
        };
        let one = on(1, x.clone());
        assert!(on(3, x.clone()) == one, "{batch} x {positions}");
        let last = on(2, x.narrow(0, batch - 1, 1));
        let tail = |all: &[f32], own: &[f32]| all[all.len() - own.len()..] == *own;
        assert!(tail(&one.0, &last.0) && tail(&one.1, &last.1), "{batch} x {positions}");
    }
}

#[test]
fn padding_behind_what_is_seen_changes_no_bit_of_attention() {
    if device() != Device::flex() {
        return;
    }
    let (heads, groups, width, long) = (4, 2, 24, 700);
    let (x, form) = attention_of([2, long, heads, groups, width], true, long);
    let run = |positions: usize| {
        let cut = |t: &Tensor<4>| t.clone().narrow(2, 0, positions);
        let form = Attention {
            tables: form.tables.as_ref().map(|[cos, sin]| [cut(cos), cut(sin)]),
            mask: form.mask.as_ref().map(|mask| cut(mask).narrow(3, 0, positions)),
            ..form.clone()
        };
        let x = x.clone().narrow(1, 0, positions).autodiff().require_grad();
        let y = ops::attention(x.clone(), &form).narrow(1, 0, 9);
        let mut gradients = y.clone().square().sum().backward();
        (values(y), values(x.grad_remove(&mut gradients).unwrap().narrow(1, 0, 9)))
    };
    let short = run(9);
    for positions in [15, 16, 22, 40, 144, 145, 256, 700] {
        assert!(run(positions) == short, "{positions}");
    }
}
