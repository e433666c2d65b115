//! Where the features of the images of a batch go.

use crate::model::core::indices::indices;
use crate::processor::{Feature, ImageShape, Pixels};
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::sync::Arc;

/// One way of arranging the images.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    /// Distinct tile at each position of the encoder's input; `None` for all of them in order.
    pub(super) order: Option<Tensor<1, Int>>,
    pub(super) images: Vec<Vec<ImageShape>>,
    /// Rows of features that an encoder must give, padding included.
    features: usize,
    /// Rows and weights `[4 * M]` of M weighted sums of four features, the four one after another.
    blends: Option<(Tensor<1, Int>, Tensor<2>)>,
    /// For every position, its row in the embeddings of text, then features, newline, blends, `[K * B * S]`.
    rows: Tensor<1, Int>,
    newline: bool,
}

impl Placement {
    /// Embeddings of all positions `[K * B * S, width]`, from those of text `[K * B * S, width]` and the features.
    /// `features` are `[features, width]` in the order of the tiles, padding included; `newline` is `[1, width]`.
    ///
    /// # Panics
    /// If there are not as many features as the layouts of the images say: rows of one image would stand for another.
    pub(crate) fn merge(
        &self,
        text: Tensor<2>,
        features: Tensor<2>,
        newline: Option<Tensor<2>>,
    ) -> Tensor<2> {
        let ([_, width], [found, _]) = (text.dims(), features.dims());
        assert_eq!(found, self.features, "features of the encoder, and of the images as they are laid out");
        let mut parts = vec![text, features];
        if let Some((rows, weights)) = &self.blends {
            let blends = rows.dims()[0] / 4;
            let summands = parts[1].clone().select(0, rows.clone()) * weights.clone();
            let sums = summands.reshape([4, blends, width]).sum_dim(0).squeeze_dim(0);
            parts.push(sums);
        }
        if let Some(newline) = newline.filter(|_| self.newline) {
            parts.insert(2, newline);
        }
        Tensor::cat(parts, 0).select(0, self.rows.clone())
    }
}

/// Host side of a [`Placement`].
pub(super) struct HostPlacement {
    images: Vec<Vec<ImageShape>>,
    /// Tiles of each adapter with padding.
    tiles: usize,
    /// Features of all adapters with padding.
    features: usize,
    blends: Vec<[(u32, f32); 4]>,
    newline: bool,
}

/// Rows of the image tokens of each sample with images, adapter by adapter.
pub(super) type Rows = Vec<Vec<Vec<i32>>>;

impl HostPlacement {
    /// Arranges `groups[k]`, each padded to the same number of tiles, after `cells` embeddings of text.
    pub(super) fn new(groups: &[Vec<&Arc<Pixels>>], cells: usize) -> Result<(Self, Rows), String> {
        let all = || groups.iter().flatten().flat_map(|pixels| &pixels.images);
        let tiles_of = |own: &Vec<&Arc<Pixels>>| own.iter().map(|pixels| pixels.len()).sum::<usize>();
        let tiles = groups.iter().map(tiles_of).max().unwrap_or(0);
        let one = all().next().map_or(ImageShape { tiles: 1, ..ImageShape::default() }, |image| image.shape);
        let uneven = |shape: &ImageShape| shape.features * one.tiles != shape.tiles * one.features;
        if let Some(image) = all().find(|image| uneven(&image.shape)) {
            let ImageShape { features, tiles, .. } = image.shape;
            let (usual, of) = (one.features, one.tiles);
            return Err(format!("{features} features of {tiles} tiles beside {usual} of {of} in one batch"));
        }
        let features = tiles * one.features / one.tiles;
        let newline = all().flat_map(|image| &image.tokens).any(|token| *token == Feature::Newline);
        let all_features = groups.len() * features;
        let table = cells + all_features;
        let mut blends = Vec::new();
        let mut rows = Vec::with_capacity(groups.len());
        for (k, own) in groups.iter().enumerate() {
            let mut from = k * features;
            let mut placed = Vec::with_capacity(own.len());
            for pixels in own {
                let mut tokens = Vec::new();
                for image in &pixels.images {
                    tokens.extend(image.tokens.iter().map(|token| match token {
                        Feature::Row(row) => (cells + from) as i32 + *row as i32,
                        Feature::Newline => table as i32,
                        Feature::Blend(four) => {
                            blends.push(four.map(|(row, weight)| (row + from as u32, weight)));
                            (table + usize::from(newline) + blends.len() - 1) as i32
                        }
                    }));
                    from += image.shape.features;
                }
                placed.push(tokens);
            }
            rows.push(placed);
        }
        let shapes =
            |own: &Vec<&Arc<Pixels>>| own.iter().flat_map(|p| p.images.iter().map(|i| i.shape)).collect();
        let images = groups.iter().map(shapes).collect();
        Ok((Self { images, tiles, features: all_features, blends, newline }, rows))
    }

    /// The distinct tile at each position; positions beyond an adapter's own repeat one.
    pub(super) fn order(
        &self,
        groups: &[Vec<&Arc<Pixels>>],
        first: impl Fn(&Arc<Pixels>) -> usize,
    ) -> Vec<i32> {
        let own = |own: &Vec<&Arc<Pixels>>| -> Vec<i32> {
            let tiles = own.iter().flat_map(|pixels| first(pixels)..first(pixels) + pixels.len());
            let mut tiles: Vec<i32> = tiles.map(|tile| tile as i32).collect();
            tiles.resize(self.tiles, 0);
            tiles
        };
        groups.iter().flat_map(own).collect()
    }

    /// On `device`, with the tiles in `order` and the `rows` of all positions.
    pub(super) fn placement(self, order: Option<Vec<i32>>, rows: Vec<i32>, device: &Device) -> Placement {
        let count = self.blends.len();
        let blends = (count > 0).then(|| {
            let each = |j: usize| self.blends.iter().map(move |four| four[j]);
            let (rows, weights): (Vec<i32>, Vec<f32>) =
                (0..4).flat_map(each).map(|(row, weight)| (row as i32, weight)).unzip();
            let weights = Tensor::from_data(TensorData::new(weights, [4 * count, 1]), device);
            (indices(rows, device), weights)
        });
        Placement {
            order: order.map(|order| indices(order, device)),
            images: self.images,
            features: self.features,
            blends,
            rows: indices(rows, device),
            newline: self.newline,
        }
    }
}
