use std::sync::Arc;

use router::{CancelReason, RunRef, RunRequest};
use router_server::agents::{AgentBackend, RunSink};
use serde_json::value::to_raw_value;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::{Message, protocol::Role};

use crate::harness::{Client, TestServer, chat};

#[tokio::test]
async fn a_message_above_the_transport_cap_closes_with_1009() {
    let server = TestServer::start().await;
    let mut client = server.login("ada").await;
    client.send("x".repeat(64 * 1024)).await;
    assert_eq!(client.json().await["error_code"], "TOO_LARGE");
    client.send("x".repeat(64 * 1024 + 1)).await;
    assert_eq!(client.closed().await.0, 1009);
    drop(client);
    server.empty().await;
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_with_1007() {
    // FIN + text, masked with zeros, two bytes that are not UTF-8.
    assert_eq!(closed_after(&[0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]).await, 1007);
}

#[tokio::test]
async fn a_broken_protocol_closes_with_1002() {
    // An unmasked text frame.
    assert_eq!(closed_after(&[0x81, 0x01, b'x']).await, 1002);
    // A reserved bit.
    assert_eq!(closed_after(&[0xc1, 0x80, 0, 0, 0, 0]).await, 1002);
}

async fn closed_after(bytes: &[u8]) -> u16 {
    let server = TestServer::start().await;
    let client = server.login("ada").await;
    let mut socket = client.ws.into_inner();
    socket.write_all(bytes).await.expect("write");
    let ws = tokio_tungstenite::WebSocketStream::from_raw_socket(socket, Role::Client, None).await;
    Client { ws, response: client.response }.closed().await.0
}

#[tokio::test]
async fn a_binary_frame_is_refused_and_the_connection_lives() {
    let server = TestServer::start().await;
    let mut client = server.login("ada").await;
    futures_util::SinkExt::send(&mut client.ws, Message::binary(vec![1])).await.unwrap();
    assert_eq!(client.json().await["error_code"], "BINARY_REFUSED");
    client.send(r#"{"type":"ping"}"#).await;
    assert_eq!(client.json().await["type"], "pong");
}

/// Reports more than any socket buffer holds, then ends.
struct Flood;

impl AgentBackend for Flood {
    fn start(&self, request: RunRequest, sink: RunSink) {
        tokio::spawn(async move {
            sink.report(router::AgentEvent::Started { agent: "", task: "" });
            if request.text() == "flood" {
                let data = to_raw_value(&"x".repeat(100_000)).expect("JSON");
                for _ in 0..200 {
                    sink.report(router::AgentEvent::Progress { data: &data });
                }
            }
            sink.report(router::AgentEvent::Completed { response: "", execution_time_ms: None });
        });
    }

    fn cancel(&self, _: RunRef, _: CancelReason) {}
}

#[tokio::test]
async fn a_slow_reader_holds_nobody_else() {
    let server = TestServer::with(|config| config.agents = Arc::new(Flood)).await;
    let mut slow = server.login("slow").await;
    let mut quick = server.login("quick").await;
    slow.send(chat("m1", "flood")).await;
    for n in 0..50 {
        quick.send(chat(&format!("m{n}"), "hello")).await;
        quick.until("agent_completed").await;
    }
    while server.handle.stats().runs.completed < 51 {
        tokio::task::yield_now().await;
    }
    let frames = server.handle.stats().frames;
    assert!(frames.in_flight + frames.queued + frames.dropped > 0, "the slow reader kept up: {frames:?}");
    // Its task still listens while its writes are blocked.
    drop(slow);
    while server.handle.connections() > 1 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    server.handle.stats().check().unwrap();
}
