//! The settings of a search once its task is known.

use super::{Task, ranks::check_ranks, start};
use crate::{
    Error,
    config::{Opened, ScaleConfig, SearchConfig},
    plan::Memory,
};
use mars_lora::{Examples, Model};

impl<M, E> Task<M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    /// The configuration of a search on this task: `config` with the settings that the task was opened with.
    ///
    /// # Errors
    /// An error of usage for other values of these settings, which would change nothing, and for ranks that do not fit the model or
    /// the adapter that training goes on from.
    pub(crate) fn searched(&self, config: &SearchConfig) -> Result<SearchConfig, Error> {
        let Some(opened) = &self.opened else { return Opened::own(config).within(config) };
        let config = opened.within(config)?;
        check_ranks(&config, &self.model)?;
        if let (Some(start), Some(place)) = (&self.start, &config.model.adapter) {
            start::check(&config, place, start, self.model.sites())?;
        }
        Ok(config)
    }

    /// The same with what follows from the data, from the adapter that training goes on from, and from the memory of the machine; and
    /// the memory that it will take, where that is known.
    ///
    /// Where `run.stack` is left to mars it is the widest that fits; where none does and `run.workers` is as well, that is 1.
    ///
    /// # Errors
    /// Those of [`searched`](Self::searched); one of kind [`Memory`](crate::ErrorKind::Memory) where nothing fits.
    pub(crate) fn settled(&self, config: &SearchConfig) -> Result<(SearchConfig, Option<Memory>), Error> {
        let mut config = self.searched(config)?.resolved(self.train.len(), self.val.len());
        if let Some(start) = &self.start {
            config.lora.scale = ScaleConfig::of(start.config.scale);
        }
        let may_narrow = config.run.stack.is_none();
        let mut width = config.stack();
        loop {
            config.run.stack = Some(width);
            let memory = (self.memory)(self, &config)?;
            match memory.as_ref().map_or(Ok(()), Memory::check) {
                Err(_) if may_narrow && width > 1 => width -= 1,
                Err(_) if config.run.workers.is_none() => config.run.workers = Some(1),
                fits => return fits.map(|()| (config, memory)),
            }
        }
    }
}
