//! From the first byte of a socket to a connection: the HTTP head, the token, the upgrade.

mod request;

use std::sync::Arc;

use router::{Connect, Input};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        error::{Error, ProtocolError},
        handshake::{
            machine::TryParse,
            server::{Request, create_response, write_response},
        },
        http::StatusCode,
        protocol::{Role, WebSocketConfig},
    },
};

use self::request::{Offer, Query};
pub(crate) use self::request::{bearer, decoded};
use crate::{
    admin::{self, AdminToken},
    auth::{AuthConfig, Denied, Identity},
    connection::Connection,
    driver::Shared,
    http::{self, Answer, Method},
    metrics::Doorbell,
};

/// Longest HTTP head.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Where the WebSocket is; the others are old addresses of it.
const PATHS: [&str; 3] = ["/ws", "/websocket", "/api/v1/websocket"];

/// What every handshake needs.
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    pub(crate) auth: AuthConfig,
    pub(crate) websocket: WebSocketConfig,
    pub(crate) bell: Doorbell,
    /// `None`: nothing for operators.
    pub(crate) admin: Option<AdminToken>,
}

/// Reads one request. A good upgrade becomes a connection; everything else is answered, and `None`.
pub(crate) async fn shake<S>(door: &Door, mut stream: S) -> Option<Connection<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = match read_head(&mut stream).await {
        Ok(Some((method, request, rest))) => route(door, method, &request).map(|upgrade| (upgrade, rest)),
        Ok(None) => {
            door.bell.lost.add_one();
            return None;
        }
        Err(answer) => Err(answer),
    };
    match request {
        Ok((upgrade, rest)) => upgrade.carry_out(door, stream, rest).await,
        Err(answer) => {
            door.bell.answered.add_one();
            // A client that does not wait for its answer is no concern of ours.
            let _ = stream.write_all(&answer.into_bytes()).await;
            let _ = stream.shutdown().await;
            None
        }
    }
}

/// A request that asks for the WebSocket and may have it; who it is has been found out.
struct Upgrade {
    response: Vec<u8>,
    identity: Result<Identity, Denied>,
    query: Query,
}

impl Upgrade {
    async fn carry_out<S>(self, door: &Door, mut stream: S, rest: Vec<u8>) -> Option<Connection<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if stream.write_all(&self.response).await.is_err() || stream.flush().await.is_err() {
            door.bell.lost.add_one();
            return None;
        }
        let ws = WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(door.websocket)).await;
        let admission = match &self.identity {
            Ok(identity) => {
                door.bell.upgraded.add_one();
                door.shared.admit(|ticket| {
                    Input::Connect(Connect {
                        tier: identity.tier,
                        resume: self.query.resume,
                        thread: self.query.thread.as_deref(),
                        expires_at: Some(identity.expires_at),
                        ..Connect::new(ticket, &identity.user)
                    })
                })
            }
            Err(denied) => {
                door.bell.denied.add_one();
                tracing::debug!(reason = denied.name(), "a token was not accepted");
                door.shared.admit(|ticket| Input::AuthFailed { ticket })
            }
        }?;
        Some(Connection::new(ws, admission))
    }
}

/// The request and what came behind it; `None` if the client left.
async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> Result<Option<(Method, Request, Vec<u8>)>, Answer> {
    let mut head = Vec::with_capacity(1024);
    let end = loop {
        let from = head.len().saturating_sub(3);
        match stream.read_buf(&mut head).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
        if let Some(at) = head[from..].windows(4).position(|four| four == b"\r\n\r\n") {
            break from + at + 4;
        }
        if head.len() > HEAD_BYTES_MAX {
            let text = "the request head is longer than 8 KiB";
            return Err(Answer::refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text));
        }
    };
    let rest = head.split_off(end);
    // The parser is that of the handshake, which knows one method. Operators have another, on paths of their own.
    let (method, head) = match head.strip_prefix(b"POST /admin/") {
        Some(rest) => (Method::Post, [b"GET /admin/", rest].concat()),
        None => (Method::Get, head),
    };
    match Request::try_parse(&head) {
        Ok(Some((_, request))) => Ok(Some((method, request, rest))),
        Err(Error::Protocol(ProtocolError::WrongHttpMethod)) => {
            Err(Answer::refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET is spoken here"))
        }
        Ok(None) | Err(_) => Err(Answer::refusal(StatusCode::BAD_REQUEST, "not an HTTP/1.1 request")),
    }
}

fn route(door: &Door, method: Method, request: &Request) -> Result<Upgrade, Answer> {
    let path = request.uri().path();
    if path.starts_with(admin::PREFIX) {
        let token = door.admin.as_ref();
        return Err(admin::answer(method, request.uri(), request.headers(), token, &door.shared));
    }
    if !PATHS.contains(&path) {
        return Err(http::answer(path, &door.shared, &door.bell));
    }
    let mut response = create_response(request).map_err(|error| not_an_upgrade(&error))?;
    let query = Query::parse(request.uri().query().unwrap_or_default())
        .map_err(|text| Answer::refusal(StatusCode::BAD_REQUEST, text))?;
    let offer = Offer::find(request.headers());
    if let Some(protocol) = offer.protocol {
        response.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    }
    let identity = offer.token.ok_or(Denied::Missing).and_then(|token| door.auth.verify(&token));
    let mut bytes = Vec::with_capacity(512);
    write_response(&mut bytes, &response)
        .map_err(|_| Answer::refusal(StatusCode::BAD_REQUEST, "the subprotocol is not plain text"))?;
    Ok(Upgrade { response: bytes, identity, query })
}

fn not_an_upgrade(error: &Error) -> Answer {
    let plain = matches!(
        error,
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
                | ProtocolError::MissingUpgradeWebSocketHeader
                | ProtocolError::MissingSecWebSocketVersionHeader,
        )
    );
    let status = if plain { StatusCode::UPGRADE_REQUIRED } else { StatusCode::BAD_REQUEST };
    Answer::refusal(status, &error.to_string())
}
