//! An agent that has nothing but JSON, over real sockets: aliases, a foreign id, the sanitiser, a confirmation.

use std::sync::{Arc, Mutex};

use router::{AgentEvent, CancelReason, DeliveryState, EventRef, RunRef, RunRequest};
use router_server::agents::{AgentBackend, RunSink};
use serde_json::{Value, json, value::to_raw_value};

use crate::harness::{TestServer, chat, kinds, watched};

/// Reports what its producer would, and keeps what the router said to each.
#[derive(Clone, Default)]
struct Producer {
    taken: Arc<Mutex<Vec<bool>>>,
}

impl AgentBackend for Producer {
    fn start(&self, request: RunRequest, sink: RunSink) {
        let taken = Arc::clone(&self.taken);
        tokio::spawn(async move {
            let tell = |kind: &str, data: Value| {
                let data = to_raw_value(&data).expect("JSON");
                let answer = sink.report(AgentEvent::Data { kind, data: &data });
                taken.lock().expect("no panic").push(answer);
            };
            tell("agent_started", json!({"name": "producer", "run_id": request.run_id()}));
            tell("agent_thinking", json!({"thought": "hm", "user_id": "eve"}));
            tell("agent_thinking", json!({"thought": "hm", "type": "agent_completed"}));
            tell("tool_executing", json!({"name": "search", "params": {"api_key": "s3cr3t", "q": "x"}}));
            tell(
                "tool_completed",
                json!({"name": "search", "output": {"rows": (0..20).collect::<Vec<_>>()}}),
            );
            tell("status_update", json!({"percent": 50}));
            tell("agent_completed", json!({"response": "done"}));
            tell("agent_thinking", json!({}));
        });
    }

    fn cancel(&self, _: RunRef, _: CancelReason) {}
}

#[tokio::test]
async fn events_given_as_json_arrive_in_canonical_form() {
    let producer = Producer::default();
    let agents = Arc::new(producer.clone());
    let server = TestServer::with(|config| config.agents = agents).await;
    let mut client = server.login("ada").await;
    client.send(chat("m1", "hello")).await;
    let frames = client.until("agent_completed").await;
    let expected = [
        "agent_started",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "status_update",
        "agent_completed",
    ];
    assert_eq!(kinds(&frames), expected);
    assert!(frames.iter().all(|frame| frame["user_id"] == "ada" && frame["request_id"] == "m1"));
    let seqs: Vec<_> = frames.iter().filter_map(|frame| frame["seq"].as_u64()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
    assert_eq!((&frames[0]["agent_name"], &frames[1]["reasoning"]), (&json!("producer"), &json!("hm")));
    assert_eq!(frames[2]["parameters"], json!({"api_key": "[REDACTED]", "q": "x"}));
    assert_eq!(frames[2]["redacted"], true);
    assert_eq!(frames[3]["results"]["rows"][10], "...(truncated)");
    assert_eq!(frames[3]["tool_call_id"], frames[2]["tool_call_id"]);
    assert_eq!(frames[5]["final_response"], "done");
    watched(async {
        while producer.taken.lock().expect("no panic").len() < 8 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let taken = producer.taken.lock().expect("no panic").clone();
    assert_eq!(taken, [true, false, true, true, true, true, true, false]);
    assert_eq!(server.handle.stats().events.refused_foreign, 1);
}

#[tokio::test]
async fn a_confirmation_closes_an_event() {
    let server = TestServer::with(|config| config.agents = Arc::new(Producer::default())).await;
    let mut client = server.login("ada").await;
    client.send(chat("m1", "hello")).await;
    let frames = client.until("agent_completed").await;
    let (run_id, cursor) = (frames[0]["run_id"].as_str().expect("id"), frames[5]["cursor"].as_u64());
    let event = EventRef::Cursor(cursor.expect("a cursor"));
    let state = || server.handle.delivery("ada", event).expect("known").state;
    watched(async {
        while state() != DeliveryState::Delivered {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let confirmation =
        json!({"type": "confirmation", "event_id": format!("{run_id}:6"), "status": "confirmed"});
    client.send(confirmation.to_string()).await;
    client.send(r#"{"type":"ping"}"#).await;
    client.until("pong").await;
    assert_eq!(state(), DeliveryState::Confirmed);
    assert_eq!(server.handle.delivery("eve", event), None);
}
