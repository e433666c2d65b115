//! Builds modules from named tensors and remembers under which name each parameter is stored.

use super::source::{Aliases, Source};
use super::stored::{Stored, StoredLayout};
use super::{Precision, Storage};
use crate::Error;
use burn::module::{Param, ParamId};
use burn::nn::{LayerNorm, LayerNormConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use mars_kernels::{Compute, Frozen, Kernel, Weight};
use mars_lora::ops::{self, KeptPanels};
use mars_lora::{LoraEmbedding, LoraLinear, PackedWeight, Site, SiteKind};

/// Makes parameters on a device out of a [`Source`], and collects sites and names.
pub struct Loader<'a> {
    source: &'a mut dyn Source,
    device: Device,
    aliases: Aliases,
    precision: Precision,
    packing: Option<(Compute, Kernel)>,
    /// Weights quantised so far.
    pub in_blocks: usize,
    /// Weights packed so far, and the bytes that they take.
    pub packed: (usize, usize),
    /// Layers that adapters can act on, loaded so far.
    pub sites: Vec<Site>,
    /// Their weights.
    pub weights: Vec<ParamId>,
    /// All parameters loaded so far.
    pub stored: Vec<Stored>,
}

impl<'a> Loader<'a> {
    /// Starts with nothing loaded.
    pub fn new(source: &'a mut dyn Source, device: &Device) -> Self {
        Self {
            source,
            device: device.clone(),
            aliases: &[],
            precision: Precision::F32,
            packing: None,
            in_blocks: 0,
            packed: (0, 0),
            sites: Vec::new(),
            weights: Vec::new(),
            stored: Vec::new(),
        }
    }

    /// Takes tensors under other names where those that are asked for do not exist.
    #[must_use]
    pub fn with_aliases(mut self, aliases: Aliases) -> Self {
        self.aliases = aliases;
        self
    }

    /// Keeps matrices in this way.
    #[must_use]
    pub fn with_storage(mut self, storage: Storage) -> Self {
        self.precision = storage.precision;
        self.packing = storage.packed.filter(|_| storage.precision.quantised().is_none());
        self
    }

    /// Whether there is a tensor of this name, under its own name or another's.
    pub fn contains(&self, name: &str) -> bool {
        self.source.contains(&self.on_disk(name))
    }

    /// The name of the tensor on disk.
    fn on_disk(&self, name: &str) -> String {
        let other = |(ours, theirs): &(&str, &'static [&'static str])| {
            let rest = name.strip_prefix(ours)?;
            theirs.iter().map(|start| format!("{start}{rest}")).find(|name| self.source.contains(name))
        };
        let found = if self.source.contains(name) { None } else { self.aliases.iter().find_map(other) };
        found.unwrap_or_else(|| name.to_string())
    }

    /// The tensor `name` as it is on disk.
    ///
    /// # Errors
    /// As [`Source::values`].
    pub fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, Error> {
        let name = &self.on_disk(name);
        let values = self.source.values(name, &shape)?;
        let layout = StoredLayout::Same(shape.to_vec());
        Ok(self.remember(name, layout, Tensor::from_data(TensorData::new(values, shape), &self.device)))
    }

    /// The tensor `name` as a matrix `[columns, rows]`: its first dimension is `rows` = `shape[0]`, the others
    /// together are the columns.
    ///
    /// # Errors
    /// As [`Source::values`].
    pub fn transposed(&mut self, name: &str, shape: &[usize]) -> Result<Param<Tensor<2>>, Error> {
        let name = &self.on_disk(name);
        // The values stay in the order of the disk; products take them along either dimension.
        let (rows, columns) = (shape[0], shape[1..].iter().product());
        let matrix = self.matrix(name, shape, [rows, columns])?.transpose();
        Ok(self.remember(name, StoredLayout::Transposed(shape.to_vec()), matrix))
    }

    /// The tensor `name` of shape `shape` on disk as a matrix, in the precision of matrices.
    fn matrix(&mut self, name: &str, shape: &[usize], dims: [usize; 2]) -> Result<Tensor<2>, Error> {
        let (bytes, _, dtype) = self.source.data(name, shape, self.precision)?.into_parts();
        let data = TensorData::from_bytes(bytes, dims, dtype);
        Ok(Tensor::from_data(data, (&self.device, self.precision.dtype())))
    }

    /// The linear layer at module path `path`, which becomes a site of `module`.
    /// Memory `[inputs, outputs]`, disk `[outputs, inputs]`, bias `[outputs]` in f32.
    ///
    /// # Errors
    /// As [`Source::values`], and [`Error::Kernel`] for a kernel that the processor lacks.
    pub fn linear(
        &mut self,
        path: &str,
        module: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<LoraLinear, Error> {
        let weight = self.transposed(&format!("{path}.weight"), &[outputs, inputs])?;
        let weight = self.quantised(weight);
        let bias = if bias { Some(self.tensor(&format!("{path}.bias"), [outputs])?) } else { None };
        let site = self.site(Site::linear(path, module, inputs, outputs), weight.id);
        self.layer(weight, bias, site)
    }

    /// The layer with this weight, which is packed if that is asked for.
    fn layer(
        &mut self,
        weight: Param<Tensor<2>>,
        bias: Option<Param<Tensor<1>>>,
        site: usize,
    ) -> Result<LoraLinear, Error> {
        let Some((compute, kernel)) = self.packing else {
            return Ok(LoraLinear { weight, packed: None, bias, site, panels: KeptPanels::default() });
        };
        let ([inputs, outputs], id) = (weight.dims(), weight.id);
        // In the order of the disk, without a copy if it is in f32.
        let plain = weight.val().without_autodiff().transpose().cast(DType::F32).into_data();
        drop(weight);
        let values: Vec<f32> = plain.iter::<f32>().collect();
        drop(plain);
        let frozen = Frozen::pack_for(Weight::transposed(&values, inputs, outputs)?, compute, kernel)?;
        self.packed.0 += inputs * outputs;
        self.packed.1 += frozen.bytes();
        let packed = Some(PackedWeight::new(id, frozen, &self.device));
        let weight = Param::from_tensor(Tensor::empty([0, 0], &self.device));
        Ok(LoraLinear { weight, packed, bias, site, panels: KeptPanels::default() })
    }

    /// The weight of a linear layer, quantised if that is asked for; as it is if its outputs are no whole number of blocks.
    fn quantised(&mut self, weight: Param<Tensor<2>>) -> Param<Tensor<2>> {
        let [inputs, outputs] = weight.dims();
        let Some(value) = self.precision.quantised().filter(|_| outputs.is_multiple_of(ops::BLOCK)) else {
            return weight;
        };
        self.in_blocks += inputs * outputs;
        let (id, numbers) = (weight.id, weight.val().without_autodiff());
        // In the order of the blocks before it is quantised, which not every device does of a view.
        let ordered = Tensor::from_data(numbers.into_data(), &self.device);
        Param::initialized(id, ops::quantise(ordered, value))
    }

    /// The convolution at module path `path` whose stride is its size, as a linear layer on flattened patches. With
    /// two sides it becomes a site of `module`; PEFT's factors have no other.
    ///
    /// `kernel` is the shape on disk: outputs, channels, and the sides of a patch.
    /// In memory `[channels * sides, outputs]`, for patches flattened as `[channels, sides]`.
    ///
    /// # Errors
    /// As [`linear`](Self::linear).
    pub fn convolution(
        &mut self,
        path: &str,
        module: &str,
        kernel: &[usize],
        bias: bool,
    ) -> Result<LoraLinear, Error> {
        let weight = self.transposed(&format!("{path}.weight"), kernel)?;
        let bias = if bias { Some(self.tensor(&format!("{path}.bias"), [kernel[0]])?) } else { None };
        let [outputs, channels, height, width] = *kernel else { return Ok(LoraLinear::frozen(weight, bias)) };
        let kind = SiteKind::Convolution { channels, height, width };
        let site = Site { kind, ..Site::linear(path, module, channels * height * width, outputs) };
        let site = self.site(site, weight.id);
        self.layer(weight, bias, site)
    }

    /// The table of embeddings at module path `path`, which becomes a site of `module`.
    /// `[rows, width]` in memory and on disk.
    ///
    /// # Errors
    /// As [`Source::values`].
    pub fn embedding(
        &mut self,
        path: &str,
        module: &str,
        vocabulary: usize,
        width: usize,
    ) -> Result<LoraEmbedding, Error> {
        let name = &self.on_disk(&format!("{path}.weight"));
        let dims = [vocabulary, width];
        let table = self.matrix(name, &dims, dims)?;
        let weight = self.remember(name, StoredLayout::Same(dims.to_vec()), table);
        let kind = SiteKind::Embedding;
        let site = Site { kind, ..Site::linear(path, module, vocabulary, width) };
        Ok(LoraEmbedding { site: self.site(site, weight.id), weight })
    }

    /// Remembers a site and its weight; returns its index.
    fn site(&mut self, site: Site, weight: ParamId) -> usize {
        self.weights.push(weight);
        self.sites.push(site);
        self.sites.len() - 1
    }

    /// A layer norm with weight and bias.
    /// Weight and bias are `[width]` in f32; `epsilon` is added to the variance.
    ///
    /// # Errors
    /// As [`Source::values`].
    pub fn layer_norm(&mut self, path: &str, width: usize, epsilon: f64) -> Result<LayerNorm, Error> {
        let mut norm = LayerNormConfig::new(width).with_epsilon(epsilon).init(&self.device);
        norm.gamma = self.tensor(&format!("{path}.weight"), [width])?;
        norm.beta = Some(self.tensor(&format!("{path}.bias"), [width])?);
        Ok(norm)
    }

    /// A root-mean-square norm.
    /// Its weight is `[width]` in f32; `epsilon` is added to the mean square.
    ///
    /// # Errors
    /// As [`Source::values`].
    pub fn rms_norm(&mut self, path: &str, width: usize, epsilon: f64) -> Result<RmsNorm, Error> {
        let mut norm = RmsNormConfig::new(width).with_epsilon(epsilon).init(&self.device);
        norm.gamma = self.tensor(&format!("{path}.weight"), [width])?;
        Ok(norm)
    }

    /// The parameter of a tensor, whose name on disk is kept.
    fn remember<const D: usize>(
        &mut self,
        name: &str,
        layout: StoredLayout,
        tensor: Tensor<D>,
    ) -> Param<Tensor<D>> {
        let param = Param::from_tensor(tensor);
        self.stored.push(Stored { id: param.id, name: name.to_string(), layout });
        param
    }
}
