//! What adapters take from the frozen weights: the norms of their rows, and their strongest directions.

use super::host::host;
use super::svd;
use crate::{Error, Factors, Model, SiteKind};
use burn::tensor::{DType, Tensor, TensorData};

/// The weight of a site, `[inputs, outputs]`.
/// # Errors
/// [`Error::Variant`] for an embedding, [`Error::NoWeight`] if the model does not show the weight.
fn weight<M: Model>(model: &M, site: usize) -> Result<Tensor<2>, Error> {
    let known = &model.sites()[site];
    if known.kind == SiteKind::Embedding {
        let why = format!("DoRA and PiSSA are not defined here for embeddings such as `{}`", known.path);
        return Err(Error::Variant { why });
    }
    let found = model.weight(site).ok_or_else(|| Error::NoWeight { path: known.path.clone() })?;
    Ok(found.cast(DType::F32))
}

/// Norm of the weights of each output, `[outputs]`: DoRA's first magnitudes.
/// `sqrt(sum_i W[i, o]^2)` over the inputs i, as in arXiv 2402.09353 and PEFT.
/// # Errors
/// [`Error::Variant`] for an output whose norm is zero, by which its gain would be divided.
pub(crate) fn row_norms<M: Model>(model: &M, site: usize) -> Result<Vec<f32>, Error> {
    let remedy = "leave the layer out of the targets, or do without DoRA";
    norms(weight(model, site)?, &model.sites()[site].path, remedy)
}

/// Makes sure that no output of the weight of a site with these factors, `W + scale B A`, has the norm zero.
/// # Errors
/// As [`row_norms`].
pub(crate) fn check_sum<M: Model>(model: &M, site: usize, own: &Factors, scale: f64) -> Result<(), Error> {
    let (weight, known) = (weight(model, site)?, &model.sites()[site]);
    let matrix = |values: &[f32], shape: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &weight.device())
    };
    let (a, b) = (matrix(&own.a, [own.rank, known.inputs]), matrix(&own.b, [known.outputs, own.rank]));
    let product = a.transpose().matmul(b.transpose()).mul_scalar(scale);
    norms(weight + product, &known.path, "go on from another adapter").map(drop)
}

/// Norms of the columns of a weight `[inputs, outputs]`; none may be zero.
fn norms(weight: Tensor<2>, path: &str, remedy: &str) -> Result<Vec<f32>, Error> {
    let norms = host(weight.square().sum_dim(0).sqrt());
    match norms.iter().position(|norm| !(norm.is_finite() && *norm > 0.0)) {
        None => Ok(norms),
        Some(output) => Err(Error::Variant {
            why: format!(
                "the weights of output {output} of `{path}` have the norm {}, by which DoRA would divide; {remedy}",
                norms[output]
            ),
        }),
    }
}

/// A `[rank, inputs]` and B `[outputs, rank]` with `scale * B A` the best approximation of that rank of the
/// weight, shared evenly between the two.
/// With `W = U S V^T` `[inputs, outputs]`: `A = sqrt(S_r / s) U_r^T` and `B = V_r sqrt(S_r / s)` (arXiv
/// 2404.02948, whose W is the transpose). Randomised, so equal for equal `seed` only; PEFT's `pissa` without a
/// suffix decomposes exactly.
pub(crate) fn principal<M: Model>(
    model: &M,
    site: usize,
    rank: usize,
    scale: f64,
    seed: u64,
) -> Result<(Vec<f32>, Vec<f32>), Error> {
    let svd::Triplets { u, s, v } = svd::strongest(&weight(model, site)?, rank, seed);
    let root = |r: usize| (s[r] / scale).sqrt() as f32;
    let (inputs, outputs) = (u.nrows(), v.nrows());
    let a =
        (0..rank).flat_map(|r| (0..inputs).map(move |i| (r, i))).map(|(r, i)| root(r) * u[(i, r)]).collect();
    let b =
        (0..outputs).flat_map(|o| (0..rank).map(move |r| (o, r))).map(|(o, r)| root(r) * v[(o, r)]).collect();
    Ok((a, b))
}
