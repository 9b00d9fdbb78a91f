//! Code of the host's that panics while the router is locked: one failure, and nobody else's frames.

use std::sync::Arc;

use router::{
    CancelReason, Handler, HandlerFault, Incoming, KindSet, QualityRequest, Replies, RunRef, RunRequest,
    message::Kind,
};
use router_server::{
    agents::{AgentBackend, RunSink},
    quality::{QualityBackend, QualitySink},
};
use serde_json::json;

use crate::harness::{TestServer, chat};

/// Panics wherever it is asked anything.
#[derive(Debug)]
struct Bomb;

impl Handler for Bomb {
    fn name(&self) -> &str {
        "bomb"
    }

    fn accepts(&self) -> KindSet {
        KindSet::of(&[Kind::UserTyping, Kind::DirectMessage])
    }

    fn wants(&self, incoming: &Incoming<'_>) -> Result<bool, HandlerFault> {
        if incoming.kind() == Kind::DirectMessage { panic!("wants") } else { Ok(true) }
    }

    fn handle(&mut self, _: &Incoming<'_>, replies: &mut Replies<'_>) -> Result<(), HandlerFault> {
        replies.send(r#"{"type":"before"}"#).expect("first");
        panic!("handle")
    }

    fn figures(&self) -> Option<String> {
        panic!("figures")
    }
}

#[tokio::test]
async fn a_handler_that_panics_has_failed_and_stays() {
    let server = TestServer::with(|config| config.handlers.push(Arc::new(|| Box::new(Bomb)))).await;
    let mut ada = server.login("ada").await;
    for _ in 0..2 {
        ada.send(r#"{"type":"user_typing"}"#).await;
        assert_eq!(ada.json().await["type"], "before");
        assert_eq!(ada.json().await["error_code"], "HANDLER_ERROR");
    }
    ada.send(r#"{"type":"direct_message"}"#).await;
    ada.send(r#"{"type":"ping"}"#).await;
    ada.until("pong").await;
    let stats = server.handle.handler_stats();
    assert_eq!((stats[0].counts.failed, stats[0].counts.skipped), (2, 1));
    assert_eq!(stats[0].last_failure.as_deref(), Some("it panicked"));
    server.handle.stats().check().expect("books");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the runtime's one thread is to be busy")]
async fn nobody_elses_frames_go_down_with_it() {
    let server = TestServer::with(|config| {
        config.handlers.push(Arc::new(|| Box::new(Bomb)));
        // Due only when somebody's message comes along with the timer.
        config.router.batch_wait_us = 100_000;
    })
    .await;
    let mut ada = server.login("ada").await;
    let (mut eve, mut tab) = (server.login("eve").await, server.login("eve").await);
    eve.send(r#"{"type":"broadcast","payload":{"n":1}}"#).await;
    eve.send(r#"{"type":"ping"}"#).await;
    eve.until("pong").await;
    // The one thread of the runtime is busy until the batch is due, so that both come in one step.
    ada.send(r#"{"type":"user_typing"}"#).await;
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!(tab.json().await["type"], "batch");
    ada.until("error_message").await;
    server.handle.stats().check().expect("books");
}

/// Cannot start, but for `wait`; cannot stop, cannot answer.
struct Broken;

impl AgentBackend for Broken {
    fn start(&self, request: RunRequest, _: RunSink) {
        assert_eq!(request.text(), "wait", "start");
    }

    fn cancel(&self, _: RunRef, _: CancelReason) {
        panic!("cancel")
    }
}

impl QualityBackend for Broken {
    fn ask(&self, _: QualityRequest, _: QualitySink) {
        panic!("ask")
    }
}

#[tokio::test]
async fn a_back_end_that_panics_is_a_failed_run_and_no_answer() {
    let server = TestServer::with(|config| {
        config.agents = Arc::new(Broken);
        config.quality = Some(Arc::new(Broken));
    })
    .await;
    let mut ada = server.login("ada").await;
    for id in ["m1", "m2"] {
        ada.send(chat(id, "hello")).await;
        let frames = ada.until("agent_error").await;
        let error = frames.last().expect("the error");
        assert_eq!((&error["error_code"], &error["status"]), (&json!("AGENT_ERROR"), &json!("error")));
        assert_eq!(frames[frames.len() - 2]["type"], "agent_started");
    }
    ada.send(chat("m3", "wait")).await;
    ada.send(r#"{"type":"stop_agent"}"#).await;
    assert_eq!(ada.until("agent_error").await.last().expect("the error")["error_code"], "CANCELLED");
    ada.send(r#"{"type":"get_quality_metrics","payload":{"agent_name":"x"}}"#).await;
    ada.send(r#"{"type":"ping"}"#).await;
    let frames = ada.until("pong").await;
    assert!(frames.iter().any(|frame| frame["type"] == "error_message"), "{frames:?}");
    let stats = server.handle.stats();
    stats.check().expect("books");
    assert_eq!((stats.runs.open, stats.connections.open), (0, 1));
}
