//! What a report says of where its numbers come from.

use crate::{Error, config::SearchConfig, report::Provenance};
use mars_calib::command::Place;
use mars_kernels::Compute;
use std::path::Path;

/// Model, data and the settings that matter for the result, and `more`.
pub(super) fn provenance(
    config: &SearchConfig,
    model: &str,
    data: &str,
    adapter: Option<&Path>,
    more: impl IntoIterator<Item = (String, String)>,
) -> Provenance {
    let layers = config.lora.targets.clone().unwrap_or_else(|| "all linear".to_owned());
    let arithmetic = config.run.compute.filter(|compute| *compute != Compute::F32);
    let arithmetic = arithmetic.map(|compute| ("arithmetic of frozen layers", compute.to_string()));
    let settings = [
        ("device", config.run.device.clone()),
        ("LoRA scale", scale(config)),
        ("learning rates", rates(config, |_| true)),
        ("layers", layers),
        ("convergence", config.calibration.rule.to_string()),
    ];
    let settings = settings.into_iter().chain(arithmetic);
    let settings = settings.map(|(name, text)| (name.to_owned(), text));
    of(model, data, shown(adapter), settings.chain(more).collect())
}

/// The same of a search by an external trainer, with the directory of the winning run: the settings that it was told. On which
/// device it computes and which layers it adapts is not known.
///
/// # Errors
/// A command whose placeholders cannot be read.
pub(super) fn of_external(
    config: &SearchConfig,
    adapter: Option<&Path>,
    run: Option<&Path>,
) -> Result<Provenance, Error> {
    let options = config.trainer.command_options();
    let placeholders = options.as_ref().map(|options| options.module_placeholders()).transpose()?;
    // A trainer of one's own has the whole specification of each run.
    let told = |name: &str| {
        placeholders.as_ref().is_none_or(|all| {
            all.iter().any(|one| one.place != Place::Curve && one.text.starts_with(&format!("{{{name}")))
        })
    };
    let settings = [
        ("LoRA scale", told("alpha.").then(|| scale(config))),
        ("learning rates", Some(rates(config, |module| told(&format!("lr.{module}}}"))))),
        ("convergence", Some(config.calibration.rule.to_string())),
        ("trainer", Some(config.trainer.command.as_deref().unwrap_or("a trainer of one's own").to_owned())),
    ];
    let settings = settings.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
    let settings = settings.filter(|(_, text)| !text.is_empty());
    let adapter = match (adapter, run) {
        (None, Some(run)) => format!("the trainer left none in the directory of its run, {}", run.display()),
        (adapter, _) => shown(adapter),
    };
    Ok(of("that of the trainer", "those of the trainer", adapter, settings.collect()))
}

fn shown(adapter: Option<&Path>) -> String {
    adapter.map_or_else(|| "kept by the trainer".to_owned(), |path| path.display().to_string())
}

fn of(model: &str, data: &str, adapter: String, more: Vec<(String, String)>) -> Provenance {
    Provenance {
        model: model.to_owned(),
        data: data.to_owned(),
        adapter,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        more,
    }
}

fn scale(config: &SearchConfig) -> String {
    config.lora.scale.convention().to_string()
}

/// The peak learning rates of the modules that `of` takes.
fn rates(config: &SearchConfig, of: impl Fn(&str) -> bool) -> String {
    let rates = config.learning_rates();
    let rates = rates.iter().filter(|(module, _)| of(module));
    rates.map(|(module, rate)| format!("{module} {rate}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::of_external;
    use crate::{
        config::{SearchConfig, TrainerKind},
        report::{ReportData, render, sample::search},
    };

    /// What a command is not told is no fact of its runs.
    #[test]
    fn a_report_says_of_a_command_what_it_was_told() {
        let page = |command: &str| {
            let mut config = SearchConfig::default();
            config.trainer.kind = TrainerKind::Command;
            config.trainer.command = Some(command.to_owned());
            let provenance = of_external(&config, None, None).unwrap();
            render(&ReportData { provenance, ..search("fixed:8x8", 0.0) })
        };
        let row = |page: &str, name: &str| {
            let (_, rest) = page.split_once(&format!("<th scope=\"row\">{name}</th><td>"))?;
            rest.split_once("</td>").map(|(value, _)| value.to_owned())
        };
        let plain = page("train {r.ve} {r.llm} {out}");
        assert_eq!(row(&plain, "trainer").unwrap(), "train {r.ve} {r.llm} {out}");
        for name in ["device", "layers", "LoRA scale", "learning rates"] {
            assert_eq!(row(&plain, name), None, "{name}");
        }
        let told = page("train {r.ve} {r.llm} {alpha.ve} {lr.llm} {out}");
        assert_eq!(row(&told, "device").or(row(&told, "layers")), None);
        assert!(row(&told, "LoRA scale").is_some());
        assert_eq!(row(&told, "learning rates").unwrap(), "llm 0.0002");
    }
}
