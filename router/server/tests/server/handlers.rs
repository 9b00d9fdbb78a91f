use std::sync::Arc;

use router::{Handler, HandlerFault, Incoming, KindSet, Profile, Replies, message::Kind};
use serde_json::{Value, json};

use crate::harness::TestServer;

#[tokio::test]
async fn a_json_rpc_client_is_answered_in_its_own_language() {
    let server = TestServer::start().await;
    let mut client = server.login("ada").await;
    client.send(r#"{"jsonrpc":"2.0","method":"note"}"#).await;
    client.send(r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":"a1"}"#).await;
    let result = json!({"jsonrpc":"2.0","result":{"status":"processed","method":"sum"},"id":"a1"});
    assert_eq!(client.json().await, result, "and the notification before it was not answered");
    client.send(r#"{"jsonrpc":"2.0","id":2}"#).await;
    assert_eq!(client.json().await["error"]["code"], -32600);
}

#[tokio::test]
async fn a_broadcast_goes_to_the_users_other_tab() {
    let server = TestServer::start().await;
    let mut sender = server.login("ada").await;
    let mut tab = server.login("ada").await;
    let mut eve = server.login("eve").await;
    for n in 0..3 {
        sender.send(json!({"type": "broadcast", "payload": {"n": n}}).to_string()).await;
    }
    let mut seen = Vec::new();
    // The timer may end a batch between two of them.
    while seen.len() < 3 {
        let batch = tab.json().await;
        assert_eq!(batch["type"], "batch");
        seen.extend(
            batch["messages"].as_array().expect("messages").iter().map(|m| m["payload"]["n"].clone()),
        );
    }
    assert_eq!(seen, [0, 1, 2]);
    for client in [&mut sender, &mut eve] {
        client.send(r#"{"type":"ping"}"#).await;
        assert_eq!(client.json().await["type"], "pong", "nothing came before it");
    }
}

/// Answers at once and once more later; fails when told to.
#[derive(Debug)]
struct Echo;

impl Handler for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn accepts(&self) -> KindSet {
        KindSet::of(&[Kind::DirectMessage])
    }

    fn handle(&mut self, incoming: &Incoming<'_>, replies: &mut Replies<'_>) -> Result<(), HandlerFault> {
        if incoming.member("fail").is_some() {
            return Err(HandlerFault::failed("told to"));
        }
        let payload: Value = serde_json::from_str(incoming.payload()).expect("JSON");
        let echo = json!({"type": "echo", "user": incoming.user(), "payload": payload}).to_string();
        replies.send(&echo).expect("first");
        replies.send_after(20_000, r#"{"type":"later"}"#).expect("second");
        Ok(())
    }
}

#[tokio::test]
async fn a_custom_handler_of_the_host_answers_its_sender() {
    let server = TestServer::with(|config| config.handlers.push(Arc::new(|| Box::new(Echo)))).await;
    let mut client = server.login("ada").await;
    let mut other = server.login("ada").await;
    client.send(r#"{"type":"direct_message","payload":{"x":1}}"#).await;
    assert_eq!(client.json().await, json!({"type": "echo", "user": "ada", "payload": {"x": 1}}));
    assert_eq!(client.json().await["type"], "later");
    client.send(r#"{"type":"direct_message","payload":{"fail":1}}"#).await;
    assert_eq!(client.json().await["error_code"], "HANDLER_ERROR");
    client.send(r#"{"type":"ping"}"#).await;
    assert_eq!(client.json().await["type"], "pong", "the connection lives");
    other.send(r#"{"type":"ping"}"#).await;
    assert_eq!(other.json().await["type"], "pong", "nothing came before it");
    let stats = server.handle.handler_stats();
    assert_eq!((stats[0].name.as_str(), stats[0].counts.handled, stats[0].counts.failed), ("echo", 1, 1));
    let metrics = server.get("/metrics").await;
    assert!(metrics.contains("goldenpath_handler_messages_total{handler=\"custom\"} 2"), "{metrics}");
    assert!(metrics.contains("goldenpath_handler_messages_total{handler=\"heartbeat\"} 2"), "{metrics}");
}

#[tokio::test]
async fn a_server_without_a_critical_handler_is_not_ready() {
    let server = TestServer::with(|config| {
        config.router.ready_grace_us = 0;
        config.router.profile = Profile { critical: KindSet::of(&[Kind::AgentStarted]), ..Profile::STANDARD };
    })
    .await;
    let answer = server.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("agent_started"), "{answer}");
    assert!(TestServer::start().await.get("/readyz").await.starts_with("HTTP/1.1 200"));
}
