use super::list::List;
use burn::backend::Dispatch;
use burn::tensor::Tensor;
use mars_kernels::Products;

/// The form of an attention over S positions.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Query heads, H.
    pub heads: usize,
    /// Key and value heads, G; H is a multiple of it.
    pub groups: usize,
    /// What the products of queries and keys are multiplied by.
    pub scale: f64,
    /// Cosines and sines `[B or 1, 1, S, W]` with equal halves, by which queries and keys are turned as by [`rotate`](super::rotate).
    pub tables: Option<[Tensor<4>; 2]>,
    /// Added to the scores, `[B or 1, 1, S, S]`.
    pub mask: Option<Tensor<4>>,
    /// Products of queries, keys, values and weights with operands rounded to bf16, of f32 tensors on the CPU backend. `None`: in f32.
    /// Elsewhere they are in the type of the tensors either way.
    pub products: Option<Products>,
}

impl Attention {
    /// Compares its parts with the sizes of an attention.
    pub(super) fn check(&self, [batch, positions, width]: [usize; 3]) {
        let (heads, groups) = (self.heads, self.groups);
        let shared = groups > 0 && heads > 0 && heads.is_multiple_of(groups);
        assert!(shared, "{heads} query heads share the keys of {groups}");
        assert!(self.tables.is_none() || width.is_multiple_of(2), "heads of width {width} have no halves");
        let fits = |x: &Tensor<4>, columns: usize| {
            let rows = x.dims()[0];
            (rows == 1 || rows == batch) && x.dims() == [rows, 1, positions, columns]
        };
        for table in self.tables.iter().flatten() {
            assert!(fits(table, width), "tables {:?} of {positions} positions, width {width}", table.dims());
        }
        if let Some(mask) = &self.mask {
            assert!(fits(mask, positions), "mask {:?} of {positions} positions", mask.dims());
        }
    }

    pub(super) fn plan(&self, positions: usize, width: usize) -> AttentionPlan {
        let Self { heads, groups, scale, products, .. } = *self;
        AttentionPlan { positions, heads, groups, width, scale: scale as f32, products }
    }

    /// Tables and mask as arguments of an operation.
    pub(super) fn constants(&self) -> [List<Dispatch>; 2] {
        let list = |all: Vec<&Tensor<4>>| List(all.into_iter().map(|x| x.clone().into_dispatch()).collect());
        [list(self.tables.iter().flatten().collect()), list(self.mask.iter().collect())]
    }
}

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub struct AttentionPlan {
    pub(super) positions: usize,
    pub(super) heads: usize,
    pub(super) groups: usize,
    pub(super) width: usize,
    pub(super) scale: f32,
    pub(super) products: Option<Products>,
}
