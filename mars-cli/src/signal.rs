//! Requests to stop: Ctrl-C, SIGTERM, SIGHUP, and SIGUSR1, which schedulers send ahead of a time limit. The first asks a
//! search for a checkpoint and an end, the second ends at once. What is not a search ends at the first. SIGUSR1
//! has an exit code of its own, which says that the same call is to be queued again.

use crate::{console::Console, exit::Exit};
use mars::{Error, Interrupt};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Requests that come together count as one: `timeout` signals its process, then the group that this is part of.
const TOGETHER: Duration = Duration::from_millis(250);

/// Listens to the signals from its making on.
pub(crate) struct Signals {
    interrupt: Interrupt,
    searching: Arc<AtomicBool>,
    warned: Arc<AtomicBool>,
}

/// The name of the signal by which schedulers warn.
const WARNING: &str = "SIGUSR1";

impl Signals {
    pub(crate) fn listen(console: Console) -> Result<Self, Error> {
        let flag = || Arc::new(AtomicBool::new(false));
        let signals = Self { interrupt: Interrupt::new(), searching: flag(), warned: flag() };
        let (interrupt, searching) = (signals.interrupt.clone(), Arc::clone(&signals.searching));
        let warned = Arc::clone(&signals.warned);
        let mut first: Option<Instant> = None;
        let asked = move |signal: &str| {
            let warning = signal == WARNING;
            let exit = if warning { Exit::Requeue } else { Exit::Interrupted };
            if !searching.load(Ordering::SeqCst) {
                console.error(format!(
                    "stopped by {signal}; nothing was left incomplete, run the same command again"
                ));
                std::process::exit(exit as i32);
            }
            match first {
                None => {
                    first = Some(Instant::now());
                    warned.store(warning, Ordering::SeqCst);
                    interrupt.request();
                    console.warn(format!(
                        "{signal}: saving a checkpoint, then stopping; send it again to stop immediately"
                    ));
                }
                Some(first) if first.elapsed() < TOGETHER => {}
                Some(_) => std::process::exit(exit as i32),
            }
        };
        each(asked).map_err(|error| Error::failed("cannot listen to signals").because(error))?;
        Ok(signals)
    }

    /// Whether the first signal was the warning of a scheduler.
    pub(crate) fn warned(&self) -> bool {
        self.warned.load(Ordering::SeqCst)
    }

    /// A token that is requested by the first signal from now on.
    pub(crate) fn interrupt(&self) -> Interrupt {
        self.searching.store(true, Ordering::SeqCst);
        self.interrupt.clone()
    }
}

/// Calls `asked` with the name of each signal, on a thread of its own. What the process was started to ignore, as by
/// `nohup`, stays ignored.
#[cfg(unix)]
fn each(mut asked: impl FnMut(&str) + Send + 'static) -> std::io::Result<()> {
    use nix::sys::signal::Signal;
    use std::{io::Read, os::unix::net::UnixStream};
    let (mut signals, noted) = UnixStream::pair()?;
    caught::NOTED.get_or_init(|| noted);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1] {
        caught::catch(signal)?;
    }
    let listen = move || {
        let mut number = [0];
        while signals.read_exact(&mut number).is_ok() {
            asked(Signal::try_from(i32::from(number[0])).map_or("a signal", Signal::as_str));
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(listen).map(drop)
}

/// What happens on the thread that a signal interrupts.
#[cfg(unix)]
mod caught {
    use nix::{
        errno::Errno,
        sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
    };
    use std::{io::Write, os::unix::net::UnixStream, sync::OnceLock};

    /// Takes the number of each signal, a byte.
    pub(super) static NOTED: OnceLock<UnixStream> = OnceLock::new();

    extern "C" fn note(signal: i32) {
        let error = Errno::last_raw();
        if let (Some(mut noted), Ok(number)) = (NOTED.get(), u8::try_from(signal)) {
            let _ = noted.write(&[number]);
        }
        Errno::set_raw(error);
    }

    /// Lets `note` see `signal`, unless it is ignored.
    #[allow(unsafe_code)]
    pub(super) fn catch(signal: Signal) -> nix::Result<()> {
        let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
        // Sound: `note` loads an initialised value, writes a byte to a socket and restores `errno`, all of which is
        // allowed in the middle of any other function; the second call puts back what was there before.
        unsafe {
            let before = sigaction(signal, &action)?;
            if matches!(before.handler(), SigHandler::SigIgn) {
                sigaction(signal, &before)?;
            }
        }
        Ok(())
    }
}

#[cfg(not(unix))]
fn each(mut asked: impl FnMut(&str) + Send + 'static) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(move || asked("Ctrl-C"))
}
