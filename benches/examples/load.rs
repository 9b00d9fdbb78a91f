//! A server and a load run against it in one process: `cargo run --release -p benches --example load [scenario] [url]`.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    thread,
};

use benches::load::{self, LoadOptions, Target, TokenSource, agents::ScenarioScripts};
use router_server::{
    Server, ServerConfig,
    agents::Scripted,
    auth::{AuthConfig, DEVELOPMENT_KEY},
};
use simulator::scenario::{Scenario, embedded};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_else(|| "load".to_owned());
    let found = embedded().iter().find(|(name, _)| *name == wanted);
    let (name, text) = found.ok_or("no such scenario")?;
    let scenario = Scenario::parse(name, text)?;
    let url = arguments.next().unwrap_or_else(|| serve(&scenario));
    let options = LoadOptions::new(Target::new(url), scenario, TokenSource::Hs256(DEVELOPMENT_KEY.to_vec()));
    let result = load::run(options)?;
    std::io::stdout().write_all(reports::text::render(&result.report).as_bytes())?;
    Ok(())
}

/// Serves on a free port, on one thread, until the process ends.
fn serve(scenario: &Scenario) -> String {
    let mut config = ServerConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), AuthConfig::development());
    config.router.agent_deadline_us = scenario.limits.agent_deadline_us();
    config.agents = Arc::new(Scripted::new(ScenarioScripts::new(scenario, scenario.seed)));
    let (told, bound) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let server = Server::bind(config).await.expect("a free port");
            _ = told.send(server.local_addr());
            server.run(std::future::pending()).await;
        });
    });
    format!("ws://{}", bound.recv().expect("the server listens"))
}
