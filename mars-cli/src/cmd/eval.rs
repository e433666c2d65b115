//! `mars eval`: loss, perplexity and accuracy of a model on data.

use crate::{
    args::{self, Task},
    cmd::{Context, data_or_embedded},
    exit::Exit,
    output,
};
use mars::{
    Error,
    evaluate::{DataScore, evaluate_files},
};

pub(crate) fn run(context: &Context, args: &args::Eval) -> Result<Exit, Error> {
    let task = Task { model: args.model.clone(), device: args.device.clone(), ..Task::default() };
    let config = context.layers(&task)?.reading()?;
    let adapter = args.adapter.as_deref();
    let (model, data) =
        data_or_embedded(context, &config, adapter, args.data.as_ref(), args.images.as_ref())?;
    let mut reporter = context.reporter();
    let score = evaluate_files(&config, &model, adapter, &data, args.exchange_images, &mut reporter);
    reporter.finish();
    let score = score?;
    if context.common.json {
        output::json(&score)?;
    } else {
        let DataScore { loss, perplexity, tokens, samples, accuracy, exchanged_images, left_out, .. } = score;
        let exchanged = match exchanged_images {
            Some(exchanged) => format!("\n{exchanged}"),
            None if args.exchange_images => {
                "\nno images were exchanged: no two samples have equally many, different images and fit the maximum length after the \
                 exchange"
                    .to_owned()
            }
            None => String::new(),
        };
        let left_out = left_out.map_or_else(String::new, |one| format!("\n{one}"));
        output::text(format!(
            "loss {loss:.5}, perplexity {perplexity:.4}, accuracy {:.1} %; {samples} samples, {tokens} answer tokens{exchanged}{left_out}",
            100.0 * accuracy
        ))?;
    }
    Ok(Exit::Done)
}
