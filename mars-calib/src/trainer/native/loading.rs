//! Batches made ahead of their steps, by threads of their own.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How batches are made ready while the model computes; none of it changes a batch or their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loading {
    /// Threads that make batches. At most as many batches wait, or are being made, as there are threads, in addition to
    /// the one in use. 0: each batch is made when it is asked for, on the thread that asks. Default 1.
    pub workers: usize,
}

impl Default for Loading {
    fn default() -> Self {
        Self { workers: 1 }
    }
}

impl Loading {
    /// Makes the results `make(0)`, `make(1)`, ... `make(count - 1)` and gives them to `take` in this order.
    ///
    /// Results that `take` leaves are not begun any more, and those under way are waited for. A panic in `make`
    /// comes out where its result would have been taken.
    pub fn run<T: Send, R>(
        self,
        count: usize,
        make: impl Fn(usize) -> T + Sync,
        take: impl FnOnce(&mut dyn Iterator<Item = T>) -> R,
    ) -> R {
        let workers = self.workers.min(count);
        if workers == 0 || count == 1 {
            return take(&mut (0..count).map(make));
        }
        let state = State { ready: BTreeMap::new(), begun: 0, taken: 0, closed: false };
        let queue = Queue { state: Mutex::new(state), changed: Condvar::new(), count, ahead: workers };
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| queue.work(&make));
            }
            take(&mut Results(&queue))
        })
    }
}

/// What the workers and the one who takes their results share.
struct Queue<T> {
    state: Mutex<State<T>>,
    /// Something in `state` changed.
    changed: Condvar,
    count: usize,
    /// Results beyond those taken that may be begun.
    ahead: usize,
}

struct State<T> {
    /// Results by their number; an error is a panic.
    ready: BTreeMap<usize, Result<T, Box<dyn Any + Send>>>,
    /// Number of results that some worker has begun.
    begun: usize,
    /// Number of results taken.
    taken: usize,
    /// No more results are asked for.
    closed: bool,
}

impl<T> Queue<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State<T>>) -> MutexGuard<'s, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes results until all are begun, or none are asked for any more.
    fn work(&self, make: &impl Fn(usize) -> T) {
        let mut state = self.state();
        while !state.closed && state.begun < self.count {
            if state.begun >= state.taken + self.ahead {
                state = self.wait(state);
                continue;
            }
            let number = state.begun;
            state.begun += 1;
            drop(state);
            let result = catch_unwind(AssertUnwindSafe(|| make(number)));
            state = self.state();
            state.ready.insert(number, result);
            self.changed.notify_all();
        }
    }
}

/// The results in order; the workers end when it is dropped.
struct Results<'a, T>(&'a Queue<T>);

impl<T> Iterator for Results<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let mut state = self.0.state();
        let next = state.taken;
        if next == self.0.count {
            return None;
        }
        let result = loop {
            match state.ready.remove(&next) {
                Some(result) => break result,
                None => state = self.0.wait(state),
            }
        };
        state.taken += 1;
        drop(state);
        self.0.changed.notify_all();
        Some(result.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl<T> Drop for Results<'_, T> {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.changed.notify_all();
    }
}
