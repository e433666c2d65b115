//! `mars merge`: an adapter in the weights of its base.

use crate::{args, cmd::Context, failure::Exit, hub, output};
use anyhow::Result;
use mars_lora::merge::{Direction, MergeOptions, ModelNames, merge};
use mars_vlm::{checkpoint::names_of_dir, hub::Need};
use std::path::Path;

const MIB: u64 = 1 << 20;

pub(crate) fn run(context: &Context, args: &args::Merge) -> Result<Exit> {
    let base = hub::folder(&args.base, Need::Weights, context.console)?;
    let names = names_of_dir(&base)?;
    let direction = if args.unmerge { Direction::Unmerge } else { Direction::Merge };
    let options = MergeOptions { names: &names, dtype: args.dtype, direction };
    let merged = with_progress(context, &args.adapter, &base, &args.out, &options)?;
    if context.common.json {
        output::json(&merged)?;
        return Ok(Exit::Done);
    }
    let done = if args.unmerge { "taken off" } else { "merged into" };
    output::text(format!(
        "{done} {} tensors of {}\nwritten   {} ({} and {} other files)",
        merged.tensors.len(),
        args.base.display(),
        args.out.display(),
        merged.files.join(", "),
        merged.copied.len(),
    ))?;
    if !merged.left_out.is_empty() {
        context.console.say(format!("left behind: {}", merged.left_out.join(", ")));
    }
    Ok(Exit::Done)
}

/// Merges with a bar of what is written.
pub(super) fn with_progress(
    context: &Context,
    adapter: &Path,
    base: &Path,
    out: &Path,
    options: &MergeOptions<'_>,
) -> Result<mars_lora::merge::Merged> {
    let stage = context.console.stage("merging", "MiB", 0);
    let merged = merge(adapter, base, out, options, &mut |done, total| {
        stage.set_total(total.div_ceil(MIB));
        stage.at(done / MIB, "");
    });
    stage.finish();
    Ok(merged?)
}

/// Merges in single precision, to compare with the unmerged adapter.
pub(super) fn in_single_precision(
    context: &Context,
    adapter: &Path,
    base: &Path,
    out: &Path,
    names: &ModelNames,
) -> Result<()> {
    let options =
        MergeOptions { names, dtype: Some(mars_lora::merge::Float::F32), direction: Direction::Merge };
    with_progress(context, adapter, base, out, &options)?;
    Ok(())
}
