//! The execution context: whose run it is.

use router::tools::{self, ContextFault};

use super::Raised;

/// Characters of each id in a correlation.
const CORRELATION_CHARS: usize = 8;

/// Ids of one execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The owner.
    pub user: String,
    /// The conversation.
    pub thread: String,
    /// The run.
    pub run: String,
    /// The request.
    pub request: String,
}

impl Context {
    /// A context of ids. The rule for ids is the one that the canonical router kept.
    ///
    /// # Errors
    /// The first id that is empty or a placeholder.
    pub fn new(user: &str, thread: &str, run: &str, request: &str) -> Result<Self, Raised> {
        if let Err(error) = tools::Context::new(user, thread, run, request) {
            let why = match error.fault {
                ContextFault::Empty => "",
                ContextFault::Reserved => ". This prevents proper request isolation.",
                ContextFault::Pattern => ". This indicates improper context initialization.",
            };
            return Err(Raised::new("InvalidContextError", format!("{error}{why}")));
        }
        let [user, thread, run, request] = [user, thread, run, request].map(str::to_owned);
        Ok(Self { user, thread, run, request })
    }

    /// For logs and errors: the beginnings of the four ids, joined by `:`.
    pub fn correlation(&self) -> String {
        let head = |id: &str| id.chars().take(CORRELATION_CHARS).collect::<String>();
        [&self.user, &self.thread, &self.run, &self.request].map(|id| head(id)).join(":")
    }

    /// The exception for anything that is no context, by the name of its type.
    pub fn expected(got: &str) -> Raised {
        let text = format!(
            "Expected UserExecutionContext or StronglyTypedUserExecutionContext, got: <class '{got}'>"
        );
        Raised::new("TypeError", text)
    }
}
