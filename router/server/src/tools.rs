//! Tools that agents may call. The router decides whether and when ([`RunSink::call_tool`]); what is here only runs
//! what it says, and tells it the outcome.
//!
//! [`RunSink::call_tool`]: crate::agents::RunSink::call_tool

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    panic::AssertUnwindSafe,
    sync::Arc,
};

use futures_util::{FutureExt, future::BoxFuture};
use router::{
    CancelledTool, Router, RunRef, ToolAnswer, ToolFailure, ToolRequest,
    tools::{Grants, Policy},
};
use serde_json::value::RawValue;
use tokio::{runtime::Handle, sync::oneshot, task::AbortHandle};

/// A tool that agents may call.
///
/// ```
/// use futures_util::{FutureExt, future::BoxFuture};
/// use router::ToolRequest;
/// use router_server::tools::{Tool, ToolError};
/// use serde_json::value::RawValue;
///
/// /// Answers its own parameters.
/// struct Echo;
///
/// impl Tool for Echo {
///     fn name(&self) -> &str {
///         "echo"
///     }
///
///     fn run(&self, request: ToolRequest) -> BoxFuture<'static, Result<Box<RawValue>, ToolError>> {
///         async move {
///             let failed = |error: serde_json::Error| ToolError {
///                 message: error.to_string(),
///                 kind: "ValueError".into(),
///             };
///             RawValue::from_string(request.parameters.into()).map_err(failed)
///         }
///         .boxed()
///     }
/// }
/// ```
pub trait Tool: Send + Sync + 'static {
    /// Its name, exact and case-sensitive.
    fn name(&self) -> &str;

    /// What it does; empty for no more than its name.
    fn description(&self) -> &str {
        ""
    }

    /// Runs it. The future is dropped when the call's deadline passes or its run ends.
    fn run(&self, request: ToolRequest) -> BoxFuture<'static, Result<Box<RawValue>, ToolError>>;
}

/// Why a tool has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError {
    /// Text for agent and user; it must not quote internals.
    pub message: String,
    /// The kind of error, e.g. `ValueError`.
    pub kind: String,
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ToolError {}

/// The tools of a server, and who may call them.
#[derive(Clone, Default)]
pub struct ToolSet {
    /// The tools; of two with one name the last is taken.
    pub tools: Vec<Arc<dyn Tool>>,
    /// Policies by tool; a tool without one has the router's default.
    pub policies: Vec<(String, Policy)>,
    /// Roles, features and admin flags by user.
    pub grants: Vec<(String, Grants)>,
}

impl fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolSet")
            .field("tools", &self.tools.iter().map(|tool| tool.name()).collect::<Vec<_>>())
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

/// The tools by name.
pub(crate) type Shelf = BTreeMap<String, Arc<dyn Tool>>;

/// Tells the router of the tools, and answers them by name.
pub(crate) fn install(set: ToolSet, router: &mut Router) -> Shelf {
    for (tool, policy) in set.policies {
        router.set_tool_policy(&tool, policy);
    }
    for (user, grants) in set.grants {
        router.set_grants(&user, Some(grants));
    }
    for tool in &set.tools {
        router.add_tool(tool.name(), tool.description());
    }
    set.tools.into_iter().map(|tool| (tool.name().to_owned(), tool)).collect()
}

type Key = (RunRef, Arc<str>);

/// Calls under way: the tasks at work on them, and the agents that wait.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    working: HashMap<Key, AbortHandle>,
    waiting: HashMap<Key, oneshot::Sender<ToolAnswer>>,
}

impl Calls {
    pub(crate) fn wait(&mut self, run: RunRef, call: Arc<str>) -> oneshot::Receiver<ToolAnswer> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert((run, call), sender);
        receiver
    }

    pub(crate) fn answered(&mut self, answer: &ToolAnswer) {
        if let Some(waiting) = self.waiting.remove(&(answer.run, Arc::clone(&answer.call))) {
            // An agent that was stopped no longer waits.
            let _ = waiting.send(answer.clone());
        }
    }

    pub(crate) fn began(&mut self, run: RunRef, call: Arc<str>, task: AbortHandle) {
        self.working.insert((run, call), task);
    }

    pub(crate) fn ended(&mut self, run: RunRef, call: &Arc<str>) {
        self.working.remove(&(run, Arc::clone(call)));
    }

    /// Stops a tool. Aborting may drop its future right here, with whatever it holds: not under the caller's lock.
    /// The caller may be a thread of the host's own, so the runtime is given.
    pub(crate) fn cancel(&mut self, cancelled: &CancelledTool, runtime: &Handle) {
        if let Some(task) = self.working.remove(&(cancelled.run, Arc::clone(&cancelled.call))) {
            runtime.spawn(async move { task.abort() });
        }
    }
}

/// Runs a tool to its end. A panic is an error of that call and of nothing else.
pub(crate) async fn work(
    tool: Option<Arc<dyn Tool>>,
    request: ToolRequest,
) -> Result<Box<RawValue>, ToolError> {
    let broken = |message: &str| ToolError { message: message.to_owned(), kind: "SystemError".to_owned() };
    let Some(tool) = tool else { return Err(broken("The tool is not available on this server")) };
    let running = AssertUnwindSafe(async move { tool.run(request).await });
    running.catch_unwind().await.unwrap_or_else(|_| Err(broken("The tool failed")))
}

/// The same, as the router takes it.
pub(crate) fn reported(result: &Result<Box<RawValue>, ToolError>) -> Result<&RawValue, ToolFailure<'_>> {
    match result {
        Ok(result) => Ok(result),
        Err(error) => Err(ToolFailure { message: &error.message, kind: &error.kind }),
    }
}
