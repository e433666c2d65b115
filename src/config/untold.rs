//! What a command that trains cannot be told.

use super::SearchConfig;
use crate::Error;
use mars_lora::Variant;
use mars_search::{Method, PolicySpec};

impl SearchConfig {
    /// Refuses what no placeholder of `trainer.command` carries, where a command trains: it would train plain LoRA on layers of its own,
    /// and the report would say otherwise.
    pub(super) fn check_told(&self) -> Result<(), Error> {
        let Some(options) = self.trainer.command_options() else { return Ok(()) };
        let (lora, plain) = (self.lora.variant(), Variant::default());
        let adapter = [
            ("lora.targets", self.lora.targets.is_some()),
            ("lora.dropout", lora.dropout != plain.dropout),
            ("lora.dora", lora.dora != plain.dora),
            ("lora.init", lora.init != plain.init),
            ("lora.b_ratio", lora.b_ratio != plain.b_ratio),
        ];
        if let Some((setting, _)) = adapter.into_iter().find(|(_, is_set)| *is_set) {
            return Err(Error::usage(format!(
                "{setting} is set, but a command trains (trainer.kind), and no placeholder tells it; leave {setting} out, and write \
                 what it stands for into trainer.command"
            )));
        }
        match &self.search.policy {
            PolicySpec::Method(Method::AdaLora | Method::GeoLora | Method::HydraStyle | Method::Eva) => {
                Err(Error::usage(format!(
                    "search.policy is {}, which the built-in trainer can do; a command (trainer.kind) trains plain LoRA: choose another \
                 policy, or trainer.kind = native",
                    self.search.policy
                )))
            }
            PolicySpec::Method(Method::DiffLr(_)) => {
                for module in &self.lora.modules {
                    if !options.tells(&format!("lr.{module}"))? {
                        return Err(Error::usage(format!(
                            "search.policy is {}, but trainer.command has no {{lr.{module}}}, so the trainer would never learn the \
                             learning rate of `{module}`; write {{lr.{module}}} into trainer.command or trainer.environment, or choose \
                             another policy",
                            self.search.policy
                        )));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
