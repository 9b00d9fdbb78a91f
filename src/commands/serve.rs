//! `goldenpath serve`.

use std::{fs, path::Path, sync::Arc};

use benches::load::agents::ScenarioScripts;
use reports::Verdict;
use router::ClusterConfig;
use router_server::{
    AdminToken, Server, ServerConfig, ServerError, Stopped, TlsFiles,
    agents::Scripted,
    auth::{AuthConfig, KeyError},
    store::StoreConfig,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{arguments::ServeOptions, failure::Failure, output, sources};

pub(crate) fn run(options: ServeOptions) -> Result<Verdict, Failure> {
    let config = config(&options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Internal(format!("runtime: {error}")))?;
    let ended = runtime.block_on(serve(config, options.until_stdin_ends));
    // A thread may still be waiting for stdin, and nothing waits for it.
    runtime.shutdown_background();
    ended
}

async fn serve(config: ServerConfig, until_stdin_ends: bool) -> Result<Verdict, Failure> {
    let scheme = if config.tls.is_some() { "wss" } else { "ws" };
    let server = Server::bind(config).await.map_err(|error| match error {
        ServerError::Store(error) => Failure::Usage(error.to_string()),
        ServerError::Config(_)
        | ServerError::Listen { .. }
        | ServerError::Tls(_)
        | ServerError::Handler(_) => Failure::Internal(error.to_string()),
    })?;
    let watch = |kind| signal(kind).map_err(|error| Failure::Internal(format!("signals: {error}")));
    let (mut terminate, mut interrupt) = (watch(SignalKind::terminate())?, watch(SignalKind::interrupt())?);
    output::data(&format!("listening on {scheme}://{}/ws\n", server.local_addr()))?;
    let stopped = server
        .run(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = stdin_end(), if until_stdin_ends => {}
            }
        })
        .await;
    match stopped {
        Stopped::Drained => Ok(Verdict::Pass),
        Stopped::Overdue => Err(Failure::Internal("the drain was cut off at its deadline".to_owned())),
    }
}

/// Ready when there is nothing more to read.
async fn stdin_end() {
    let end =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
    // However reading ended, there is nobody left to write.
    _ = end.await;
}

fn config(options: &ServeOptions) -> Result<ServerConfig, Failure> {
    let scenario = sources::scenario(&options.scenario)?;
    let mut config = ServerConfig::new(options.listen, auth(options)?);
    let node = std::mem::take(&mut config.router.node);
    config.router = router::Config { node, ..simulator::world::router_config(&scenario) };
    if let Some(seconds) = options.drain_deadline {
        config.router.drain_deadline_us = seconds.saturating_mul(1_000_000);
    }
    if let (Some(cert), Some(key)) = (&options.tls_cert, &options.tls_key) {
        config.tls = Some(TlsFiles { certificates: cert.clone(), key: key.clone() });
    }
    if let Some(agents) = options.agents {
        config.router.agents_max = agents;
    }
    if let Some(path) = &options.admin_token_file {
        let token = AdminToken::new(&read(path)?);
        let short = || Failure::Usage(format!("{}: expected a token of at least 16 bytes", path.display()));
        config.admin = Some(token.ok_or_else(short)?);
    }
    let cluster = options.lease_ms.map_or_else(ClusterConfig::default, ClusterConfig::with_lease_ms);
    let store = |url| StoreConfig { bounds: cluster.bounds.clone(), ..StoreConfig::new(url) };
    config.store = options.redis.as_ref().map(store);
    config.router.cluster = Some(cluster);
    let seed = options.seed.unwrap_or(scenario.seed);
    config.agents = Arc::new(Scripted::new(ScenarioScripts::new(&scenario, seed)));
    Ok(config)
}

fn auth(options: &ServeOptions) -> Result<AuthConfig, Failure> {
    let mut auth = match (&options.jwt_key_file, &options.jwt_public_key_file) {
        (Some(path), _) => {
            let key = read(path)?;
            AuthConfig::hs256(key.trim_ascii()).map_err(|error| unusable(path, &error))?
        }
        (None, Some(path)) => {
            let pem = read(path)?;
            AuthConfig::rs256(&pem)
                .or_else(|_| AuthConfig::eddsa(&pem))
                .map_err(|error| unusable(path, &error))?
        }
        (None, None) if options.development_key => AuthConfig::development(),
        (None, None) => {
            return Err(Failure::Usage(
                "no key to check tokens with: give --jwt-key-file or --jwt-public-key-file, \
                 or --development-key to try things out"
                    .to_owned(),
            ));
        }
    };
    if let Some(audience) = &options.jwt_audience {
        auth = auth.with_audience(audience);
    }
    if let Some(issuer) = &options.jwt_issuer {
        auth = auth.with_issuer(issuer);
    }
    Ok(auth)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::unreadable(path, &error))
}

fn unusable(path: &Path, error: &KeyError) -> Failure {
    Failure::Usage(format!("{}: {error}", path.display()))
}
