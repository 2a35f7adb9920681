//! Tasks and time: which of the tasks that can go on does so next is drawn from the seed, and time moves only when none can.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use casebook_event::Timestamp;
use futures::future::BoxFuture;

use super::random::Random;
use crate::ports::runtime::Runtime;

/// Whose tasks end together: one run of a worker, or the world around.
pub(super) type Owner = u64;

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A task went on.
    Ran,
    /// None could: time moved to the next timer, if there is one.
    Slept,
}

pub(super) struct Executor {
    begin: Instant,
    wall: Timestamp,
    /// Tasks that were woken and are not in the order of the ready ones yet.
    woken: Arc<Mutex<Vec<u64>>>,
    state: Mutex<State>,
}

struct State {
    now: Duration,
    random: Random,
    tasks: BTreeMap<u64, Task>,
    next: u64,
    ready: Vec<u64>,
    timers: BTreeMap<(Duration, u64), Waker>,
}

struct Task {
    owner: Owner,
    /// Absent while it runs.
    future: Option<BoxFuture<'static, ()>>,
    waker: Waker,
}

struct TaskWaker {
    task: u64,
    woken: Arc<Mutex<Vec<u64>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        lock(&self.woken).push(self.task);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    pub(super) fn new(random: Random, wall: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            begin: Instant::now(),
            wall,
            woken: Arc::default(),
            state: Mutex::new(State {
                now: Duration::ZERO,
                random,
                tasks: BTreeMap::new(),
                next: 0,
                ready: Vec::new(),
                timers: BTreeMap::new(),
            }),
        })
    }

    /// How much time has passed.
    pub(super) fn elapsed(&self) -> Duration {
        lock(&self.state).now
    }

    pub(super) fn runtime(self: &Arc<Self>, owner: Owner) -> Arc<SimulatedRuntime> {
        Arc::new(SimulatedRuntime {
            executor: self.clone(),
            owner,
        })
    }

    fn spawn(&self, owner: Owner, future: BoxFuture<'static, ()>) {
        let mut state = lock(&self.state);
        let task = state.next;
        state.next += 1;
        let waker = Waker::from(Arc::new(TaskWaker {
            task,
            woken: self.woken.clone(),
        }));
        let future = Some(future);
        state.tasks.insert(task, Task { owner, future, waker });
        state.ready.push(task);
    }

    /// Ends all tasks of an owner where they stand, as SIGKILL does. Not to be called by one of them.
    pub(super) fn kill(&self, owner: Owner) {
        let mut state = lock(&self.state);
        let own: Vec<u64> = state
            .tasks
            .iter()
            .filter(|(_, task)| task.owner == owner)
            .map(|(id, _)| *id)
            .collect();
        let ended: Vec<Task> = own.iter().filter_map(|id| state.tasks.remove(id)).collect();
        state.ready.retain(|id| !own.contains(id));
        drop(state);
        // What they held is dropped without the lock: it removes timers.
        drop(ended);
    }

    /// Lets one task go on, or time pass.
    pub(super) fn step(&self) -> Step {
        let mut state = lock(&self.state);
        for task in lock(&self.woken).drain(..) {
            if state.tasks.contains_key(&task) && !state.ready.contains(&task) {
                state.ready.push(task);
            }
        }
        if state.ready.is_empty() {
            let Some((&(at, _), _)) = state.timers.first_key_value() else {
                return Step::Slept;
            };
            state.now = state.now.max(at);
            let now = state.now;
            while let Some(timer) = state.timers.first_entry().filter(|timer| timer.key().0 <= now) {
                timer.remove().wake();
            }
            return Step::Slept;
        }
        let ready = state.ready.len();
        let next = state.random.below(ready);
        let id = state.ready.swap_remove(next);
        let Some(task) = state.tasks.get_mut(&id) else {
            return Step::Ran;
        };
        let Some(mut future) = task.future.take() else {
            return Step::Ran;
        };
        let waker = task.waker.clone();
        drop(state);
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        let mut state = lock(&self.state);
        let ended = match (polled, state.tasks.get_mut(&id)) {
            (Poll::Pending, Some(task)) => {
                task.future = Some(future);
                return Step::Ran;
            }
            _ => state.tasks.remove(&id),
        };
        drop(state);
        drop(ended);
        Step::Ran
    }
}

/// Time and tasks of one owner.
pub(super) struct SimulatedRuntime {
    executor: Arc<Executor>,
    owner: Owner,
}

impl Runtime for SimulatedRuntime {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.executor.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.executor.wall.saturating_add_nanos(elapsed)
    }

    fn instant(&self) -> Instant {
        self.executor.begin + self.executor.elapsed()
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(Sleep {
            executor: self.executor.clone(),
            deadline: deadline.saturating_duration_since(self.executor.begin),
            timer: None,
        })
    }

    fn spawn_boxed(&self, task: BoxFuture<'static, ()>) {
        self.executor.spawn(self.owner, task);
    }
}

struct Sleep {
    executor: Arc<Executor>,
    deadline: Duration,
    timer: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let executor = self.executor.clone();
        let mut state = lock(&executor.state);
        if state.now >= self.deadline {
            return Poll::Ready(());
        }
        let timer = *self.timer.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        state.timers.insert((self.deadline, timer), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            lock(&self.executor.state).timers.remove(&(self.deadline, timer));
        }
    }
}
