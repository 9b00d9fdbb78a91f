//! What this router replaces, by module and name, and what stands in its place. `docs/migration.md` tells it at length.

/// A module of the old back end.
pub(super) struct Module {
    /// Its path below the application's package.
    pub(super) path: &'static str,
    /// What stands in its place as a whole.
    pub(super) canonical: &'static str,
    /// Names in it, each with what stands in its place.
    pub(super) names: &'static [(&'static str, &'static str)],
}

impl Module {
    /// Whether the module is known to have that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|(known, _)| *known == name)
    }

    /// What stands in a name's place.
    pub(super) fn canonical_of(&self, name: &str) -> &'static str {
        self.names.iter().find(|(known, _)| *known == name).map_or(self.canonical, |(_, canonical)| canonical)
    }
}

/// The replaced module that a dotted path names, whatever package it lives in.
pub(super) fn module(path: &str) -> Option<&'static Module> {
    MODULES.iter().find(|module| within(path, module.path).is_some())
}

/// What stands ahead of `inner` in a dotted path that ends with it.
fn within<'p>(path: &'p str, inner: &str) -> Option<&'p str> {
    path.strip_suffix(inner).filter(|outer| outer.is_empty() || outer.ends_with('.'))
}

/// Names that many packages have: not taken for ours where only a package says so.
pub(super) const COMMON: &[&str] =
    &["Message", "MessageType", "MessageHandler", "ConnectionHandler", "ErrorHandler", "message_router"];

/// The replaced module below a package from which its own `__init__` may hand on that name.
pub(super) fn handed_on(package: &str, name: &str) -> Option<&'static Module> {
    if COMMON.contains(&name) {
        return None;
    }
    MODULES.iter().filter(|module| module.has(name)).find(|module| {
        let (parent, _) = module.path.rsplit_once('.').unwrap_or_default();
        !parent.is_empty() && within(package, parent).is_some()
    })
}

/// The longest beginning of a dotted path that names a replaced module, and what follows it.
pub(super) fn longest(path: &str) -> Option<(&'static Module, Option<&str>)> {
    let mut end = path.len();
    loop {
        if let Some(found) = module(&path[..end]) {
            return Some((found, path.get(end + 1..).filter(|rest| !rest.is_empty())));
        }
        end = path[..end].rfind('.')?;
    }
}

/// What stands in the place of something in the compatibility layer; `None` when it is not in there.
pub(super) fn facade(name: &str) -> Option<&'static str> {
    FACADES.iter().find(|(known, _)| *known == name).map(|(_, canonical)| *canonical)
}

/// What is in `router::compat`, and what stands in its place.
pub(super) const FACADES: &[(&str, &str)] = &[
    ("MessageRouter", ROUTER),
    ("CoreRouter", ROUTES),
    ("QualityMessageRouter", QUALITY),
    ("WebSocketEventRouter", ROUTER),
    ("UserScopedWebSocketEventRouter", FOR_USER),
    ("WebSocketBroadcastService", DELIVER),
    ("BroadcastResult", "router::Receipt"),
    ("UnifiedToolDispatcher", TOOLS),
    ("Lent", LAST),
    ("Over", LAST),
    ("Pending", "router::Effect::Receipt"),
    ("Awaited", "router::Effect::Receipt"),
    ("Uses", LAST),
];

const LAST: &str = "nothing: it goes with the last facade";
const ROUTER: &str = "router::Router";
const NEW: &str = "router::Router::new, one value per server";
const HANDLER: &str = "router::Handler with router::Router::add_handler";
const BUILT_IN: &str = "a built-in handler of router::Router";
const DELIVER: &str = "router::Input::Deliver to router::Target::User";
const FOR_USER: &str = "router::Router::for_user";
const ROUTES: &str = "router::Router::add_route, router::Router::add_middleware, router::Router::dispatch";
const QUALITY: &str = "the quality handlers of router::Router";
const TOOLS: &str = "router::Input::Tool in a run; router::tools::Toolbox outside of one";
const VALIDATE: &str = "router::tools::validate";
const PERMISSIONS: &str = "router::tools::Permissions";
const TEST_TOOL: &str = "a tool of the test's own in router::tools::Toolbox";
const EVENTS: &str = "router::Input::Agent with router::AgentEvent";
const RUN: &str = "router::run::Automaton";
const QUEUE: &str = "the router's own outbound queues and recovery window";
const SHELL: &str = "router_server::Server";

pub(super) const MODULES: &[Module] = &[
    Module {
        path: "websocket_core.handlers",
        canonical: ROUTER,
        names: &[
            ("MessageRouter", ROUTER),
            ("get_message_router", NEW),
            ("get_router_handler_count", "router::Router::handler_order"),
            ("get_router_handler_list", "router::Router::handler_order"),
            ("MessageHandler", HANDLER),
            ("BaseMessageHandler", HANDLER),
            ("ConnectionHandler", BUILT_IN),
            ("TypingHandler", BUILT_IN),
            ("HeartbeatHandler", BUILT_IN),
            ("AgentHandler", BUILT_IN),
            ("AgentRequestHandler", BUILT_IN),
            ("AgentMessageHandler", BUILT_IN),
            ("AgentBridgeHandler", BUILT_IN),
            ("UserMessageHandler", BUILT_IN),
            ("JsonRpcHandler", BUILT_IN),
            ("ErrorHandler", BUILT_IN),
            ("BatchMessageHandler", BUILT_IN),
            ("E2EAgentHandler", BUILT_IN),
            ("QualityRouterHandler", QUALITY),
        ],
    },
    Module {
        path: "core.message_router",
        canonical: ROUTES,
        names: &[
            ("MessageRouter", ROUTES),
            ("Message", "router::routes::Envelope"),
            ("MessageType", "router::routes::Purpose"),
            ("message_router", NEW),
        ],
    },
    Module { path: "agents.message_router", canonical: ROUTER, names: &[("MessageRouter", ROUTER)] },
    Module {
        path: "services.websocket.quality_message_router",
        canonical: QUALITY,
        names: &[("QualityMessageRouter", QUALITY)],
    },
    Module {
        path: "services.websocket.quality_manager",
        canonical: QUALITY,
        names: &[("QualityMessageHandler", QUALITY)],
    },
    Module { path: "services.websocket.quality_enhanced_start_handler", canonical: QUALITY, names: &[] },
    Module {
        path: "services.websocket_event_router",
        canonical: ROUTER,
        names: &[
            ("WebSocketEventRouter", ROUTER),
            ("get_websocket_router", NEW),
            ("reset_websocket_router", NEW),
            ("broadcast_to_user", DELIVER),
        ],
    },
    Module {
        path: "services.user_scoped_websocket_event_router",
        canonical: FOR_USER,
        names: &[
            ("UserScopedWebSocketEventRouter", FOR_USER),
            ("create_user_event_router", FOR_USER),
            ("get_event_router_factory", FOR_USER),
            ("get_websocket_router_with_context", FOR_USER),
            ("route_user_event", "router::Input::Deliver to router::Target::Connection"),
            ("broadcast_user_event", DELIVER),
            ("broadcast_to_user", DELIVER),
        ],
    },
    Module {
        path: "services.websocket_broadcast_service",
        canonical: DELIVER,
        names: &[("WebSocketBroadcastService", DELIVER), ("BroadcastResult", "router::Receipt")],
    },
    Module { path: "websocket.connection_handler", canonical: SHELL, names: &[] },
    Module { path: "websocket_core.agent_handler", canonical: BUILT_IN, names: &[] },
    Module { path: "services.message_handlers", canonical: BUILT_IN, names: &[] },
    Module { path: "services.websocket.message_handler", canonical: BUILT_IN, names: &[] },
    Module {
        path: "core.tools.unified_tool_dispatcher",
        canonical: TOOLS,
        names: &[("UnifiedToolDispatcher", TOOLS), ("UnifiedToolDispatcherFactory", TOOLS)],
    },
    Module {
        path: "factories.tool_dispatcher_factory",
        canonical: TOOLS,
        names: &[("ToolDispatcherFactory", TOOLS)],
    },
    Module {
        path: "agents.request_scoped_tool_dispatcher",
        canonical: TOOLS,
        names: &[("RequestScopedToolDispatcher", TOOLS), ("WebSocketBridgeAdapter", EVENTS)],
    },
    Module {
        path: "agents.unified_tool_execution",
        canonical: TOOLS,
        names: &[("UnifiedToolExecutionEngine", TOOLS), ("EnhancedToolExecutionEngine", TOOLS)],
    },
    Module {
        path: "agents.tool_dispatcher_core",
        canonical: TOOLS,
        names: &[("ToolDispatcher", TOOLS), ("ToolDispatcherCore", TOOLS)],
    },
    Module {
        path: "agents.tool_dispatcher",
        canonical: TOOLS,
        names: &[("ToolDispatcher", TOOLS), ("create_legacy_global", TOOLS)],
    },
    Module {
        path: "agents.tool_dispatcher_execution",
        canonical: TOOLS,
        names: &[("ToolExecutionEngine", TOOLS)],
    },
    Module {
        path: "agents.tool_dispatcher_validation",
        canonical: VALIDATE,
        names: &[("ToolValidator", VALIDATE)],
    },
    Module {
        path: "agents.tool_permission_layer",
        canonical: PERMISSIONS,
        names: &[("UnifiedToolPermissionLayer", PERMISSIONS)],
    },
    Module {
        path: "services.unified_tool_registry.execution_engine",
        canonical: TOOLS,
        names: &[("ToolExecutionEngine", TOOLS)],
    },
    Module { path: "core.interfaces_tools", canonical: TOOLS, names: &[("ToolExecutionEngine", TOOLS)] },
    Module {
        path: "tools.enhanced_dispatcher",
        canonical: TOOLS,
        names: &[("EnhancedToolDispatcher", TOOLS), ("EnhancedToolDispatcherFactory", TOOLS)],
    },
    Module { path: "tools.tool_dispatcher", canonical: TOOLS, names: &[] },
    Module {
        path: "admin.tools.unified_admin_dispatcher",
        canonical: TOOLS,
        names: &[("UnifiedAdminToolDispatcher", TOOLS), ("UnifiedAdminToolDispatcherFactory", TOOLS)],
    },
    Module {
        path: "core.tools.mock_tool_dispatcher",
        canonical: TEST_TOOL,
        names: &[("MockToolDispatcher", TEST_TOOL)],
    },
    Module {
        path: "websocket_core.unified_emitter",
        canonical: EVENTS,
        names: &[
            ("UnifiedWebSocketEmitter", EVENTS),
            ("WebSocketEmitterFactory", EVENTS),
            ("WebSocketEmitterPool", EVENTS),
        ],
    },
    Module { path: "services.websocket.transparent_websocket_events", canonical: EVENTS, names: &[] },
    Module {
        path: "services.agent_websocket_bridge",
        canonical: EVENTS,
        names: &[("AgentWebSocketBridge", EVENTS)],
    },
    Module {
        path: "websocket_core.unified_manager",
        canonical: ROUTER,
        names: &[("UnifiedWebSocketManager", ROUTER)],
    },
    Module { path: "websocket_core.event_validator", canonical: RUN, names: &[] },
    Module { path: "websocket_core.event_validation_framework", canonical: RUN, names: &[] },
    Module { path: "websocket_core.event_delivery_tracker", canonical: QUEUE, names: &[] },
    Module { path: "services.event_delivery_tracker", canonical: QUEUE, names: &[] },
    Module { path: "websocket_core.connection_state_machine", canonical: ROUTER, names: &[] },
    Module { path: "services.websocket.message_queue", canonical: QUEUE, names: &[] },
    Module { path: "websocket_core.message_queue", canonical: QUEUE, names: &[] },
    Module { path: "websocket_core.message_buffer", canonical: QUEUE, names: &[] },
    Module { path: "services.message_queue", canonical: QUEUE, names: &[] },
    Module { path: "services.messaging.message_queue", canonical: QUEUE, names: &[] },
    Module { path: "services.messaging.dead_letter_queue", canonical: QUEUE, names: &[] },
];
