//! `mars merge`: an adapter in the weights of its base.

use crate::{
    args,
    cmd::{Context, roles},
    exit::Exit,
    output,
};
use mars::{
    Error,
    mars_lora::merge::{Direction, MergeOptions, merge},
    mars_vlm::checkpoint::names_of_dir,
};

const MIB: u64 = 1 << 20;

pub(crate) fn run(context: &Context, args: &args::Merge) -> Result<Exit, Error> {
    let needed = |what: &str, flag: &str| Error::usage(format!("no {what} is given; add {flag} DIR"));
    let named = args.adapted.base().ok_or_else(|| needed("base model", "--model"))?;
    let adapter = args.adapted.adapter().ok_or_else(|| needed("adapter", "--adapter"))?;
    let base = context.model(named)?;
    roles::check(adapter, &base)?;
    let names = names_of_dir(&base)?;
    let direction = if args.unmerge { Direction::Unmerge } else { Direction::Merge };
    let options = MergeOptions { names: &names, dtype: args.dtype, direction };
    let stage = context.console.stage("merging", "MiB", 0);
    let merged = merge(adapter, &base, &args.out, &options, &mut |done, total| {
        stage.set_total(total.div_ceil(MIB));
        stage.at(done / MIB, "");
    });
    stage.finish();
    let merged = merged?;
    merged.notes.iter().for_each(|note| context.console.warn(note));
    if context.common.json {
        output::json(&merged)?;
        return Ok(Exit::Done);
    }
    let done = if args.unmerge { "subtracted from" } else { "merged into" };
    output::text(format!(
        "{done} {} tensors of {}\nwritten   {} ({} and {} other files)",
        merged.tensors.len(),
        named.display(),
        args.out.display(),
        merged.files.join(", "),
        merged.copied.len(),
    ))?;
    if !merged.left_out.is_empty() {
        context.console.say(format!("not copied: {}", merged.left_out.join(", ")));
    }
    Ok(Exit::Done)
}
