use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header, encode};
use router::Tier;
use router_server::auth::{AuthConfig, DEVELOPMENT_KEY, issue};
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::harness::{TestServer, masked, offer, token};

#[tokio::test]
async fn a_subprotocol_carries_the_token_and_is_echoed_as_offered() {
    let server = TestServer::start().await;
    let token = token("ada");
    let encoded = BASE64_URL_SAFE_NO_PAD.encode(&token);
    for protocol in [format!("jwt.{token}"), format!("jwt-auth.{token}"), format!("bearer.{encoded}")] {
        let mut request = server.request("");
        offer(&mut request, &protocol);
        let mut client = server.connect(request).await;
        assert_eq!(client.response.headers()["Sec-WebSocket-Protocol"], protocol);
        let welcome = client.json().await;
        assert_eq!(welcome["data"]["user_id"], masked("ada"));
        assert_eq!(welcome["data"]["features"]["development_token"], true);
    }
}

#[tokio::test]
async fn a_header_carries_the_token_on_every_path() {
    let server = TestServer::start().await;
    for path in ["ws", "websocket", "api/v1/websocket"] {
        let mut request = server.request("");
        *request.uri_mut() = format!("ws://{}/{path}", server.handle.local_addr()).parse().unwrap();
        let value = HeaderValue::from_str(&format!("Bearer {}", token("ada"))).unwrap();
        request.headers_mut().insert("Authorization", value);
        let mut client = server.connect(request).await;
        assert!(client.response.headers().get("Sec-WebSocket-Protocol").is_none());
        assert_eq!(client.json().await["type"], "connection_established");
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_told_so_and_closed_with_1008() {
    let server = TestServer::with(|config| {
        config.auth = AuthConfig::hs256(&[7; 32]).unwrap();
    })
    .await;
    let hour = Duration::from_secs(3600);
    let good = issue(&[7; 32], "ada", Tier::Free, hour);
    let claims = serde_json::json!({ "sub": "ada", "exp": 1_000_000_000 });
    let expired = encode(&Header::default(), &claims, &EncodingKey::from_secret(&[7; 32])).unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZGEiLCJleHAiOjk5OTk5OTk5OTl9.";
    let bad = [
        format!("jwt.{}", issue(DEVELOPMENT_KEY, "ada", Tier::Free, hour)),
        format!("jwt.{expired}"),
        format!("jwt.{none}"),
        String::from("jwt.nonsense"),
        String::new(),
    ];
    for protocol in bad {
        let mut request = server.request("");
        if !protocol.is_empty() {
            offer(&mut request, &protocol);
        }
        let mut client = server.connect(request).await;
        let refusal = client.json().await;
        assert_eq!(
            (&refusal["type"], &refusal["error_code"]),
            (&"error_message".into(), &"AUTH_FAILED".into())
        );
        assert_eq!(client.closed().await, (1008, "Authentication failed".into()));
    }
    assert_eq!(server.handle.connections(), 0);
    let mut request = server.request("");
    offer(&mut request, &format!("jwt.{good}"));
    assert_eq!(server.connect(request).await.json().await["data"]["features"]["development_token"], false);
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_answered_400() {
    let server = TestServer::start().await;
    let answer = server
        .plain(
            "GET /ws?resume=new HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("resume: expected"), "{answer}");
}
