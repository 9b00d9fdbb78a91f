use std::sync::Arc;

use router_server::{Server, ServerConfig, TlsFiles, auth::AuthConfig};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring},
};

use crate::harness::{Client, TestServer, offer, token};

#[tokio::test]
async fn health_and_metrics_share_the_port() {
    let server = TestServer::start().await;
    let mut client = server.login("ada").await;
    client.send(r#"{"type":"ping"}"#).await;
    client.json().await;
    let health = server.get("/healthz").await;
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n"), "{health}");
    let body: serde_json::Value = serde_json::from_str(health.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&body["status"], &body["durability"]), (&"ok".into(), &"memory".into()));
    assert_eq!((&body["connections"], &body["node"]), (&1.into(), &server.handle.node().into()));
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200 "));
    let metrics = server.get("/metrics").await;
    for line in [
        "goldenpath_inbound_frames_total{outcome=\"received\"} 1\n",
        "goldenpath_connections_open 1\n",
        "goldenpath_handshakes_total{outcome=\"upgraded\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn what_is_not_an_upgrade_gets_a_plain_answer() {
    let server = TestServer::start().await;
    assert!(server.get("/ws").await.starts_with("HTTP/1.1 426 "));
    assert!(server.get("/").await.starts_with("HTTP/1.1 404 "));
    assert!(server.plain("POST /ws HTTP/1.1\r\nHost: x\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
    assert!(server.plain("nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = TestServer::start().await;
    // Exactly one byte more than allowed, so that nothing unread resets the connection.
    let head = format!("GET /ws HTTP/1.1\r\nX: {}", "x".repeat(8193 - 21));
    assert!(server.plain(&head).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn tls_carries_the_same() {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let dir = std::env::temp_dir().join(format!("router-server-tls-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let files = TlsFiles { certificates: dir.join("cert.pem"), key: dir.join("key.pem") };
    std::fs::write(&files.certificates, issued.cert.pem()).unwrap();
    std::fs::write(&files.key, issued.signing_key.serialize_pem()).unwrap();
    let server = TestServer::with(|config| config.tls = Some(files)).await;
    std::fs::remove_dir_all(&dir).unwrap();

    let mut roots = RootCertStore::empty();
    roots.add(issued.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, server.socket().await).await.unwrap();
    let mut request = server.request("");
    offer(&mut request, &format!("jwt.{}", token("ada")));
    let mut client = Client::over(stream, request).await;
    assert_eq!(client.json().await["type"], "connection_established");
    client.send("x".repeat(64 * 1024 + 1)).await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let taken = TestServer::start().await;
    let config = ServerConfig::new(taken.handle.local_addr(), AuthConfig::development());
    let error = Server::bind(config.clone()).await.unwrap_err().to_string();
    assert!(error.contains(&taken.handle.local_addr().to_string()), "{error}");
    let mut limits = config;
    limits.router.nesting_max = 0;
    let error = Server::bind(limits).await.unwrap_err().to_string();
    assert!(error.contains("nesting_max"), "{error}");
}
