//! A small scenario against a real server in this process: everything planned arrives, nothing crosses.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU64, Ordering},
};

use reports::Verdict;
use router_server::{Server, ServerConfig, ServerHandle, agents::Scripted, auth::AuthConfig};

use super::*;

const KEY: &[u8] = b"a key of the tests, 32 bytes at least";

fn scenario(text: &str) -> Scenario {
    Scenario::parse("test", &format!("schema = 1\nname = \"test\"\nabout = \"\"\n{text}")).unwrap()
}

/// A server on its own threads; it stops when the test's process does.
fn serve(scenario: &Scenario, seed: u64) -> (ServerHandle, Target) {
    let mut config =
        ServerConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), AuthConfig::hs256(KEY).unwrap());
    config.router.agent_deadline_us = scenario.limits.agent_deadline_us();
    config.agents = Arc::new(Scripted::new(agents::ScenarioScripts::new(scenario, seed)));
    let (told, bound) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::bind(config).await.unwrap();
            told.send(server.handle()).unwrap();
            server.run(std::future::pending()).await;
        });
    });
    let handle = bound.recv().unwrap();
    let url = format!("ws://{}", handle.local_addr());
    (handle, Target::new(url))
}

#[test]
fn a_plan_is_played_over_sockets_and_nothing_is_missing() {
    let scenario = scenario(
        "[users]\ncount = 12\narrival = { over = \"200ms\" }\n\
         [session]\nmessages = \"4..6\"\nthink_time = \"50ms..100ms\"\nlinger = \"100ms\"\n\
         [agent]\nthinking_gap = \"5ms..10ms\"\nstart_delay = \"1ms..5ms\"\ntool_scale = 0.005\n\
         [network]\nreconnect = { base = \"50ms\" }\nreconnect_outage = \"20ms..50ms\"\n\
         [limits]\nagent_deadline = \"2s\"\n",
    );
    let (handle, target) = serve(&scenario, 7);
    let told = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&told);
    let mut options = LoadOptions::new(target, scenario, TokenSource::Hs256(KEY.to_vec()));
    options.seed = 7;
    options.collect_projection = true;
    // Other tests share the machine.
    options.late_limit_us = 10_000_000;
    options.progress = Some(Arc::new(move |_| _ = counted.fetch_add(1, Ordering::Relaxed)));
    let LoadResult { report, projection } = run(options).unwrap();

    assert_eq!(
        report.verdict,
        Verdict::Pass,
        "{:?} {:?} {:?}",
        report.reasons,
        report.findings,
        report.facts
    );
    assert!(report.metrics.iter().any(|metric| metric.key == "started_last_tab"));
    assert_eq!(report.timelines.len(), 3);
    assert!(told.load(Ordering::Relaxed) > 0);
    let runs = projection.unwrap().per_run().len() as u64;
    assert!(runs >= 12 && handle.stats().runs.started == runs, "{runs}");
}

#[test]
fn a_target_that_cannot_be_used_is_named() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let scenario = scenario("[users]\ncount = 20\narrival = { over = \"1ms\" }\n");
    let target = Target::new(format!("ws://{free}"));
    let options = LoadOptions::new(target, scenario.clone(), TokenSource::Hs256(KEY.to_vec()));
    let error = run(options).unwrap_err().to_string();
    assert!(error.contains(&free.to_string()) && error.contains("start the server"), "{error}");

    let (_, mut target) = serve(&scenario, 1);
    target.url += "/elsewhere";
    let options = LoadOptions::new(target, scenario.clone(), TokenSource::Hs256(KEY.to_vec()));
    let error = run(options).unwrap_err().to_string();
    assert!(error.contains("/elsewhere") && error.contains("404"), "{error}");

    let options =
        LoadOptions::new(Target::new("ws://127.0.0.1:1"), scenario, TokenSource::Listed(Vec::new()));
    assert!(matches!(run(options), Err(LoadError::FewTokens { tokens: 0, users: 20 })));
}
