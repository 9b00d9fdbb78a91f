//! Facades with the old names over a server's router.

use router::{
    Context, Ticket,
    compat::{QualityMessageRouter, WebSocketBroadcastService, WebSocketEventRouter},
};
use router_server::Recipients;
use serde_json::{json, value::to_raw_value};

use crate::harness::{TestServer, watched};

#[tokio::test]
async fn an_old_call_that_was_awaited_is_answered_when_the_sockets_have_written() {
    let server = TestServer::start().await;
    let (mut first, mut second) = (server.login("ada").await, server.login("ada").await);
    let mut service = WebSocketBroadcastService::new();
    let own = to_raw_value(&json!({"type": "own"})).expect("JSON");
    // A delivery of the host's own in between: the numbers of receipts do not meet.
    for n in 0..2 {
        let event = json!({"type": "note", "n": n});
        let result = server.handle.lend_and_wait(|lent| service.over(lent).broadcast_to_user("ada", &event));
        let receipt = server.handle.deliver(&Recipients::User("ada"), Context::default(), &own);
        let (result, receipt) = watched(async { (result.await, receipt.await) }).await;
        let (result, receipt) = (result.expect("a result"), receipt.expect("a receipt"));
        assert_eq!((result.connections_attempted, result.successful_sends), (2, 2));
        assert_eq!((&result.event_type, &*receipt.event_type), (&json!("note"), "\"own\""));
        for client in [&mut first, &mut second] {
            let frames = client.until("own").await;
            assert_eq!(frames[frames.len() - 2]["n"], n);
        }
    }
    let nobody = server.handle.lend_and_wait(|lent| {
        WebSocketEventRouter::new().over(lent).route_event("ada", "no such name", &json!({"type": "note"}))
    });
    assert_eq!(watched(nobody).await, Some(false), "settled at once");
}

#[tokio::test]
async fn calls_of_facades_are_in_the_metrics() {
    let server = TestServer::start().await;
    let mut ada = server.login("ada").await;
    ada.send(json!({"type": "subscribe_quality_alerts"}).to_string()).await;
    ada.until("quality_alerts_subscribed").await;
    let (mut quality, mut events) = (QualityMessageRouter::new(), WebSocketEventRouter::new());
    let told = server.handle.lend(|lent| {
        assert!(
            !events.over(lent).register_connection("ada", "t1", None, Ticket(1)),
            "the server's own affair"
        );
        quality.over(lent).handle_message("ada", &json!({"type": "no such type"}));
        quality.over(lent).broadcast_quality_update(&json!({"n": 1}))
    });
    assert!(told);
    let frames = ada.until("quality_update").await;
    let error = &frames[frames.len() - 2];
    assert_eq!(
        (&error["type"], &error["message"]),
        (&json!("error"), &json!("Unknown message type: no such type"))
    );
    let metrics = server.get("/metrics").await;
    for line in [
        "goldenpath_compat_calls_total{facade=\"QualityMessageRouter\"} 2\n",
        "goldenpath_compat_calls_total{facade=\"WebSocketEventRouter\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert_eq!((quality.compat_uses().total(), events.compat_uses().total()), (2, 1));
}
