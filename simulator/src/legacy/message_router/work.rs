//! Work that goes on: tasks that wait, timers of batches, calls and sends of a host.

use super::{
    BuiltIn, Conn, Finished, Frame, Message, MessageRouter, Progress, Sockets, TaskId, Waiting,
    reply::{self, RETRIES, Retry},
    task::{Context, Resume, Step},
};
use crate::legacy::python::{Raised, Value};

impl MessageRouter {
    pub(super) fn wait(
        &mut self,
        at_us: u64,
        conn: Conn,
        user: &Value,
        resume: Resume,
        routed: bool,
    ) -> TaskId {
        self.issued += 1;
        let id = self.issued;
        self.tasks.push(at_us, Waiting { id, conn, user: user.clone(), resume, routed });
        id
    }

    /// When something is to go on, in microseconds.
    pub fn next_wake(&self) -> Option<u64> {
        self.tasks.next().into_iter().chain(self.built_ins.batch.next_due()).min()
    }

    /// Goes on with everything whose time has come, each at its time; says which tasks have ended, and when.
    pub fn wake(&mut self, now_us: u64, sockets: &mut dyn Sockets) -> Vec<(TaskId, u64, Finished)> {
        let mut finished = Vec::new();
        while let Some(at) = self.next_wake().filter(|at| *at <= now_us) {
            if self.built_ins.batch.next_due() == Some(at) {
                self.built_ins.batch.fire(sockets, self.hazards);
                continue;
            }
            // All that is due is taken out before the first of it goes on.
            let mut due = Vec::new();
            while self.tasks.next() == Some(at) {
                due.extend(self.tasks.pop().map(|(_, waiting)| waiting));
            }
            for waiting in due {
                finished.extend(self.go_on(at, waiting, sockets));
            }
        }
        finished
    }

    /// A task goes on; says if it has ended.
    fn go_on(
        &mut self,
        at: u64,
        waiting: Waiting,
        sockets: &mut dyn Sockets,
    ) -> Option<(TaskId, u64, Finished)> {
        let Waiting { id, conn, user, resume, routed } = waiting;
        let mut cx = Context { now_us: at, sockets, conn, user: &user, hazards: self.hazards };
        let result = match resume.go_on(&mut cx) {
            Step::Done(result) => result,
            Step::Pause(after_us, resume) => {
                self.tasks.push(at + after_us, Waiting { id, conn, user, resume, routed });
                return None;
            }
        };
        let finished =
            if routed { Finished::Message(self.ended(result, &mut cx)) } else { Finished::Call(result) };
        Some((id, at, finished))
    }

    /// Calls a built-in handler, whether or not it is registered.
    pub fn call(
        &mut self,
        now_us: u64,
        sockets: &mut dyn Sockets,
        (conn, user): (Conn, &Value),
        which: BuiltIn,
        message: &Message,
    ) -> Progress<Result<Value, Raised>> {
        let mut cx = Context { now_us, sockets, conn, user, hazards: self.hazards };
        let step = self.built_ins.handle(which, message, &mut cx);
        self.progress(step, now_us, conn, user)
    }

    /// Sends a frame, with further attempts if it fails.
    pub fn send(
        &mut self,
        now_us: u64,
        sockets: &mut dyn Sockets,
        conn: Conn,
        frame: Frame,
        retries: Option<u32>,
    ) -> Progress<Result<Value, Raised>> {
        let user = Value::None;
        let mut cx = Context { now_us, sockets, conn, user: &user, hazards: self.hazards };
        let step = Retry::new(frame, retries.unwrap_or(RETRIES)).attempt(&mut cx);
        self.progress(step, now_us, conn, &user)
    }

    fn progress(
        &mut self,
        step: Step,
        now_us: u64,
        conn: Conn,
        user: &Value,
    ) -> Progress<Result<Value, Raised>> {
        match step {
            Step::Done(result) => Progress::Ended(result),
            Step::Pause(after_us, resume) => {
                Progress::Waits(self.wait(now_us + after_us, conn, user, resume, false))
            }
        }
    }

    /// Sends an error message; whether it went.
    pub fn send_error(
        &self,
        now_us: u64,
        sockets: &mut dyn Sockets,
        conn: Conn,
        [code, text, details]: [&Value; 3],
    ) -> bool {
        let mut cx = Context { now_us, sockets, conn, user: &Value::None, hazards: self.hazards };
        reply::send_error(code, text, details, &mut cx)
    }

    /// Sends a system message; whether it went.
    pub fn send_system(
        &self,
        now_us: u64,
        sockets: &mut dyn Sockets,
        conn: Conn,
        [content, more]: [&Value; 2],
    ) -> bool {
        let mut cx = Context { now_us, sockets, conn, user: &Value::None, hazards: self.hazards };
        reply::send_system(content, more, &mut cx)
    }

    /// Flushes all batches.
    pub fn flush(&mut self, now_us: u64, sockets: &mut dyn Sockets) {
        self.built_ins.batch.flush_all(now_us, sockets, self.hazards);
    }

    /// Messages that wait in batches, by user.
    pub fn pending(&self) -> Value {
        self.built_ins.batch.pending()
    }
}
