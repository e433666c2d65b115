//! Threads on which the parts of a pass are computed side by side.

use crate::Error;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::cmp::Reverse;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Threads that nothing is computed on at present. Passes take them for parts that would wait, and give them back.
#[derive(Clone, Debug, Default)]
pub struct IdleThreads(Arc<Mutex<Vec<ThreadPool>>>);

impl IdleThreads {
    /// Leaves the threads of a pool to whoever needs them next.
    pub fn give(&self, pool: ThreadPool) {
        self.pools().push(pool);
    }

    fn take(&self) -> Option<ThreadPool> {
        self.pools().pop()
    }

    fn pools(&self) -> MutexGuard<'_, Vec<ThreadPool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pools of threads, one for each part that is computed at the same time.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// Empty for a single part, which runs where it is called.
    pools: Vec<ThreadPool>,
    /// What more parts are computed on, while it is there.
    pub(super) idle: IdleThreads,
}

impl Lanes {
    /// `count` of them, which share the threads of the pool that this is called in.
    pub(super) fn new(count: usize) -> Result<Self, Error> {
        let threads = (rayon::current_num_threads() / count.max(1)).max(1);
        let pool = |_| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build();
            pool.map_err(|e| Error::Threads { parts: count, why: e.to_string() })
        };
        let pools = if count > 1 { (0..count).map(pool).collect::<Result<_, _>>()? } else { Vec::new() };
        Ok(Self { pools, idle: IdleThreads::default() })
    }

    /// Parts at the same time without those that idle threads take, at least 1.
    pub(super) fn len(&self) -> usize {
        self.pools.len().max(1)
    }

    /// What `work` makes of each of `parts`, in their order; `weight` says how they compare in work.
    pub(super) fn side_by_side<T: Send, R: Send>(
        &self,
        parts: Vec<T>,
        weight: impl Fn(&T) -> usize,
        work: impl Fn(T) -> R + Sync,
    ) -> Vec<R> {
        // What cannot be shared out has all threads for its products, where it is called; its pool would have a part of them.
        if parts.len() < 2 {
            return parts.into_iter().map(work).collect();
        }
        let own = self.len();
        let borrowed: Vec<ThreadPool> = (own..parts.len()).map_while(|_| self.idle.take()).collect();
        let mut lanes: Vec<Vec<(usize, T)>> = Vec::new();
        lanes.resize_with(own + borrowed.len(), Vec::new);
        let weights: Vec<usize> = parts.iter().map(weight).collect();
        let dealt = deal(&weights, lanes.len());
        parts
            .into_iter()
            .zip(dealt)
            .enumerate()
            .for_each(|(index, (part, lane))| lanes[lane].push((index, part)));
        let lane = |parts: Vec<(usize, T)>| -> Vec<(usize, R)> {
            parts.into_iter().map(|(index, part)| (index, work(part))).collect()
        };
        let here = if self.pools.is_empty() { lanes.remove(0) } else { Vec::new() };
        let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
            let lane = &lane;
            let pools = self.pools.iter().chain(&borrowed).zip(lanes);
            let started: Vec<_> =
                pools.map(|(pool, parts)| scope.spawn(move || pool.install(|| lane(parts)))).collect();
            let mut done = lane(here);
            for others in started {
                done.extend(others.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
            done
        });
        borrowed.into_iter().for_each(|pool| self.idle.give(pool));
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// Which of `count` lanes each part goes to: the heaviest first, each to the lane that has the least so far (R. L. Graham, Bounds on
/// multiprocessing timing anomalies, 1969: at most a third longer than need be). Equal ones go to the lanes in turn.
fn deal(weights: &[usize], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|part| Reverse(weights[*part]));
    let (mut lanes, mut loads) = (vec![0; weights.len()], vec![0; count]);
    for part in order {
        lanes[part] = (0..count).min_by_key(|lane| loads[*lane]).unwrap_or(0);
        loads[lanes[part]] += weights[part];
    }
    lanes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{IdleThreads, Lanes, deal};
    use rayon::ThreadPoolBuilder;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;

    fn lanes(count: usize, idle: &IdleThreads) -> Lanes {
        Lanes { idle: idle.clone(), ..Lanes::new(count).unwrap() }
    }

    fn give_one(idle: &IdleThreads) {
        idle.give(ThreadPoolBuilder::new().num_threads(1).build().unwrap());
    }

    #[test]
    fn results_are_in_order_and_idle_threads_come_back() {
        let idle = IdleThreads::default();
        for given in 0..3 {
            for count in 1..4 {
                for parts in 0..9_usize {
                    let squares =
                        lanes(count, &idle).side_by_side((0..parts).collect(), |_| 1, |part| part * part);
                    assert_eq!(squares, (0..parts).map(|part| part * part).collect::<Vec<_>>());
                    assert_eq!(idle.pools().len(), given);
                }
            }
            give_one(&idle);
        }
    }

    #[test]
    fn lanes_have_equally_much_to_do_where_that_can_be() {
        assert_eq!(deal(&[1; 5], 2), [0, 1, 0, 1, 0]);
        assert_eq!(deal(&[1, 1, 2], 2), [1, 1, 0]);
        assert_eq!(deal(&[3, 3, 1, 1], 2), [0, 1, 0, 1]);
        assert_eq!(deal(&[4, 1, 1, 1, 1], 2), [0, 1, 1, 1, 1]);
        assert_eq!(deal(&[0, 0], 1), [0, 0]);
    }

    /// Parts that wait for one another end only if all of them are computed at the same time.
    #[test]
    fn idle_threads_are_used() {
        let idle = IdleThreads::default();
        give_one(&idle);
        for (count, at_once) in [(1, 2), (2, 3)] {
            let met = Barrier::new(at_once);
            let leaders =
                lanes(count, &idle).side_by_side(vec![(); at_once], |()| 1, |()| met.wait().is_leader());
            assert_eq!(leaders.into_iter().filter(|leads| *leads).count(), 1);
        }
    }

    #[test]
    fn a_panic_comes_out_whichever_part_it_was_in() {
        for at in 0..3 {
            let idle = IdleThreads::default();
            give_one(&idle);
            let work = |part: usize| if part == at { panic!("part {part}") } else { part };
            let all = || lanes(2, &idle).side_by_side(vec![0, 1, 2], |_| 1, work);
            let panic = catch_unwind(AssertUnwindSafe(all)).unwrap_err();
            assert_eq!(panic.downcast_ref::<String>().unwrap(), &format!("part {at}"));
        }
    }
}
