//! Section `[trainer]`.

use crate::{Error, config::chosen};
use documented::DocumentedFields;
use mars_calib::command::{CommandLine, CommandOptions, CurveSource, ModulePlaceholder, Place};
use mars_vlm::model::{LANGUAGE_MODEL, PROJECTOR, VISION_ENCODER};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who trains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct TrainerConfig {
    /// native (this program), or command (any program, started once for each run).
    pub kind: TrainerKind,
    /// The command with placeholders, as in "python train.py --ve {r.ve} --llm {r.llm} --samples {samples} --seed {seed}
    /// --steps {steps} --out {out}". It is split at blanks and started without a shell. Placeholders: {r.MODULE} rank,
    /// {alpha.MODULE} LoRA alpha, {lr.MODULE} peak learning rate, {samples}, {seed}, {batch}, {steps}, {horizon} (length of
    /// the learning-rate schedule), {eval_every}, {warmup} and {decay_fraction} (of the schedule), {validation} (samples of an
    /// evaluation, 0: all), {id}, {out} (the directory of the run, which it must write to) and {continues} (that of a shorter run
    /// whose last checkpoint the command goes on from, or nothing; without it every run begins at step 0).
    #[serde(with = "chosen::text")]
    pub command: Option<String>,
    /// Environment variables of the command, beside those of this program. They are not written into the campaign, and runs
    /// are the same whatever they are: anything that affects results belongs in the command.
    pub environment: BTreeMap<String, String>,
    /// Timeout of a run in seconds, after which it is stopped and counts as failed. 0: no limit.
    #[serde(with = "chosen::number")]
    pub timeout: Option<f64>,
    /// File with the losses, as in "{out}/losses.csv": JSON as the trainer_state.json of the Hugging Face Trainer, CSV with
    /// the columns step, loss and, where there are training losses as well, split (val or train), JSON lines with step and
    /// loss or eval_loss, or an event file of TensorBoard with eval/loss. "": in {out} trainer_state.json, also that of the
    /// newest checkpoint-N, else curve.csv, curve.jsonl, logging.jsonl, trainer_log.jsonl, or event files.
    #[serde(with = "chosen::text")]
    pub curve: Option<String>,
    /// Training samples that the command has. 0: those of data.train, which is opened to count them.
    #[serde(with = "chosen::number")]
    pub samples: Option<usize>,
    /// Adapter parameters per unit of rank of each module, the sum of (inputs + outputs) over its adapted layers, as in
    /// ve = 294912: decides between choices that are equal within noise. A module that is absent counts 1.
    pub parameters_per_rank: BTreeMap<String, u64>,
}

/// Who trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainerKind {
    /// The trainer on burn.
    #[default]
    Native,
    /// An external command.
    Command,
}

impl TrainerConfig {
    /// The external trainer; `None` for the native one.
    pub fn command_options(&self) -> Option<CommandOptions> {
        let command = self.command.clone().filter(|_| self.kind == TrainerKind::Command)?;
        let curve = self.curve.clone().map(|path| CurveSource { path, ..CurveSource::default() });
        Some(CommandOptions {
            template: CommandLine::Text(command.clone()),
            environment: self.environment.clone(),
            timeout_s: self.timeout,
            curve: curve.unwrap_or_default(),
            ..CommandOptions::new(command)
        })
    }

    /// `adapted` are the modules with a rank.
    pub(super) fn check(&self, adapted: &[String]) -> Result<(), Error> {
        match (self.kind, &self.command) {
            (TrainerKind::Command, None) => Err(Error::usage(
                "trainer.kind is \"command\", but trainer.command is empty; give the command that trains one run",
            )),
            (TrainerKind::Native, Some(_)) => Err(Error::usage(
                "trainer.command is given, but trainer.kind is \"native\"; set trainer.kind=command",
            )),
            _ => self.command_options().map_or(Ok(()), |options| {
                options.validate().map_err(of_setting)?;
                check_modules(&options, adapted)
            }),
        }
    }

    /// Refuses a command that a run with ranks for the modules `adapted` could not be told to: everything else may be fixed in
    /// it.
    ///
    /// # Errors
    /// An error of usage that names what the command lacks.
    pub(crate) fn check_told<'a>(&self, adapted: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        let Some(options) = self.command_options() else { return Ok(()) };
        for module in adapted {
            if !options.tells_rank(module)? {
                return Err(Error::usage(format!(
                    "trainer.command has no {{r.{module}}}, so the trainer would not get the rank of `{module}`; write \
                     {{r.{module}}} into trainer.command or trainer.environment, or leave `{module}` out of lora.modules"
                )));
            }
        }
        if self.curve.is_none() && !options.tells_run()? {
            return Err(Error::usage(
                "trainer.command has neither {out} nor {id}, so the trainer would not know where to write its losses; write {out}, \
                 the directory of the run, into trainer.command or trainer.environment, or set trainer.curve",
            ));
        }
        Ok(())
    }
}

/// The error under the name of the setting.
fn of_setting(error: mars_calib::Error) -> Error {
    match error {
        mars_calib::Error::Template { why } => Error::usage(format!("trainer.command: {why}")),
        mars_calib::Error::Trainer { field, value, rule } => {
            let setting = match field.as_str() {
                "timeout_s" => "timeout",
                "curve.path" => "curve",
                other => other,
            };
            Error::usage(format!("trainer.{setting} is {value}, but {rule}"))
        }
        other => other.into(),
    }
}

/// Refuses placeholders of modules that there are not: a command would get rank 0 for them.
fn check_modules(options: &CommandOptions, adapted: &[String]) -> Result<(), Error> {
    let others = [VISION_ENCODER, PROJECTOR, LANGUAGE_MODEL].into_iter();
    let mut known: Vec<&str> = adapted.iter().map(String::as_str).collect();
    known.extend(others.filter(|other| !adapted.iter().any(|module| module == other)));
    let placeholders = options.module_placeholders()?;
    let Some(ModulePlaceholder { place, text, module }) =
        placeholders.into_iter().find(|placeholder| !known.contains(&placeholder.module.as_str()))
    else {
        return Ok(());
    };
    let key = match place {
        Place::Template => "trainer.command".to_owned(),
        Place::Environment(name) => format!("trainer.environment.{name}"),
        Place::Curve => "trainer.curve".to_owned(),
    };
    Err(Error::usage(format!(
        "{key} has {text}, but there is no module `{module}`; there are {}, and those that lora.modules names",
        known.join(", ")
    )))
}
