//! What an adapter computes in a stack is what it computes alone, to the bit.

use crate::toy::{CLASSES, Toy, numbers, toy};
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use mars_kernels::{Compute, Frozen, Kernel, Weight};
use mars_lora::ops;
use mars_lora::{
    AdamWConfig, Adapter, AdapterConfig, AdapterStack, Init, LearningRates, PackedWeight, Parts, Share,
    StackedAdamW,
};
use mars_testkit::toy::{Batch, largest};

const SAMPLES: usize = 40;
const BATCH: usize = 7;
const STEPS: usize = 6;

/// Plain adapters of far and near ranks, and one of each variant.
fn adapters(model: &Toy) -> Vec<Adapter> {
    let ranks = [(8, 8), (1, 2), (2, 2), (16, 16), (7, 8), (3, 64), (64, 1), (8, 8)];
    let plain = ranks.iter().enumerate().map(|(k, (ve, llm))| {
        let config = AdapterConfig::new([("ve", *ve), ("llm", *llm)], k as u64);
        AdapterConfig { dora: false, ..config }
    });
    let config = |seed| AdapterConfig::new([("ve", 8), ("llm", 8)], seed);
    let variants = [
        AdapterConfig { dora: true, ..config(20) },
        AdapterConfig { init: Init::Pissa, ..config(21) },
        AdapterConfig { dropout: 0.3, ..config(22) },
        AdapterConfig { dora: true, dropout: 0.2, ..config(23) },
        AdapterConfig { init: Init::Pissa, dropout: 0.2, ..config(24) },
    ];
    plain.chain(variants).map(|config| Adapter::fresh(config, model).unwrap()).collect()
}

/// Examples `rows[k]` for adapter k: two adapters see the same example where they have the same number.
fn batch(rows: &[Vec<usize>]) -> Batch {
    let x = |i: &usize| numbers(500 + *i as u64, crate::toy::INPUTS, 1.0);
    let all: Vec<Vec<f32>> = rows.iter().flatten().map(x).collect();
    let targets = all.iter().map(|row| largest(row, CLASSES)).collect();
    Batch::new(rows.len(), all.concat(), targets, &Device::flex())
}

/// A stack in training: `members` are numbers of adapters.
struct Training<'a> {
    model: &'a Toy,
    parts: &'a Parts,
    members: Vec<usize>,
    stack: AdapterStack,
    optimizer: StackedAdamW,
    step: usize,
}

impl<'a> Training<'a> {
    fn new(model: &'a Toy, parts: &'a Parts, all: &[Adapter], members: &[usize]) -> Self {
        let own: Vec<Adapter> = members.iter().map(|k| all[*k].clone()).collect();
        let stack = AdapterStack::new(&own, model).unwrap();
        let config = AdamWConfig { weight_decay: 0.01, clip_norm: Some(0.05), ..AdamWConfig::default() };
        let rates = |k: &usize| LearningRates { b_ratio: 1.0 + (*k % 2) as f64, ..LearningRates::same(1e-2) };
        let rates: Vec<LearningRates> = members.iter().map(rates).collect();
        let optimizer = StackedAdamW::new(config, &stack, &rates).unwrap();
        Self { model, parts, members: members.to_vec(), stack, optimizer, step: 0 }
    }

    /// One step; odd adapters read other examples than even ones.
    fn advance(&mut self) -> Vec<f64> {
        let example = |k: &usize, i: usize| (BATCH * self.step + i + 3 * (k % 2)) % SAMPLES;
        let examples = |k: &usize| (0..BATCH).map(|i| example(k, i)).collect();
        let rows: Vec<Vec<usize>> = self.members.iter().map(examples).collect();
        let shares = self.parts.shares(&rows).into_iter();
        let batches = shares.map(|Share { adapters, rows }| (adapters, batch(&rows))).collect();
        let draws: Vec<u64> = self.members.iter().map(|k| (100 * self.step + k) as u64).collect();
        let pass = self.parts.pass(self.model, batches, &self.stack, Some(&draws)).unwrap();
        self.optimizer.step(&mut self.stack, pass.gradients, &vec![0.5; self.members.len()]);
        self.step += 1;
        pass.losses
    }

    fn keep(&mut self, keep: &[usize]) {
        self.stack = self.stack.keep(keep);
        self.optimizer = self.optimizer.keep(keep);
        self.members = keep.iter().map(|k| self.members[*k]).collect();
    }

    /// Bits of all factors and moments of the member at `place`.
    fn bits(&self, place: usize) -> Vec<u32> {
        let adapter = self.stack.adapters().swap_remove(place);
        let moments = self.optimizer.moments(&self.stack).swap_remove(place);
        let all = adapter.factors.iter().chain(&moments.first).chain(&moments.second);
        let values = all.flat_map(|f| f.a.iter().chain(&f.b).chain(f.magnitude.iter().flatten()));
        // Zeros have two signs, which a sum with zero makes one; both are the same number.
        values.map(|v| if *v == 0.0 { 0 } else { v.to_bits() }).collect()
    }
}

/// Losses and bits of every adapter that trains alone.
fn alone(model: &Toy, all: &[Adapter]) -> Vec<(Vec<f64>, Vec<u32>)> {
    let parts = Parts::new(1).unwrap();
    let train = |k: usize| {
        let mut training = Training::new(model, &parts, all, &[k]);
        let losses = (0..STEPS).map(|_| training.advance()[0]).collect();
        (losses, training.bits(0))
    };
    (0..all.len()).map(train).collect()
}

/// The toy with packed weights: its small layers then take the path of large ones, where what adapters add is a step of its own.
fn packed() -> Toy {
    let mut model = toy();
    let usable = |kernel: &Kernel| kernel.usable().is_ok();
    let kernel = [Kernel::Tiles, Kernel::DotProducts].into_iter().find(usable).unwrap_or(Kernel::Emulator);
    for layer in &mut model.layers {
        let [inputs, outputs] = layer.weight.dims();
        let values: Vec<f32> = layer.weight.val().into_data().iter().collect();
        let weight = Weight::new(&values, inputs, outputs).unwrap();
        let frozen = Frozen::pack_for(weight, Compute::Bf16, kernel).unwrap();
        layer.packed = Some(PackedWeight::new(layer.weight.id, frozen, &Device::flex()));
        layer.weight = Param::from_tensor(Tensor::empty([0, 0], &Device::flex()));
    }
    model
}

#[test]
fn any_stack_gives_every_adapter_the_bits_it_has_alone() {
    stacks_change_no_bit(&toy(), &[1, 2, 3]);
}

#[test]
fn any_stack_gives_every_adapter_at_packed_layers_the_bits_it_has_alone() {
    stacks_change_no_bit(&packed(), &[1, 3]);
}

fn stacks_change_no_bit(model: &Toy, parts: &[usize]) {
    let all = adapters(&toy());
    let expected = alone(model, &all);
    let stacks: [&[usize]; 10] = [
        &[0, 7],
        &[3, 4, 0],
        &[1, 2, 5, 6],
        &[8, 9, 10, 11],
        &[0, 8],
        &[9, 0],
        &[10, 7, 11],
        &[9, 12, 10],
        &[6, 5, 4, 3, 2, 1, 0],
        &[11, 3, 9, 1, 8, 5, 10, 7],
    ];
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            for count in parts {
                let parts = Parts::new(*count).unwrap();
                for members in stacks {
                    let mut training = Training::new(model, &parts, &all, members);
                    let losses: Vec<Vec<f64>> = (0..STEPS).map(|_| training.advance()).collect();
                    for (place, k) in members.iter().enumerate() {
                        let own: Vec<f64> = losses.iter().map(|all| all[place]).collect();
                        let what = format!("adapter {k} of {members:?}, {count} parts, {threads} threads");
                        assert_eq!(own, expected[*k].0, "losses of {what}");
                        assert!(training.bits(place) == expected[*k].1, "factors of {what}");
                    }
                }
            }
        });
    }
}

#[test]
fn adapters_that_leave_join_and_are_stacked_anew_keep_their_bits() {
    let model = toy();
    let all = adapters(&model);
    let expected = alone(&model, &all);
    let parts = Parts::new(1).unwrap();
    for at in 1..STEPS {
        // Leaves at `at`; what stays, and then what is left in another order, goes on.
        let mut training = Training::new(&model, &parts, &all, &[4, 0, 11, 3, 9]);
        (0..at).for_each(|_| drop(training.advance()));
        training.keep(&[4, 1, 2]);
        (at..STEPS).for_each(|_| drop(training.advance()));
        for (place, k) in [9, 0, 11].into_iter().enumerate() {
            assert!(training.bits(place) == expected[k].1, "adapter {k}, others left at {at}");
        }
        // From the host into a stack with others.
        let half = |members: &[usize]| {
            let mut training = Training::new(&model, &parts, &all, members);
            (0..at).for_each(|_| drop(training.advance()));
            (training.stack.adapters(), training.optimizer.moments(&training.stack))
        };
        let (first, second) = (half(&[0, 3]), half(&[9, 5]));
        let adapters: Vec<Adapter> = [&first.0[1], &second.0[0], &second.0[1]].into_iter().cloned().collect();
        let moments = vec![first.1[1].clone(), second.1[0].clone(), second.1[1].clone()];
        let mut resumed = Training::new(&model, &parts, &all, &[3, 9, 5]);
        resumed.stack = AdapterStack::new(&adapters, &model).unwrap();
        resumed.optimizer.restore(&resumed.stack, moments);
        resumed.step = at;
        (at..STEPS).for_each(|_| drop(resumed.advance()));
        for (place, k) in [3, 9, 5].into_iter().enumerate() {
            assert!(resumed.bits(place) == expected[k].1, "adapter {k}, stacked anew at {at}");
        }
    }
}

/// The kernels of `gemm` differ by size; a row must not tell how many others there are.
#[test]
fn a_row_of_a_product_has_the_same_bits_in_any_number_of_rows() {
    let device = Device::flex();
    let tensor = |salt: u64, shape: [usize; 2]| -> Tensor<2> {
        Tensor::from_data(TensorData::new(numbers(salt, shape[0] * shape[1], 1.0), shape), &device)
    };
    let bits = |x: Tensor<2>| -> Vec<u32> { x.into_data().iter::<f32>().map(f32::to_bits).collect() };
    let widths = [2, 3, 5, 12, 16, 17, 63, 64, 65, 130];
    for inputs in [3, 12, 64, 65, 200, 512, 513, 700, 1300] {
        for outputs in widths {
            let (x, weight) = (tensor(1, [300, inputs]), tensor(2, [inputs, outputs]));
            let turned = tensor(3, [outputs, inputs]).transpose();
            for (layout, weight) in [("in order", weight), ("transposed", turned)] {
                let whole = bits(ops::product(x.clone(), weight.clone()));
                for (from, count) in
                    [(0, 1), (7, 1), (0, 2), (3, 5), (1, 16), (2, 63), (0, 64), (5, 65), (9, 150)]
                {
                    let part = bits(ops::product(x.clone().narrow(0, from, count), weight.clone()));
                    let expected = &whole[from * outputs..(from + count) * outputs];
                    assert!(part == expected, "{count} rows of {inputs} x {outputs}, {layout}");
                }
            }
        }
    }
}
