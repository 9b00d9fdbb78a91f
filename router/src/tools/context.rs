//! The execution context a dispatcher is bound to, and the ids that no real context has.

use alloc::{format, string::String, sync::Arc};
use core::fmt;

/// Ids that stand in forms and examples; a context that has one was never filled in. Compared without case.
const RESERVED: &[&str] = &[
    "registry",
    "placeholder",
    "default",
    "temp",
    "none",
    "null",
    "undefined",
    "0",
    "1",
    "xxx",
    "yyy",
    "example",
    "test",
    "demo",
    "sample",
    "template",
    "mock",
    "fake",
    "dummy",
];

/// Beginnings of such ids, refused in ids shorter than [`PATTERN_CHARS`].
const PATTERNS: &[&str] = &[
    "placeholder_",
    "registry_",
    "temp_",
    "example_",
    "demo_",
    "sample_",
    "template_",
    "mock_",
    "fake_",
    "default_",
];

/// Ids that begin like a pattern and are real.
const ALLOWED: &[&str] = &[
    "default_user",
    "default_admin",
    "default_system",
    "default_account",
    "default_service",
    "default_client",
    "default_guest",
];

/// Ids of this many characters are taken as issued, whatever they begin with.
const PATTERN_CHARS: usize = 20;
/// Characters of each id in [`Context::correlation`].
const CORRELATION_CHARS: usize = 8;

/// Who and what a dispatcher works for: fixed for its lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    user: Arc<str>,
    thread: Arc<str>,
    run: Arc<str>,
    request: Arc<str>,
}

/// Why ids make no context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextError {
    /// The field: `user_id`, `thread_id`, `run_id` or `request_id`.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: ContextFault,
    /// Its value.
    pub value: String,
}

/// What is wrong with an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextFault {
    /// It is empty, or white space.
    Empty,
    /// It is a reserved value.
    Reserved,
    /// It is short and begins like a placeholder.
    Pattern,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, value, .. } = self;
        match self.fault {
            ContextFault::Empty => write!(f, "Field '{field}' must be a non-empty text"),
            ContextFault::Reserved => {
                write!(f, "Field '{field}' contains forbidden placeholder value: '{value}'")
            }
            ContextFault::Pattern => {
                write!(f, "Field '{field}' appears to contain placeholder pattern: '{value}'")
            }
        }
    }
}

impl core::error::Error for ContextError {}

impl Context {
    /// A context of ids that a host hands in.
    ///
    /// # Errors
    /// The first id that is empty or a placeholder.
    pub fn new(user: &str, thread: &str, run: &str, request: &str) -> Result<Self, ContextError> {
        let ids = [("user_id", user), ("thread_id", thread), ("run_id", run), ("request_id", request)];
        for (field, value) in ids {
            if let Some(fault) = fault(value) {
                return Err(ContextError { field, fault, value: value.into() });
            }
        }
        Ok(Self::of_run(user.into(), thread.into(), run.into(), request.into()))
    }

    /// The context of a run of the router: its user is authenticated and its ids are its own, so that a user who
    /// is called `demo` or a client that numbers its messages from 1 is nothing to be refused.
    pub(crate) const fn of_run(user: Arc<str>, thread: Arc<str>, run: Arc<str>, request: Arc<str>) -> Self {
        Self { user, thread, run, request }
    }

    /// The owner.
    pub const fn user(&self) -> &Arc<str> {
        &self.user
    }

    /// The conversation.
    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// The run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The request that began the run.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// For logs: the first eight characters of user, thread, run and request, joined by `:`.
    pub fn correlation(&self) -> String {
        let head = |id: &str| id.chars().take(CORRELATION_CHARS).collect::<String>();
        format!("{}:{}:{}:{}", head(&self.user), head(&self.thread), head(&self.run), head(&self.request))
    }
}

fn fault(id: &str) -> Option<ContextFault> {
    if id.trim().is_empty() {
        return Some(ContextFault::Empty);
    }
    let lower = id.to_lowercase();
    if RESERVED.contains(&lower.as_str()) {
        return Some(ContextFault::Reserved);
    }
    let pattern = lower.chars().count() < PATTERN_CHARS
        && !ALLOWED.contains(&lower.as_str())
        && PATTERNS.iter().any(|pattern| lower.starts_with(pattern));
    pattern.then_some(ContextFault::Pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_no_ids() {
        let table = [
            ("", Some(ContextFault::Empty)),
            ("  ", Some(ContextFault::Empty)),
            ("NULL", Some(ContextFault::Reserved)),
            ("1", Some(ContextFault::Reserved)),
            ("temp_x", Some(ContextFault::Pattern)),
            ("temp_0123456789_0123456789", None),
            ("default_user", None),
            ("default_users", Some(ContextFault::Pattern)),
            ("test_x", None),
            ("ada", None),
        ];
        for (id, expected) in table {
            assert_eq!(fault(id), expected, "{id}");
        }
        let error = Context::new("ada", "t", "run", "0").expect_err("refused");
        assert_eq!((error.field, error.fault), ("request_id", ContextFault::Reserved));
    }

    #[test]
    fn a_correlation_is_short() {
        let context = Context::new("ada-lovelace", "t", "run-number-7", "request-1").expect("good ids");
        assert_eq!(context.correlation(), "ada-love:t:run-numb:request-");
    }
    #[test]
    fn each_id_comes_back_under_its_own_name() {
        let context = Context::new("ada", "talk", "run-7", "m-7").expect("good ids");
        let ids = [&**context.user(), context.thread(), context.run(), context.request()];
        assert_eq!(ids, ["ada", "talk", "run-7", "m-7"]);
        for (field, ids) in [
            ("user_id", [" ", "talk", "run-7", "m-7"]),
            ("thread_id", ["ada", "", "run-7", "m-7"]),
            ("run_id", ["ada", "talk", "", "m-7"]),
            ("request_id", ["ada", "talk", "run-7", ""]),
        ] {
            let [user, thread, run, request] = ids;
            let error = Context::new(user, thread, run, request).expect_err("refused");
            assert_eq!((error.field, error.fault), (field, ContextFault::Empty));
        }
    }
}
