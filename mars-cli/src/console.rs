//! What the user sees while waiting: bars on a terminal, plain lines elsewhere, all on stderr.

use crate::escape;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use mars::quantity::duration;
use std::{
    fmt,
    io::{IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// The result, warnings and errors only (`-q`).
    Quiet,
    /// Progress and what was decided.
    Normal,
    /// Also what each run did (`-v`).
    Verbose,
}

/// Writes to stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    verbosity: Verbosity,
    terminal: bool,
}

/// Between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

impl Console {
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { verbosity, terminal: std::io::stderr().is_terminal() && !dumb }
    }

    /// Says a line.
    pub(crate) fn say(&self, line: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Normal {
            write_line(line.as_ref());
        }
    }

    /// Says a line where there is no terminal, whose bars show the same.
    pub(crate) fn log(&self, line: impl AsRef<str>) {
        if !self.terminal {
            self.say(line);
        }
    }

    /// Says a line to those who want to know everything.
    pub(crate) fn detail(&self, line: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Verbose {
            write_line(line.as_ref());
        }
    }

    /// Says a line that matters even to the quiet.
    pub(crate) fn warn(&self, line: impl AsRef<str>) {
        write_line(&format!("warning: {}", line.as_ref()));
    }

    /// Says why the program ends.
    pub(crate) fn error(&self, message: impl AsRef<str>) {
        write_line(&format!("error: {}", message.as_ref()));
    }

    /// Starts a stage of `total` units.
    pub(crate) fn stage(&self, label: &str, unit: &'static str, total: u64) -> Stage {
        if self.verbosity == Verbosity::Quiet {
            return Stage { label: label.to_owned(), unit, bar: ProgressBar::hidden(), lines: None };
        }
        let bar = ProgressBar::with_draw_target(
            Some(total),
            if self.terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        let color = if std::env::var_os("NO_COLOR").is_some() { "" } else { ".cyan" };
        let template =
            format!("{{prefix:24}} {{bar:24{color}}} {{pos}}/{{len}} {unit}, {{per_sec}}{{left}}  {{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.with_key("left", time_left).progress_chars("=> "));
        }
        bar.set_prefix(escape::line(label).into_owned());
        if self.terminal {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        let now = Instant::now();
        let lines =
            (!self.terminal).then(|| Mutex::new(Lines { started: now, last: now, said: false, from: None }));
        Stage { label: label.to_owned(), unit, bar, lines }
    }
}

/// A stage of work under way; takes progress from any thread.
#[derive(Debug)]
pub(crate) struct Stage {
    label: String,
    unit: &'static str,
    bar: ProgressBar,
    lines: Option<Mutex<Lines>>,
}

#[derive(Debug)]
struct Lines {
    started: Instant,
    last: Instant,
    said: bool,
    /// What was done already when the stage began, as by a run that goes on from a checkpoint.
    from: Option<u64>,
}

impl Stage {
    /// The stage has `total` units after all.
    pub(crate) fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// `done` units are done in all.
    pub(crate) fn at(&self, done: u64, note: &str) {
        self.bar.set_position(done);
        if !note.is_empty() && self.lines.is_none() {
            self.bar.set_message(escape::line(note).into_owned());
        }
        let Some(lines) = &self.lines else { return };
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let from = *lines.from.get_or_insert(done);
        if lines.last.elapsed() < LINE_EVERY {
            return;
        }
        (lines.last, lines.said) = (Instant::now(), true);
        let total = self.bar.length().unwrap_or(0);
        let rate = done.saturating_sub(from) as f64 / lines.started.elapsed().as_secs_f64();
        // Before the first step is done there is nothing to tell the time from.
        let left = total.saturating_sub(done) as f64 / rate;
        let left =
            if done > from { format!(", {rate:.1}/s, {} left", duration(left)) } else { String::new() };
        let note = if note.is_empty() { String::new() } else { format!("  {note}") };
        let Self { label, unit, .. } = self;
        write_line(&format!("{label}: {done}/{total} {unit}{left}{note}"));
    }

    /// Ends the stage.
    pub(crate) fn finish(self) {
        self.end("done in");
    }

    /// Ends the stage before all of it is done.
    pub(crate) fn stop(self) {
        self.end("stopped after");
    }

    fn end(self, how: &str) {
        if let Some(lines) = &self.lines {
            let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.said {
                let took = duration(lines.started.elapsed().as_secs_f64());
                write_line(&format!("{}: {how} {took}", self.label));
            }
        }
        self.bar.finish_and_clear();
    }
}

/// `, 12 s left`; empty before the first step is done.
fn time_left(state: &ProgressState, into: &mut dyn fmt::Write) {
    if state.pos() > 0 && state.len().is_some_and(|all| all > state.pos()) {
        let _ = write!(into, ", {} left", duration(state.eta().as_secs_f64()));
    }
}

/// Writes to stderr what may name files and quote them: the one place where texts reach it.
fn write_line(line: &str) {
    // A progress line that cannot be written is no reason to stop working.
    let _ = writeln!(std::io::stderr(), "{}", escape::message(line));
}
