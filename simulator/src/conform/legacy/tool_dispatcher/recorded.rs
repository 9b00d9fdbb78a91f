//! What recordings give, and the form in which they hold what came of it.

use router::Instant;
use serde_json::{Value, json};

use crate::{
    conform::{legacy::Played, stage::START},
    legacy::tool_dispatcher::{Context, Counters, Factory, Given, Made, Raised, Way},
};

/// Longest text of an exception in recordings, in characters.
const ERROR_CHARS: usize = 260;

pub(super) fn raised_as(raised: &Raised) -> Played {
    let text: String = raised.text.chars().take(ERROR_CHARS).collect();
    // The input model's own wording goes on after the first thing that it found.
    let error = if raised.class == "ValidationError" { json!({"$prefix": text}) } else { text.into() };
    Played { state: Some(json!({"error": error})), ..Played::raised(raised.class.clone()) }
}

/// What a recording gives for a context. One that is marked `_raw` was an object of the recorder's own class.
pub(super) fn given(context: &Value) -> Result<Given, Raised> {
    Ok(match context {
        Value::Null => Given::Nothing,
        Value::Bool(_) => Given::Other("bool"),
        Value::Number(number) => Given::Other(if number.is_f64() { "float" } else { "int" }),
        Value::String(_) => Given::Other("str"),
        Value::Array(_) => Given::Other("list"),
        Value::Object(ids) if ids.contains_key("_raw") => Given::Other("orc.mkctx.<locals>.C"),
        Value::Object(_) => {
            let id = |key: &str| context[key].as_str().unwrap_or_default();
            let context = Context::new(id("user_id"), id("thread_id"), id("run_id"), id("request_id"))?;
            Given::Context(context)
        }
    })
}

pub(super) fn way(method: &str) -> Option<Way> {
    Some(match method {
        "create_for_request" => Way::CreateForRequest,
        "create_for_user" => Way::CreateForUser,
        "create_tool_executor" => Way::CreateToolExecutor,
        "unified.create_for_user" => Way::UnifiedForUser,
        "unified.create_scoped" => Way::UnifiedScoped,
        "enhanced.create_for_user" => Way::EnhancedForUser,
        "facade.create_for_request" => Way::FacadeForRequest,
        "facade.legacy_global" => Way::FacadeGlobal,
        "core.from_factory" => Way::Core,
        other => return other.starts_with("unified_factory.").then_some(Way::UnifiedFactory),
    })
}

/// What is recorded of a new dispatcher. Ids that were drawn are recorded as drawn.
pub(super) fn identity(made: &Made, factory: Option<(bool, Option<Way>)>) -> Value {
    let context = made.dispatcher.context();
    let mut state = json!({
        "type": made.face.type_name(),
        "user_id": context.map(|ids| ids.user.as_str()),
        "run_id": context.map(|ids| ids.run.as_str()),
        "has_websocket_support": made.claims_events,
    });
    let Some((keeps_manager, drawn)) = factory else { return state };
    state["shared_factory_ws_manager_set"] = keeps_manager.into();
    match drawn {
        Some(Way::UnifiedFactory) => {
            state["user_id"] = json!({"$prefix": "migration_compat_migration_"});
            state["run_id"] = json!({"$prefix": "migration_run_run_"});
        }
        Some(Way::FacadeGlobal) => state["run_id"] = json!({"$text": null}),
        Some(
            Way::CreateForRequest
            | Way::CreateForUser
            | Way::CreateToolExecutor
            | Way::UnifiedForUser
            | Way::UnifiedScoped
            | Way::EnhancedForUser
            | Way::FacadeForRequest
            | Way::Core,
        )
        | None => {}
    }
    state
}

pub(super) fn figures(made: &Made, tools: usize) -> Value {
    let (figures, context) = (made.dispatcher.figures(), made.dispatcher.context());
    json!({
        "tools_executed": figures.executed,
        "successful_executions": figures.successful,
        "failed_executions": figures.failed,
        "total_execution_time_ms": figures.total_us as f64 / 1e3,
        "last_execution_time": figures.last_at.map(seconds),
        "created_at": seconds(START),
        "context_id": context.map(Context::correlation),
        "user_id": context.map(|ids| ids.user.as_str()),
        "run_id": context.map(|ids| ids.run.as_str()),
        "success_rate": rounded(figures.success_rate()),
        "avg_execution_time_ms": rounded(figures.average_ms()),
        "total_tools_registered": tools,
        "has_websocket_support": made.claims_events,
        "is_active": made.is_active(),
    })
}

pub(super) fn counters(factory: &Factory) -> Value {
    let counters: Counters = factory.counters();
    let rate = |part: u64, whole: u64| rounded(part as f64 / whole.max(1) as f64);
    json!({
        "dispatchers_created": counters.created,
        "legacy_redirects": 0,
        "unified_redirects": counters.unified_redirects,
        "executor_redirects": counters.executor_redirects,
        "failed_creations": counters.failed,
        "active_instances": counters.active,
        "websocket_events_enabled": counters.with_events,
        "memory_optimization_bytes": counters.saved_bytes(),
        "deprecation_warnings_issued": counters.warnings,
        "last_creation_time": counters.last_at.map(seconds),
        "factory_id": "<id>",
        "factory_type": "SSOT_ToolDispatcherFactory",
        "has_websocket_manager": factory.keeps_manager(),
        "success_rate": rate(counters.created, counters.created + counters.failed),
        "deprecation_warnings_rate": rate(counters.warnings, counters.created),
        "memory_optimization_mb": rounded(counters.saved_bytes() as f64 / 1_048_576.0),
        "total_redirects": counters.redirects(),
        "created_at": seconds(START),
    })
}

/// Recordings keep six decimals.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

pub(super) fn seconds(at: Instant) -> f64 {
    at.as_micros() as f64 / 1e6
}
