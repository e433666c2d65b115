//! What an external trainer is, as plain data: the `[trainer]` section of a configuration.

use super::template::Template;
use crate::Error;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An external trainer: the command of a run, its surroundings, and where its loss curve will be.
///
/// ```
/// use mars_calib::command::CommandOptions;
///
/// let options: CommandOptions = toml::from_str(
///     r#"
///     template = "python train.py --vision-rank {r.ve} --llm-rank {r.llm} --seed {seed} --max-steps {steps} --out {out}"
///     environment = { CUDA_VISIBLE_DEVICES = "0" }
///     timeout_s = 7200.0
///     "#,
/// )?;
/// options.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Placeholders of `template`, of the values of `environment`, and of `curve.path`:
///
/// | placeholder | value |
/// |---|---|
/// | `{r.MODULE}` | LoRA rank of the module; 0 where it is not adapted |
/// | `{alpha.MODULE}` | PEFT's `lora_alpha`: scale times rank |
/// | `{lr.MODULE}` | peak learning rate; 0 where there is none |
/// | `{samples}` | training samples, the first of a seeded order |
/// | `{seed}` | seed of subset, batch order and first values |
/// | `{batch}` | samples in one optimizer step |
/// | `{steps}` | optimizer steps |
/// | `{horizon}` | length of the learning-rate schedule, optimizer steps, at least `{steps}` |
/// | `{eval_every}` | steps between evaluations on the validation split |
/// | `{warmup}` | length of the linear warm-up, optimizer steps |
/// | `{decay_fraction}` | part of `{horizon}` over which the rate falls linearly towards 0; 0 in calibration by registration |
/// | `{validation}` | evaluate on the first so many validation samples; 0: on all |
/// | `{id}` | id of the run, 16 hexadecimal digits |
/// | `{out}` | output directory of the run, its own and kept between tries |
/// | `{continues}` | output directory of a shorter run of the same training, whose last checkpoint may be continued; empty if there is none |
///
/// `{{` and `}}` are literal braces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandOptions {
    /// The command of one run. As one text it is split at blanks, with quotes but without a shell; as a list each entry
    /// is one argument, the program first.
    pub template: CommandLine,
    /// Variables of the command's environment, in addition to those of this process. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// A run that takes longer has failed, seconds, > 0. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
    /// How long a command may take to end after SIGTERM before it is killed, seconds, >= 0. Default 10.
    #[serde(default = "ten")]
    pub grace_s: f64,
    /// Where the loss curve of a run is. Default: what is found in `{out}`.
    #[serde(default)]
    pub curve: CurveSource,
}

/// A command with placeholders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CommandLine {
    /// One text, split at blanks as a [`Template`] says.
    Text(String),
    /// One entry for each argument.
    Arguments(Vec<String>),
}

/// Where a command leaves its loss curve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CurveSource {
    /// A file, or a directory in which the curve is found under its usual name; it must hold `{out}` or `{id}`.
    /// Default `{out}`.
    pub path: String,
    /// How the curve is written. Default: as the name of the file says.
    pub format: CurveFormat,
}

/// How a loss curve is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CurveFormat {
    /// Files that end in `.json` are trainer states, in `.jsonl` JSON lines, those with `.tfevents.` in their name of
    /// TensorBoard, others CSV; in a directory the first that is there, in the order of these formats.
    #[default]
    Auto,
    /// `trainer_state.json` of the Hugging Face Trainer with evaluation switched on; in a directory that one, else the
    /// one of the latest `checkpoint-<n>/`. Validation losses are `eval_loss`, or those of the one set `NAME` that are
    /// logged as `eval_NAME_loss`.
    TrainerState,
    /// A table with the columns `step,loss[,split]`, where `split` is `val` (the default) or `train`; in a directory
    /// `curve.csv`.
    Csv,
    /// JSON lines with a step (`step`, `global_step`, `current_steps`, or `global_step/max_steps` as in `5/100`) and
    /// losses named as in trainer states, or `loss` and `split`; in a directory `curve.jsonl`, `logging.jsonl` (ms-swift)
    /// or `trainer_log.jsonl` (LLaMA-Factory). Kept between tries, since trainers append to it.
    JsonLines,
    /// Event files of TensorBoard with the scalars `eval/loss` and `train/loss`; in a directory all there and in
    /// `runs/<any>/`. Kept between tries.
    #[serde(rename = "tensorboard")]
    TensorBoard,
}

fn ten() -> f64 {
    10.0
}

impl Default for CurveSource {
    fn default() -> Self {
        Self { path: "{out}".into(), format: CurveFormat::Auto }
    }
}

impl CommandOptions {
    /// The command `template` with defaults for all else.
    pub fn new(template: impl Into<String>) -> Self {
        Self {
            template: CommandLine::Text(template.into()),
            environment: BTreeMap::new(),
            timeout_s: None,
            grace_s: ten(),
            curve: CurveSource::default(),
        }
    }

    /// Whether command or environment name the run that a run continues. Without that, or where a text cannot be understood,
    /// every run begins at step 0.
    pub fn continues(&self) -> bool {
        Prepared::of(self).is_ok_and(|prepared| prepared.continues())
    }

    /// Checks every field and every placeholder.
    ///
    /// # Errors
    /// [`Error::Template`] for a command that cannot be understood, with the known placeholders if it names another;
    /// [`Error::Trainer`] for another field, by name.
    pub fn validate(&self) -> Result<(), Error> {
        Prepared::of(self).map(drop)
    }
}

impl From<&str> for CommandOptions {
    fn from(template: &str) -> Self {
        Self::new(template)
    }
}

/// The parsed texts of checked options.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) command: Template,
    pub(super) environment: BTreeMap<String, Template>,
    pub(super) curve: Template,
}

impl Prepared {
    /// Whether command or environment name the run that a run continues.
    pub(super) fn continues(&self) -> bool {
        self.command.continues() || self.environment.values().any(Template::continues)
    }

    /// Whether command or environment name several modules, so that a run of one of them is one of a calibration.
    pub(super) fn names_several_modules(&self) -> bool {
        let texts = std::iter::once(&self.command).chain(self.environment.values());
        let modules: BTreeSet<&str> = texts.flat_map(Template::modules).map(|(_, module)| module).collect();
        modules.len() > 1
    }

    pub(super) fn of(options: &CommandOptions) -> Result<Self, Error> {
        let command = match &options.template {
            CommandLine::Text(text) => Template::parse(text)?,
            CommandLine::Arguments(arguments) => Template::of_arguments(arguments)?,
        };
        let variable = |(name, value): (&String, &String)| {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(bad("environment", name, "the name of a variable is not empty and has no `=`"));
            }
            let template = Template::of_arguments(std::slice::from_ref(value));
            Ok((
                name.clone(),
                template.map_err(|error| of_field(error, format!("environment.{name}"), value))?,
            ))
        };
        let environment = options.environment.iter().map(variable).collect::<Result<_, Error>>()?;
        let path = &options.curve.path;
        let curve = Template::of_arguments(std::slice::from_ref(path));
        let curve = curve.map_err(|error| of_field(error, "curve.path".to_owned(), path))?;
        if !curve.names_the_run() {
            let rule = "it must hold {out} or {id}, so that no run reads the curve of another";
            return Err(bad("curve.path", path, rule));
        }
        let seconds = |field, value: f64, least: bool| {
            let ok = std::time::Duration::try_from_secs_f64(value).is_ok() && (least || value > 0.0);
            let rule = if least { "it must be a number of seconds >= 0" } else { "it must be > 0 seconds" };
            if ok { Ok(()) } else { Err(bad(field, value, rule)) }
        };
        seconds("grace_s", options.grace_s, true)?;
        options.timeout_s.map_or(Ok(()), |limit| seconds("timeout_s", limit, false))?;
        Ok(Self { command, environment, curve })
    }
}

fn bad(field: &str, value: impl ToString, rule: &str) -> Error {
    Error::Trainer { field: field.into(), value: value.to_string(), rule: rule.into() }
}

/// The error of a text that is not the command's.
fn of_field(error: Error, field: String, value: &str) -> Error {
    match error {
        Error::Template { why } => Error::Trainer { field, value: value.to_owned(), rule: why },
        other => other,
    }
}
