//! Bad frames over real sockets: each is answered with its code, the next good message is served, and the user's
//! other connection hears nothing of it.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use router::Tier;
use router_server::{
    Server, ServerConfig,
    auth::{AuthConfig, DEVELOPMENT_KEY, issue},
};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Message,
        client::IntoClientRequest as _,
        protocol::frame::{Frame, coding::Data, coding::OpCode},
    },
};

type Socket = WebSocketStream<TcpStream>;

/// What a frame must be answered with.
enum Answer {
    /// An error frame with that code.
    Code(&'static str),
    /// A frame of that type.
    Type(&'static str),
    /// The connection closes with that code.
    Close(u16),
}

fn text(text: impl Into<String>) -> Message {
    Message::text(text.into())
}

fn nested(depth: usize) -> Message {
    let inner = depth - 2;
    text(format!(r#"{{"type":"ping","payload":{{"a":{}1{}}}}}"#, "[".repeat(inner), "]".repeat(inner)))
}

/// A ping padded with two-byte characters to exactly that many bytes.
fn sized(bytes: usize) -> Message {
    let frame = |padding: &str| format!(r#"{{"type":"ping","payload":{{"p":"{padding}"}}}}"#);
    let room = bytes - frame("").len();
    let padding = "ä".repeat(room / 2) + &"x".repeat(room % 2);
    let frame = frame(&padding);
    assert_eq!(frame.len(), bytes);
    text(frame)
}

fn raw(opcode: Data, payload: Vec<u8>) -> Message {
    Message::Frame(Frame::message(payload, OpCode::Data(opcode), true))
}

fn table() -> Vec<(&'static str, Message, Answer)> {
    use Answer::{Close, Code, Type};
    vec![
        ("not JSON", text("hello"), Code("JSON_PARSE_ERROR")),
        ("empty text", text(""), Code("JSON_PARSE_ERROR")),
        ("array", text("[]"), Code("NOT_AN_OBJECT")),
        ("number", text("5"), Code("NOT_AN_OBJECT")),
        ("null", text("null"), Code("NOT_AN_OBJECT")),
        ("empty object", text("{}"), Type("ack")),
        (
            "5000 digits",
            text(format!(r#"{{"type":"ping","payload":{{"n":{}}}}}"#, "7".repeat(5000))),
            Code("BAD_NUMBER"),
        ),
        ("nesting 64", nested(64), Type("pong")),
        ("nesting 65", nested(65), Code("TOO_DEEP")),
        ("nesting 10,000", nested(10_000), Code("TOO_LARGE")),
        ("binary", Message::binary(vec![1, 2, 3]), Code("BINARY_REFUSED")),
        ("8192 bytes", sized(8192), Type("pong")),
        ("8193 bytes", sized(8193), Code("TOO_LARGE")),
        ("64 KiB", sized(64 * 1024), Code("TOO_LARGE")),
        ("64 KiB + 1", sized(64 * 1024 + 1), Close(1009)),
        ("invalid UTF-8", raw(Data::Text, vec![b'"', 0xff, 0xfe, b'"']), Close(1007)),
        ("payload null", text(r#"{"type":"chat","payload":null}"#), Code("BAD_PAYLOAD")),
        ("payload array", text(r#"{"type":"chat","payload":[1]}"#), Code("BAD_PAYLOAD")),
        ("numeric thread_id", text(r#"{"type":"chat","thread_id":7,"payload":{}}"#), Code("BAD_FIELD")),
        ("unknown type", text(r#"{"type":"no_such_type"}"#), Type("ack")),
        ("type array", text(r#"{"type":["ping"]}"#), Code("BAD_FIELD")),
        (
            "lone high surrogate",
            text(r#"{"type":"ping","payload":{"s":"\ud800"}}"#),
            Code("JSON_PARSE_ERROR"),
        ),
        (
            "lone low surrogate",
            text(r#"{"type":"ping","payload":{"s":"\udc00x"}}"#),
            Code("JSON_PARSE_ERROR"),
        ),
        ("NaN", text(r#"{"type":"ping","payload":{"n":NaN}}"#), Code("JSON_PARSE_ERROR")),
        ("1e400", text(r#"{"type":"ping","payload":{"n":1e400}}"#), Code("BAD_NUMBER")),
        ("repeated key", text(r#"{"type":"ping","type":"ping"}"#), Code("BAD_FIELD")),
        ("escaped user id", text(r#"{"type":"ping","user\u005fid":"eve"}"#), Code("FOREIGN_USER_ID")),
        (
            "user id at depth 5",
            text(r#"{"type":"ping","payload":{"a":{"b":[{"owner_user_id":"eve"}]}}}"#),
            Code("FOREIGN_USER_ID"),
        ),
        ("no text", text(r#"{"type":"chat","payload":{"content":""}}"#), Code("EMPTY_MESSAGE")),
    ]
}

#[tokio::test]
async fn each_bad_frame_has_its_answer_and_harms_nobody() {
    let listen = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(ServerConfig::new(listen, AuthConfig::development())).await.expect("listens");
    let (addr, handle) = (server.local_addr(), server.handle());
    let serving = tokio::spawn(server.run(std::future::pending()));
    for (n, (name, frame, answer)) in table().into_iter().enumerate() {
        let user = format!("user-{n}");
        let (mut tab, mut other) = (login(addr, &user).await, login(addr, &user).await);
        tab.send(frame).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        match answer {
            Answer::Code(code) => {
                let reply = receive(&mut tab, name).await;
                assert_eq!(reply["type"], "error_message", "{name}");
                assert_eq!(reply["error_code"], code, "{name}");
            }
            Answer::Type(kind) => assert_eq!(receive(&mut tab, name).await["type"], kind, "{name}"),
            Answer::Close(code) => {
                assert_eq!(closed_with(&mut tab, name).await, code, "{name}");
                tab = login(addr, &user).await;
            }
        }
        for socket in [&mut tab, &mut other] {
            socket.send(text(r#"{"type":"ping"}"#)).await.expect("sent");
            assert_eq!(receive(socket, name).await["type"], "pong", "{name}: the next frame is the pong");
        }
    }
    handle.drain();
    serving.await.expect("drained");
}

async fn login(addr: std::net::SocketAddr, user: &str) -> Socket {
    let token = issue(DEVELOPMENT_KEY, user, Tier::Free, Duration::from_secs(600));
    let mut request = format!("ws://{addr}/ws").into_client_request().expect("a request");
    let protocol = format!("jwt.{token}").parse().expect("a header");
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    let stream = TcpStream::connect(addr).await.expect("connected");
    let (mut socket, _) = client_async(request, stream).await.expect("upgraded");
    assert_eq!(receive(&mut socket, "login").await["type"], "connection_established");
    socket
}

async fn receive(socket: &mut Socket, name: &str) -> Value {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).expect("JSON"),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
}

async fn closed_with(socket: &mut Socket, name: &str) -> u16 {
    match socket.next().await {
        Some(Ok(Message::Close(Some(frame)))) => frame.code.into(),
        other => panic!("{name}: {other:?}"),
    }
}
