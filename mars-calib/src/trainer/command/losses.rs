//! Losses of a run over all its tries, and with those of the run that it goes on from.
//!
//! A command that goes on from a checkpoint logs the steps after it, into a file of their own or behind those of before. From
//! the first step that a try has logged on, its losses replace all others; up to there those of before count.

use super::{CurveFormat, Curves, found, history::latest};
use crate::{CurvePoint, Error, files};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

/// In the directory of a run, [`Stored`] as JSON, which has no meaning where it was cut.
const FILE: &str = "losses-of-all-tries.json";

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    val: Cow<'a, [CurvePoint]>,
    train: Cow<'a, [CurvePoint]>,
}

/// The losses of a run whose command writes them to `curve`.
pub(super) struct Losses {
    curve: PathBuf,
    format: CurveFormat,
    stored: PathBuf,
    /// Of before the try under way, by rising step.
    earlier: Curves,
    /// What there was at `curve` when that began, as it was written.
    before: Curves,
}

/// The losses of a run so far.
pub(super) struct Seen {
    /// By rising step.
    pub(super) curves: Curves,
    /// The last step that the try under way has logged.
    pub(super) logged: Option<usize>,
}

impl Losses {
    /// Of the run in `out`, which writes them to `curve` and begins with those of the run in `from`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the losses of before cannot be read, [`Error::Io`].
    pub(super) fn of(
        out: &Path,
        from: Option<&Path>,
        curve: PathBuf,
        format: CurveFormat,
    ) -> Result<Self, Error> {
        let earlier = match (read(out)?, from) {
            (None, Some(from)) => read(from)?,
            (own, _) => own,
        };
        let earlier = earlier.unwrap_or_default();
        Ok(Self { curve, format, stored: out.join(FILE), earlier, before: Curves::default() })
    }

    /// Where the command writes them.
    pub(super) fn place(&self) -> &Path {
        &self.curve
    }

    /// The last step before the try under way.
    pub(super) fn reached(&self) -> usize {
        self.earlier.last_step()
    }

    /// Before a try: keeps the losses so far. A command that goes on after a checkpoint finds its curve as it has left it; one
    /// that was `killed`, or may have been, is not credited with what it does not write again.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn begin(&mut self, killed: bool) -> Result<(), Error> {
        found::mend(&self.curve, self.format, killed)?;
        if let Some(Seen { curves, logged: Some(_) }) = self.so_far()? {
            self.keep(&curves)?;
            self.earlier = curves;
        }
        if killed {
            found::forget(&self.curve, self.format)?;
        }
        self.before = understood(found::read(&self.curve, self.format))?.unwrap_or_default();
        Ok(())
    }

    /// Stores `curves` as the losses of the run.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn keep(&self, curves: &Curves) -> Result<(), Error> {
        let stored = Stored { val: (&curves.val).into(), train: (&curves.train).into() };
        let text =
            serde_json::to_vec(&stored).map_err(|error| Error::io("write", &self.stored)(error.into()))?;
        files::write(&self.stored, &text)
    }

    /// What there is already; a curve that is half written is read again next time.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn so_far(&self) -> Result<Option<Seen>, Error> {
        understood(self.read())
    }

    /// What there is; `None` where the command has left no curve.
    ///
    /// # Errors
    /// As [`Curves::find`].
    pub(super) fn read(&self) -> Result<Option<Seen>, Error> {
        let all = found::read(&self.curve, self.format)?;
        Ok(all.map(|all| {
            let own = since(all, &self.before);
            let points = || own.train.iter().chain(&own.val).map(|point| point.step);
            let (first, logged) = (points().min(), points().max());
            Seen { curves: joined(&self.earlier, &own, first), logged }
        }))
    }

    /// What is missing where [`read`](Self::read) finds nothing, as a clause of a message.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn expected(&self) -> Result<String, Error> {
        found::expected(&self.curve, self.format)
    }
}

/// The losses that are stored in the run directory `out`.
fn read(out: &Path) -> Result<Option<Curves>, Error> {
    let path = out.join(FILE);
    let Some(text) = files::read_text(&path)? else { return Ok(None) };
    match serde_json::from_str::<Stored<'_>>(&text) {
        Ok(Stored { val, train }) => {
            Ok(Some(Curves { val: val.into_owned(), train: train.into_owned(), ..Curves::default() }))
        }
        Err(error) => {
            let why =
                format!("it holds no losses ({error}); remove it, and the losses of before are not known");
            Err(Error::Corrupt { path, why })
        }
    }
}

/// What cannot be understood is nothing.
fn understood<T>(found: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match found {
        Err(Error::Corrupt { .. }) => Ok(None),
        found => found,
    }
}

/// What of `all` was written behind `before`: all of it, where it does not begin with that.
fn since(all: Curves, before: &Curves) -> Curves {
    // A loss that is not a number is equal to itself here.
    let bits = |point: &CurvePoint| (point.step, point.loss.to_bits());
    let begins = |all: &[CurvePoint], with: &[CurvePoint]| {
        all.len() >= with.len() && all.iter().map(bits).zip(with.iter().map(bits)).all(|(a, b)| a == b)
    };
    if !begins(&all.val, &before.val) || !begins(&all.train, &before.train) {
        return all;
    }
    let rest = |all: Vec<CurvePoint>, known: &[CurvePoint]| all.into_iter().skip(known.len()).collect();
    Curves { val: rest(all.val, &before.val), train: rest(all.train, &before.train), ..all }
}

/// `earlier` up to the step `first`, and `own` from there on. At that step itself a trainer may evaluate its checkpoint alone, whose
/// other losses are numbers.
fn joined(earlier: &Curves, own: &Curves, first: Option<usize>) -> Curves {
    let counts = |point: &&CurvePoint| {
        first.is_none_or(|first| point.step < first || point.step == first && point.loss.is_finite())
    };
    let join = |earlier: &[CurvePoint], own: &[CurvePoint]| {
        latest(earlier.iter().filter(counts).chain(own).copied().collect())
    };
    Curves {
        val: join(&earlier.val, &own.val),
        train: join(&earlier.train, &own.train),
        flops: own.flops,
        tokens: own.tokens,
    }
}
