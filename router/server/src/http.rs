//! Plain HTTP answers on the WebSocket's port: one per socket, then it is closed.

use router::handlers::ReadyStatus;
use serde_json::json;
use tokio_tungstenite::tungstenite::http::StatusCode;

use crate::{
    driver::{Phase, Shared},
    metrics::{self, Doorbell},
    store::Durability,
};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: String,
}

impl Answer {
    /// A refusal with a text for a person.
    pub(crate) fn refusal(status: StatusCode, text: &str) -> Self {
        Self { status, content_type: TEXT, body: format!("{text}\n") }
    }

    pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Self {
        Self { status, content_type: JSON, body: format!("{body}\n") }
    }

    /// The bytes on the wire.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let upgrade = match self.status {
            StatusCode::UPGRADE_REQUIRED => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            StatusCode::METHOD_NOT_ALLOWED => "Allow: GET\r\n",
            StatusCode::UNAUTHORIZED => "WWW-Authenticate: Bearer\r\n",
            _ => "",
        };
        format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{upgrade}Cache-Control: no-store\r\n\
             Connection: close\r\n\r\n{}",
            self.status,
            self.content_type,
            self.body.len(),
            self.body
        )
        .into_bytes()
    }
}

/// The answer to a plain GET.
pub(crate) fn answer(path: &str, shared: &Shared, door: &Doorbell) -> Answer {
    let draining = *shared.phase().borrow() != Phase::Serving;
    match path {
        "/healthz" => Answer { status: StatusCode::OK, content_type: JSON, body: health(shared, draining) },
        "/readyz" if draining => Answer::refusal(StatusCode::SERVICE_UNAVAILABLE, "draining"),
        "/readyz" => {
            let readiness = shared.readiness();
            match readiness.status {
                ReadyStatus::Error => {
                    Answer::refusal(StatusCode::SERVICE_UNAVAILABLE, &readiness.to_string())
                }
                ReadyStatus::Initializing | ReadyStatus::Ready => Answer::refusal(StatusCode::OK, "ready"),
            }
        }
        "/metrics" => {
            let (stats, handlers, pool) = (shared.stats(), shared.handler_stats(), shared.pool());
            let (queue, calls) = (shared.queue_stats(), shared.facade_calls());
            let body = metrics::render(&stats, &handlers, &pool, &queue, door, shared.connections(), &calls);
            Answer { status: StatusCode::OK, content_type: OPEN_METRICS, body }
        }
        _ => Answer::refusal(StatusCode::NOT_FOUND, "not found: the WebSocket is at /ws"),
    }
}

fn health(shared: &Shared, draining: bool) -> String {
    let durability = shared.durability();
    let store = match shared.is_store_up() {
        None => json!(null),
        Some(is_up) => json!({
            "up": is_up,
            "lapses": match &durability {
                Some(Durability::Relaxed(lapses)) => lapses.iter().map(|lapse| lapse.cure()).collect(),
                Some(Durability::Strict) | None => Vec::new(),
            },
        }),
    };
    let durability = match (&store, &durability) {
        (serde_json::Value::Null, _) => "memory",
        (_, Some(durability)) => durability.name(),
        (_, None) => "unknown",
    };
    json!({
        "status": if draining { "draining" } else { "ok" },
        "node": shared.node(),
        "connections": shared.connections(),
        "version": env!("CARGO_PKG_VERSION"),
        "durability": durability,
        "store": store,
    })
    .to_string()
}
