//! A dispatcher as its caller holds it: itself, or behind a face that takes no calls.

use router::Instant;
use serde_json::Value;

use super::{
    Raised,
    dispatcher::{Begun, Dispatcher, ToolCall},
    event::BridgeCall,
    permission::Permissions,
};

/// What a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// The dispatcher itself.
    Dispatcher,
    /// A wrapper that takes fewer arguments than callers pass.
    Wrapper,
    /// The dispatcher's data under a class without methods.
    Enhanced,
    /// The oldest dispatcher.
    Core,
}

impl Face {
    /// The name of its type.
    pub const fn type_name(self) -> &'static str {
        match self {
            Face::Dispatcher => "RequestScopedToolDispatcher",
            Face::Wrapper => "UnifiedCompatibilityWrapper",
            Face::Enhanced => "EnhancedToolDispatcher",
            Face::Core => "ToolDispatcher",
        }
    }
}

/// A dispatcher as its caller holds it.
#[derive(Debug)]
pub struct Made {
    /// The dispatcher.
    pub dispatcher: Dispatcher,
    /// What the caller sees of it.
    pub face: Face,
    /// What it says about events; a face without members says nothing.
    pub claims_events: Option<bool>,
}

impl Made {
    /// The names of its tools.
    ///
    /// # Errors
    /// A face without members, and what the dispatcher raises.
    pub fn tools(&self) -> Result<Vec<&str>, Raised> {
        self.has_member("tools")?;
        self.dispatcher.tools()
    }

    /// Whether its caller takes it for active: a wrapper copied that once.
    pub fn is_active(&self) -> bool {
        self.face == Face::Wrapper || self.dispatcher.is_active()
    }

    /// Calls a tool in the form of agents.
    ///
    /// # Errors
    /// A face that takes no such call, and what the dispatcher raises.
    pub fn dispatch_tool(
        &mut self,
        now: Instant,
        call: &ToolCall<'_>,
        run_id: &str,
        socket_in_state: bool,
        permissions: &mut Permissions,
        out: &mut Vec<BridgeCall>,
    ) -> Result<Begun, Raised> {
        self.has_member("dispatch_tool")?;
        if self.face == Face::Wrapper {
            let text = "ToolDispatcherFactory._create_unified_compatibility_wrapper.<locals>.\
                        UnifiedCompatibilityWrapper.dispatch_tool() takes 3 positional arguments but 5 were given";
            return Err(Raised::new("TypeError", text));
        }
        self.dispatcher.dispatch_tool(now, call, run_id, socket_in_state, permissions, out)
    }

    /// A refusal in the form of agents: the oldest dispatcher said more.
    pub fn refusal(&self, error: &str) -> Value {
        match self.face {
            Face::Core => {
                serde_json::json!({"success": false, "result": null, "error": error, "metadata": {}})
            }
            Face::Dispatcher | Face::Wrapper | Face::Enhanced => {
                serde_json::json!({"success": false, "error": error})
            }
        }
    }

    fn has_member(&self, name: &str) -> Result<(), Raised> {
        if self.face != Face::Enhanced {
            return Ok(());
        }
        let text = format!("'EnhancedToolDispatcher' object has no attribute '{name}'");
        Err(Raised::new("AttributeError", text))
    }
}

/// What came of calling a class instead of its factory.
pub fn constructed_directly(class: &str) -> Raised {
    let text = if matches!(class, "ToolDispatcherCore" | "ToolDispatcher") {
        "Direct ToolDispatcher instantiation is no longer supported. Use \
         ToolDispatcher.create_request_scoped_dispatcher(user_context) or \
         ToolDispatcher.create_scoped_dispatcher_context(user_context) for proper user isolation."
    } else {
        "Direct instantiation of UnifiedToolDispatcher is forbidden.\nUse factory methods for proper \
         isolation:\n  - UnifiedToolDispatcher.create_for_user(context)\n  - \
         UnifiedToolDispatcher.create_scoped(context)\n  - \
         UnifiedToolDispatcherFactory.create_for_request(context)"
    };
    Raised::new("RuntimeError", text)
}
