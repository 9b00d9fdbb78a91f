//! The server under load: its address, TLS, and how one connection is opened.

use std::{
    fs,
    io::{self, BufReader},
    net::{SocketAddr, TcpStream as StdStream, ToSocketAddrs},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        client::IntoClientRequest,
        http::{HeaderValue, header::AUTHORIZATION},
        protocol::WebSocketConfig,
    },
};

use super::LoadError;

/// Read and write buffer of one connection. Small, so that ten thousand sockets fit into memory.
const BUFFER: usize = 4 * 1024;
/// A connection that is not welcome within this time has failed.
const CONNECT: Duration = Duration::from_secs(10);
/// Where systems keep the certificates they trust.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The server to put under load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `ws://host:port/ws` or `wss://…`; without a path, the dialect's.
    pub url: String,
    /// For `wss`: PEM file with the certificates to trust; without it, those of the system.
    pub authorities: Option<PathBuf>,
}

impl Target {
    /// A server by its URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), authorities: None }
    }
}

/// A target, looked up.
#[derive(Clone)]
pub(crate) struct Address {
    pub(super) url: String,
    socket: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A socket, plain or TLS.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Socket for S {}

/// One open connection.
pub(crate) type Link = WebSocketStream<Box<dyn Socket>>;

impl Address {
    /// Reads the URL, looks the host up, loads the certificates.
    pub(crate) fn resolve(target: &Target, default_path: &str) -> Result<Self, LoadError> {
        let wrong = |reason| LoadError::Url { url: target.url.clone(), reason };
        let (scheme, rest) = target.url.split_once("://").ok_or_else(|| wrong("no scheme"))?;
        let secure = match scheme {
            "ws" => false,
            "wss" => true,
            _ => return Err(wrong("unknown scheme")),
        };
        if rest.contains(['?', '#']) {
            return Err(wrong("a query or fragment, which the load client writes itself"));
        }
        let (authority, path) = rest.find('/').map_or((rest, default_path), |at| rest.split_at(at));
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let port =
            authority.rsplit_once(':').map_or(Ok(if secure { 443 } else { 80 }), |(_, port)| port.parse());
        let port: u16 = port.map_err(|_| wrong("the port is no number"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("no host"));
        }
        let url = format!("{scheme}://{authority}{}", if path == "/" { default_path } else { path });
        let unreachable = |error| LoadError::Unreachable { url: url.clone(), error };
        let not_found = || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        let mut found = (host, port).to_socket_addrs().map_err(unreachable)?;
        let socket = found.next().ok_or_else(|| unreachable(not_found()))?;
        let tls = if secure {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong("the host is no name"))?;
            Some((connector(target)?, name))
        } else {
            None
        };
        Ok(Self { url, socket, tls })
    }

    /// One TCP connection, to fail before the start and not after it.
    pub(super) fn probe(&self) -> Result<(), LoadError> {
        StdStream::connect_timeout(&self.socket, CONNECT)
            .map(drop)
            .map_err(|error| LoadError::Unreachable { url: self.url.clone(), error })
    }

    /// Whether the server shares this machine's clock.
    pub(super) fn is_local(&self) -> bool {
        self.socket.ip().is_loopback()
    }

    /// Opens a connection, from TCP to the WebSocket handshake.
    pub(crate) async fn open(&self, token: &str, query: &str) -> Result<Link, String> {
        match timeout(CONNECT, self.try_open(token, query)).await {
            Ok(opened) => opened,
            Err(_) => Err(format!("no handshake within {} s", CONNECT.as_secs())),
        }
    }

    async fn try_open(&self, token: &str, query: &str) -> Result<Link, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let stream = TcpStream::connect(self.socket).await.map_err(|e| text(&e))?;
        stream.set_nodelay(true).map_err(|e| text(&e))?;
        let stream: Box<dyn Socket> = match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => {
                Box::new(connector.connect(name.clone(), stream).await.map_err(|e| text(&e))?)
            }
        };
        let separator = if query.is_empty() { "" } else { "?" };
        let url = format!("{}{separator}{query}", self.url);
        let mut request = url.into_client_request().map_err(|e| text(&e))?;
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|e| text(&e))?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
        let opened = client_async_with_config(request, stream, Some(config)).await;
        opened.map(|(link, _)| link).map_err(|e| text(&e))
    }
}

fn connector(target: &Target) -> Result<TlsConnector, LoadError> {
    let fault = |reason: String| LoadError::Certificates { reason };
    let path = match &target.authorities {
        Some(path) => path.clone(),
        None => BUNDLES.iter().map(PathBuf::from).find(|path| path.exists()).ok_or_else(|| {
            fault("this system keeps no trusted certificates where they are looked for".into())
        })?,
    };
    let named = |error: &dyn std::fmt::Display| fault(format!("certificates `{}`: {error}", path.display()));
    let file = fs::File::open(&path).map_err(|e| named(&e))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_reader_iter(BufReader::new(file)) {
        roots.add(certificate.map_err(|e| named(&e))?).map_err(|e| named(&e))?;
    }
    if roots.is_empty() {
        return Err(named(&"no certificate in it"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| named(&e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<String, String> {
        let resolved = Address::resolve(&Target::new(text), "/ws");
        resolved.map(|address| address.url).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_gets_the_dialects_path_and_a_bad_one_is_named() {
        assert_eq!(url("ws://127.0.0.1:8080"), Ok("ws://127.0.0.1:8080/ws".to_owned()));
        assert_eq!(url("ws://127.0.0.1:8080/"), Ok("ws://127.0.0.1:8080/ws".to_owned()));
        assert_eq!(
            url("ws://[::1]:8080/api/v1/websocket"),
            Ok("ws://[::1]:8080/api/v1/websocket".to_owned())
        );
        for wrong in
            ["http://127.0.0.1", "127.0.0.1:80", "ws://127.0.0.1:http", "ws://:80", "ws://127.0.0.1/?x"]
        {
            assert!(url(wrong).is_err_and(|error| error.contains(wrong)), "{wrong}");
        }
    }
}
