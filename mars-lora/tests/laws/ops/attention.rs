//! Attention as a step, against its formula in burn's operations.

use super::{tensor, values};
use burn::tensor::{Device, Tensor, activation};
use mars_lora::ops::{self, Attention};
use mars_testkit::device::device;

/// Sequences, positions, heads, groups and widths: one block of positions, several, several parts of them.
pub(super) const SHAPES: [[usize; 5]; 8] = [
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
pub(super) fn attention_of(
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
    (x, Attention { heads, groups, scale: 0.3, tables, mask, products: None })
}

/// Softmax and sums over whole tensors of repeated heads.
pub(super) fn attention_formula(x: Tensor<3>, form: &Attention) -> Tensor<3> {
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
        for (turned, seen) in [(false, 0), (true, shape[1])] {
            let (x, form) = attention_of(shape, turned, seen);
            // Views of rows, with the heads before the positions, and tensors in that order.
            for ordered in [false, true] {
                let apart = |[x]: [Tensor<3>; 1]| {
                    let [q, k, v] = apart(&x, &form).map(|x| if ordered { x.add_scalar(0.0) } else { x });
                    ops::attend(q, k, v, &form)
                };
                let what = format!("{shape:?} {turned} {ordered}");
                super::compare(&what, [x.clone()], apart, |[x]| ops::attention(x, &form));
            }
        }
    }
}

/// Queries, keys and values as views of rows that have them side by side.
fn apart(x: &Tensor<3>, form: &Attention) -> [Tensor<4>; 3] {
    let [batch, positions, row] = x.dims();
    let (heads, groups) = (form.heads, form.groups);
    let width = row / (heads + 2 * groups);
    [(0, heads), (heads, groups), (heads + groups, groups)].map(|(from, heads)| {
        let own = x.clone().narrow(2, from * width, heads * width);
        own.reshape([batch, positions, heads, width]).swap_dims(1, 2)
    })
}

/// Results of both forms and gradients of the rows.
fn run(x: Tensor<3>, form: &Attention) -> [Vec<f32>; 4] {
    let side_by_side = |x: Tensor<3>| ops::attention(x, form);
    let heads = |x: Tensor<3>| {
        let [q, k, v] = apart(&x, form);
        ops::attend(q, k, v, form)
    };
    let both: [&dyn Fn(Tensor<3>) -> Tensor<3>; 2] = [&side_by_side, &heads];
    let [[y, slope], [z, other]] = both.map(|f| {
        let x = x.clone().autodiff().require_grad();
        let y = f(x.clone());
        let mut gradients = y.clone().square().sum().backward();
        [values(y), values(x.grad_remove(&mut gradients).unwrap())]
    });
    [y, slope, z, other]
}

#[test]
fn attention_has_the_same_bits_on_any_number_of_threads_alone_and_beside_others() {
    if device() != Device::flex() {
        return;
    }
    for [batch, positions, heads, groups, width] in
        [[130, 60, 2, 2, 24], [3, 300, 4, 2, 24], [1, 1300, 4, 2, 8]]
    {
        let (x, form) = attention_of([batch, positions, heads, groups, width], true, positions);
        threads_and_others_change_no_bit(x, &form);
    }
}

/// Of the last sequence.
pub(super) fn threads_and_others_change_no_bit(x: Tensor<3>, form: &Attention) {
    let [batch, positions, _] = x.dims();
    let on = |threads: usize, x: Tensor<3>| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(x, form))
    };
    let one = on(1, x.clone());
    assert!(on(3, x.clone()) == one, "{batch} x {positions}");
    assert!(one[0] == one[2] && one[1] == one[3], "{batch} x {positions}");
    let last = on(2, x.narrow(0, batch - 1, 1));
    for (all, own) in one.iter().zip(&last) {
        assert!(all[all.len() - own.len()..] == own[..], "{batch} x {positions}");
    }
}

#[test]
fn each_sequence_has_its_own_angles_and_its_own_mask() {
    let (batch, positions) = (3, 80);
    let shape = [batch, positions, 4, 2, 6];
    let (x, one) = attention_of(shape, true, positions);
    // Other angles and another end of what is seen for each.
    let of = |b: usize| attention_of_row(b, shape);
    let rows: Vec<Attention> = (0..batch).map(of).collect();
    let all = |part: &dyn Fn(&Attention) -> Tensor<4>| Tensor::cat(rows.iter().map(part).collect(), 0);
    let table = |n: usize| all(&|form| form.tables.as_ref().unwrap()[n].clone());
    let mask = Some(all(&|form| form.mask.clone().unwrap()));
    let form = Attention { tables: Some([table(0), table(1)]), mask, ..one };
    let known = |[x]: [Tensor<3>; 1]| {
        let each =
            rows.iter().enumerate().map(|(b, form)| attention_formula(x.clone().narrow(0, b, 1), form));
        Tensor::cat(each.collect(), 0)
    };
    super::compare("side by side", [x.clone()], |[x]| ops::attention(x, &form), known);
    let heads = |[x]: [Tensor<3>; 1]| {
        let [q, k, v] = apart(&x, &form);
        ops::attend(q, k, v, &form)
    };
    super::compare("apart", [x], heads, known);
}

/// The attention of sequence `b`.
fn attention_of_row(b: usize, [_, positions, heads, groups, width]: [usize; 5]) -> Attention {
    let (_, form) = attention_of([1, positions, heads, groups, width], true, positions - 20 * b);
    let tables = [2, 3].map(|salt| {
        let half = tensor::<4>(salt + 10 * b as u64, [1, 1, positions, width / 2], 1.0);
        Tensor::cat(vec![half.clone(), half], 3)
    });
    Attention { tables: Some(tables), ..form }
}

#[test]
fn gradients_are_those_of_what_is_tracked_and_tensors_may_be_views_of_any_order() {
    let (x, form) = attention_of([2, 90, 4, 2, 6], true, 90);
    let [q, k, v] = apart(&x, &form);
    let whole = run(x, &form);
    // Keys with their widths apart, and no graph for keys and values.
    let turned = k.clone().swap_dims(2, 3).add_scalar(0.0).swap_dims(2, 3);
    let q = q.autodiff().require_grad();
    let y = ops::attend(q.clone(), turned.autodiff(), v.autodiff(), &form);
    assert!(values(y.clone()) == whole[0]);
    let mut gradients = y.square().sum().backward();
    let slope = values(q.grad_remove(&mut gradients).unwrap().swap_dims(1, 2));
    let own = whole[1].chunks_exact(8 * 6).flat_map(|row| row[..4 * 6].to_vec()).collect::<Vec<f32>>();
    assert!(super::gap(&slope, &own) < 1e-6);
}

#[test]
fn nothing_attends_to_nothing() {
    // burn's products on GPUs are of at least one value.
    if device() != Device::flex() {
        return;
    }
    for [batch, positions] in [[0, 5], [2, 0]] {
        let x = Tensor::<3>::zeros([batch, positions, 8 * 6], &device());
        let form = Attention { heads: 4, groups: 2, scale: 1.0, tables: None, mask: None, products: None };
        assert_eq!(ops::attention(x, &form).dims(), [batch, positions, 4 * 6]);
    }
}

#[test]
fn tables_masks_and_heads_that_do_not_fit_are_refused() {
    let (x, form) = attention_of([2, 5, 4, 2, 6], true, 5);
    let wrong = [
        Attention { mask: Some(tensor(1, [1, 4, 5, 5], 1.0)), ..form.clone() },
        Attention { mask: Some(tensor(1, [1, 1, 1, 5], 1.0)), ..form.clone() },
        Attention { mask: Some(tensor(1, [3, 1, 5, 5], 1.0)), ..form.clone() },
        Attention {
            tables: Some([tensor(1, [1, 1, 4, 6], 1.0), tensor(2, [1, 1, 5, 6], 1.0)]),
            ..form.clone()
        },
        Attention { heads: 5, ..form.clone() },
        Attention { heads: 3, groups: 2, ..form.clone() },
        Attention { heads: 0, groups: 4, ..form },
    ];
    for form in wrong {
        let own = x.clone();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ops::attention(own, &form)));
        assert!(done.is_err(), "{form:?}");
    }
}

#[test]
fn padding_behind_what_is_seen_changes_no_bit_of_attention() {
    if device() != Device::flex() {
        return;
    }
    let (heads, groups, width, long) = (4, 2, 24, 700);
    let (x, form) = attention_of([2, long, heads, groups, width], true, long);
    for (seen, longer) in [(9, &[15, 16, 22, 40, 144, 256, 700][..]), (230, &[231, 300, 432, 433, 700])] {
        padding_changes_no_bit(&x, &form, seen, longer);
    }
}

/// Of the first `seen` positions, whatever of `longer` there are.
pub(super) fn padding_changes_no_bit(x: &Tensor<3>, form: &Attention, seen: usize, longer: &[usize]) {
    let run = |positions: usize, seen: usize| {
        let cut = |t: &Tensor<4>| t.clone().narrow(2, 0, positions);
        let form = Attention {
            tables: form.tables.as_ref().map(|[cos, sin]| [cut(cos), cut(sin)]),
            mask: form.mask.as_ref().map(|mask| cut(mask).narrow(3, 0, positions)),
            ..form.clone()
        };
        let x = x.clone().narrow(1, 0, positions).autodiff().require_grad();
        let y = ops::attention(x.clone(), &form).narrow(1, 0, seen);
        let mut gradients = y.clone().square().sum().backward();
        (values(y), values(x.grad_remove(&mut gradients).unwrap().narrow(1, 0, seen)))
    };
    let short = run(seen, seen);
    for positions in longer {
        assert!(run(*positions, seen) == short, "{seen} of {positions}");
    }
}
