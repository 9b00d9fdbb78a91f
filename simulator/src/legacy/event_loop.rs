//! One thread that runs tasks by turns, in virtual time: what the old parts were written for.
//!
//! A task runs until it waits for something. Tasks that became ready run in the order in which they did; time moves only
//! when none is ready. So the interleavings of a model are those of the old code, and the same in every run.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// The loop; a clone is another handle of the same one.
#[derive(Clone, Default)]
pub struct EventLoop(Rc<Core>);

type Task = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
struct Core {
    now_us: Cell<u64>,
    /// Number of the task whose turn it is.
    current: Cell<u64>,
    issued: Cell<u64>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    ready: RefCell<VecDeque<u64>>,
    /// Who is to run when: by time, then in the order in which they asked.
    timers: RefCell<BTreeMap<(u64, u64), u64>>,
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Core { now_us, tasks, ready, timers, .. } = &*self.0;
        f.debug_struct("EventLoop")
            .field("now_us", &now_us.get())
            .field("tasks", &tasks.borrow().len())
            .field("ready", &ready.borrow().len())
            .field("timers", &timers.borrow().len())
            .finish()
    }
}

/// A call that waits for itself, or for something that nobody will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlock;

/// A call that did not end in its time; it has been cancelled where it waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl EventLoop {
    /// A loop at time 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Virtual time, in microseconds.
    pub fn now_us(&self) -> u64 {
        self.0.now_us.get()
    }

    /// Makes a task; its first turn comes after those that are ready now.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Handle<T> {
        let result: Rc<Finished<T>> = Rc::default();
        let (owned, core) = (Rc::clone(&result), Rc::clone(&self.0));
        let task = async move {
            let value = future.await;
            *owned.value.borrow_mut() = Some(value);
            for waiter in owned.waiters.take() {
                core.wake(waiter);
            }
        };
        let id = self.0.issue();
        self.0.tasks.borrow_mut().insert(id, Box::pin(task));
        self.0.wake(id);
        Handle { core: Rc::clone(&self.0), result }
    }

    /// Waits.
    pub async fn sleep(&self, micros: u64) {
        let due = self.0.now_us.get() + micros;
        self.0.at(due);
        poll_fn(|_| if self.0.now_us.get() >= due { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Lets everybody who is ready have a turn.
    pub async fn turn(&self) {
        let mut had = false;
        poll_fn(|_| {
            if std::mem::replace(&mut had, true) {
                return Poll::Ready(());
            }
            self.0.wake(self.0.current.get());
            Poll::Pending
        })
        .await;
    }

    /// Runs a call for at most this time; then it is cancelled where it waits. The call has turns of its own, as a task
    /// has: others who are ready come between it and its caller.
    ///
    /// # Errors
    /// It did not end in time.
    pub async fn timeout<T>(&self, micros: u64, call: impl Future<Output = T>) -> Result<T, TimedOut> {
        let due = self.0.now_us.get() + micros;
        self.turn().await;
        let mut call = pin!(call);
        let mut asked = false;
        let value = poll_fn(|context| match call.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if self.0.now_us.get() >= due => Poll::Ready(Err(TimedOut)),
            Poll::Pending => {
                if !asked {
                    asked = true;
                    self.0.at(due);
                }
                Poll::Pending
            }
        })
        .await?;
        self.turn().await;
        Ok(value)
    }

    /// Gives every ready task its turn, until none is ready at this instant.
    pub fn run_ready(&self) {
        loop {
            let Some(id) = self.0.ready.borrow_mut().pop_front() else { return };
            // A task that has ended may have been woken once more.
            let Some(mut task) = self.0.tasks.borrow_mut().remove(&id) else { continue };
            let outer = self.0.current.replace(id);
            let mut context = Context::from_waker(Waker::noop());
            let pending = task.as_mut().poll(&mut context).is_pending();
            self.0.current.set(outer);
            if pending {
                self.0.tasks.borrow_mut().insert(id, task);
            }
        }
    }

    /// When somebody is to run next, if nothing happens before.
    pub fn next_due_us(&self) -> Option<u64> {
        self.0.timers.borrow().keys().next().map(|(due, _)| *due)
    }

    /// Lets time pass up to this instant, with everything that falls due meanwhile.
    pub fn advance_to(&self, now_us: u64) {
        self.run_ready();
        while let Some(due) = self.next_due_us().filter(|due| *due <= now_us) {
            self.fire(due);
        }
        self.0.now_us.set(self.0.now_us.get().max(now_us));
    }

    /// Runs a call to its end, letting as much time pass as it takes.
    ///
    /// # Errors
    /// It waits for something that will not happen.
    pub fn block_on<T: 'static>(&self, call: impl Future<Output = T> + 'static) -> Result<T, Deadlock> {
        let handle = self.spawn(call);
        loop {
            self.run_ready();
            if let Some(value) = handle.taken() {
                return Ok(value);
            }
            let due = self.next_due_us().ok_or(Deadlock)?;
            self.fire(due);
        }
    }

    fn fire(&self, due: u64) {
        self.0.now_us.set(self.0.now_us.get().max(due));
        loop {
            let first =
                self.0.timers.borrow_mut().first_entry().filter(|e| e.key().0 <= due).map(|e| e.remove());
            let Some(task) = first else { break };
            self.0.wake(task);
        }
        self.run_ready();
    }
}

impl Core {
    fn issue(&self) -> u64 {
        self.issued.set(self.issued.get() + 1);
        self.issued.get()
    }

    fn wake(&self, task: u64) {
        let mut ready = self.ready.borrow_mut();
        if !ready.contains(&task) {
            ready.push_back(task);
        }
    }

    /// The task whose turn it is gets another one at this time.
    fn at(&self, due_us: u64) {
        let order = self.issue();
        self.timers.borrow_mut().insert((due_us, order), self.current.get());
    }
}

#[derive(Debug)]
struct Finished<T> {
    value: RefCell<Option<T>>,
    waiters: RefCell<Vec<u64>>,
}

impl<T> Default for Finished<T> {
    fn default() -> Self {
        Self { value: RefCell::new(None), waiters: RefCell::default() }
    }
}

/// A task that was made. Dropped, the task runs on.
pub struct Handle<T> {
    core: Rc<Core>,
    result: Rc<Finished<T>>,
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("ended", &self.result.value.borrow().is_some()).finish()
    }
}

impl<T> Handle<T> {
    /// What the task returned, once.
    pub fn taken(&self) -> Option<T> {
        self.result.value.borrow_mut().take()
    }

    /// Waits for the task to end.
    pub async fn ended(self) -> T {
        poll_fn(|_| match self.taken() {
            Some(value) => Poll::Ready(value),
            None => {
                self.result.waiters.borrow_mut().push(self.core.current.get());
                Poll::Pending
            }
        })
        .await
    }
}

/// A lock for tasks, not re-entrant, in the order of asking; a clone is another handle of the same one.
#[derive(Clone, Debug)]
pub struct Lock(Rc<LockCore>);

struct LockCore {
    core: Rc<Core>,
    held: Cell<bool>,
    /// Who waits: a number of their own, and their task.
    queue: RefCell<VecDeque<(u64, u64)>>,
}

impl fmt::Debug for LockCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockCore").field("held", &self.held.get()).finish_non_exhaustive()
    }
}

impl Lock {
    /// A lock that nobody holds.
    pub fn new(event_loop: &EventLoop) -> Self {
        let core = Rc::clone(&event_loop.0);
        Self(Rc::new(LockCore { core, held: Cell::new(false), queue: RefCell::default() }))
    }

    /// Waits for the lock. It is free again when the guard is dropped.
    pub async fn acquire(&self) -> Guard {
        let mut ticket = Ticket { lock: &self.0, number: None };
        poll_fn(|_| ticket.poll()).await
    }

    /// Whether somebody holds it.
    pub fn is_held(&self) -> bool {
        self.0.held.get()
    }
}

impl LockCore {
    fn wake_first(&self) {
        if let Some((_, task)) = self.queue.borrow().front() {
            self.core.wake(*task);
        }
    }
}

/// A place in the queue of a lock; given up when dropped.
struct Ticket<'a> {
    lock: &'a Rc<LockCore>,
    number: Option<u64>,
}

impl Ticket<'_> {
    fn poll(&mut self) -> Poll<Guard> {
        let mut queue = self.lock.queue.borrow_mut();
        let first = queue.front().is_none_or(|(number, _)| Some(*number) == self.number);
        if first && !self.lock.held.replace(true) {
            if self.number.take().is_some() {
                queue.pop_front();
            }
            return Poll::Ready(Guard(Rc::clone(self.lock)));
        }
        if self.number.is_none() {
            let number = self.lock.core.issue();
            queue.push_back((number, self.lock.core.current.get()));
            self.number = Some(number);
        }
        Poll::Pending
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.lock.queue.borrow_mut().retain(|(other, _)| *other != number);
            if !self.lock.held.get() {
                self.lock.wake_first();
            }
        }
    }
}

/// Holds a [`Lock`] until dropped.
#[derive(Debug)]
pub struct Guard(Rc<LockCore>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.held.set(false);
        self.0.wake_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_run_by_turns_and_time_moves_when_none_is_ready() {
        let (turns, log) = (EventLoop::new(), Rc::new(RefCell::new(Vec::new())));
        for (name, micros) in [("slow", 20), ("quick", 10), ("also quick", 10)] {
            let (inner, log) = (turns.clone(), Rc::clone(&log));
            turns.spawn(async move {
                log.borrow_mut().push((name, inner.now_us()));
                inner.sleep(micros).await;
                log.borrow_mut().push((name, inner.now_us()));
            });
        }
        turns.advance_to(15);
        let begun = [("slow", 0), ("quick", 0), ("also quick", 0), ("quick", 10), ("also quick", 10)];
        assert_eq!(*log.borrow(), begun);
        assert_eq!((turns.next_due_us(), turns.now_us()), (Some(20), 15));
        turns.advance_to(99);
        assert_eq!(log.borrow().last(), Some(&("slow", 20)));
    }

    #[test]
    fn a_lock_is_had_in_the_order_of_asking_and_a_cancelled_wait_leaves_no_trace() {
        let (turns, log) = (EventLoop::new(), Rc::new(RefCell::new(Vec::new())));
        let lock = Lock::new(&turns);
        for (name, patience) in [("a", 1_000), ("gives up", 5), ("b", 1_000)] {
            let (inner, lock, log) = (turns.clone(), lock.clone(), Rc::clone(&log));
            turns.spawn(async move {
                let held = async {
                    let _guard = lock.acquire().await;
                    inner.sleep(100).await;
                };
                let result = inner.timeout(patience, held).await;
                log.borrow_mut().push((name, result, inner.now_us()));
            });
        }
        turns.advance_to(1_000);
        assert_eq!(*log.borrow(), [("gives up", Err(TimedOut), 5), ("a", Ok(()), 100), ("b", Ok(()), 200)]);
        assert!(!lock.is_held());
    }

    #[test]
    fn a_call_that_waits_for_itself_is_a_deadlock() {
        let turns = EventLoop::new();
        let lock = Lock::new(&turns);
        let twice = {
            let lock = lock.clone();
            async move {
                let _first = lock.acquire().await;
                let _second = lock.acquire().await;
            }
        };
        assert_eq!(turns.block_on(twice), Err(Deadlock));
        assert!(lock.is_held(), "whoever waits holds it for ever");
        assert_eq!(turns.block_on(async { 5 }), Ok(5));
    }
}
