use std::sync::Arc;

use router::{CancelReason, RunRef, RunRequest};
use router_server::{
    Server, ServerConfig, Stopped,
    agents::{AgentBackend, RunSink},
    auth::AuthConfig,
};

use crate::harness::{Client, TestServer, chat, offer, token, watched};

#[tokio::test]
async fn a_drain_closes_with_1001_and_the_server_returns() {
    let server = TestServer::start().await;
    let (mut ada, mut bob) = (server.login("ada").await, server.login("bob").await);
    ada.send(chat("m1", "hello")).await;
    ada.until("agent_started").await;
    server.handle.drain();
    // Accepted work is finished first.
    ada.until("agent_completed").await;
    assert_eq!(ada.closed().await, (1001, "server is shutting down".into()));
    assert_eq!(bob.closed().await.0, 1001);
    assert_eq!(watched(server.task).await.unwrap(), Stopped::Drained);
    assert_eq!(server.handle.connections(), 0);
}

/// Takes every run and says nothing.
struct Silent;

impl AgentBackend for Silent {
    fn start(&self, _: RunRequest, _: RunSink) {}
    fn cancel(&self, _: RunRef, _: CancelReason) {}
}

#[tokio::test]
async fn a_draining_server_says_so_and_takes_nobody_in() {
    let server = TestServer::with(|config| config.agents = Arc::new(Silent)).await;
    let mut ada = server.login("ada").await;
    ada.send(chat("m1", "hello")).await;
    while server.handle.stats().runs.open == 0 {
        tokio::task::yield_now().await;
    }
    server.handle.drain();
    assert!(server.get("/healthz").await.contains("\"draining\""));
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 503 "));
    let mut request = server.request("");
    offer(&mut request, &format!("jwt.{}", token("bob")));
    let mut late = server.connect(request).await;
    assert_eq!(late.json().await["error_code"], "SHUTTING_DOWN");
    assert_eq!(late.closed().await.0, 1001);
    ada.send(r#"{"type":"stop_agent"}"#).await;
    assert_eq!(ada.closed().await.0, 1001);
    assert_eq!(watched(server.task).await.unwrap(), Stopped::Drained);
}

#[tokio::test]
async fn a_shutdown_drains_too() {
    let config = ServerConfig::new(([127, 0, 0, 1], 0).into(), AuthConfig::development());
    let server = Server::bind(config).await.unwrap();
    assert_eq!(watched(server.run(async {})).await, Stopped::Drained);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_come_and_go_and_nothing_stays() {
    let server = TestServer::start().await;
    for round in 0..20 {
        let logins = (0..10).map(|n| {
            let mut request = server.request("");
            offer(&mut request, &format!("jwt.{}", token(&format!("user-{n}"))));
            server.connect(request)
        });
        let mut clients: Vec<Client<_>> = Vec::new();
        for login in logins {
            clients.push(login.await);
        }
        for (n, mut client) in clients.into_iter().enumerate() {
            match (round + n) % 3 {
                // Says goodbye, breaks off in mid-run, or is gone before its welcome was read.
                0 => client.ws.close(None).await.unwrap(),
                1 => client.send(chat(&format!("m{round}"), "hello")).await,
                _ => {}
            }
        }
    }
    server.empty().await;
    let stats = server.handle.stats();
    assert_eq!((stats.connections.accepted, stats.connections.open), (200, 0));
    stats.check().unwrap();
}
