//! A small scenario against a real server in this process: everything planned arrives, nothing crosses.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU64, Ordering},
};

use reports::{Outcome, Verdict};
use router_server::{Server, ServerConfig, ServerHandle, TlsFiles, agents::Scripted, auth::AuthConfig};

use super::*;

const KEY: &[u8] = b"a key of the tests, 32 bytes at least";

fn scenario(text: &str) -> Scenario {
    Scenario::parse("test", &format!("schema = 1\nname = \"test\"\nabout = \"\"\n{text}")).unwrap()
}

/// Three users who say two things each, and nothing goes wrong.
fn brief(expect: &str) -> Scenario {
    let text = "[users]\ncount = 3\narrival = { over = \"50ms\" }\n\
         [session]\nmessages = \"2\"\nthink_time = \"50ms..100ms\"\nlinger = \"100ms\"\n\
         mix = { user_message = 1 }\n\
         [agent]\nthinking_gap = \"5ms..10ms\"\nstart_delay = \"1ms..5ms\"\ntool_scale = 0.005\n\
         agent_error_share = 0\ntimeout_share = 0\n\
         [network]\ndisconnect_share = 0\n";
    scenario(&format!("{text}{expect}"))
}

/// A server on its own threads; it stops when the test's process does.
fn serve(scenario: &Scenario, seed: u64) -> (ServerHandle, Target) {
    serve_with(scenario, seed, None)
}

fn serve_with(scenario: &Scenario, seed: u64, tls: Option<TlsFiles>) -> (ServerHandle, Target) {
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let mut config =
        ServerConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), AuthConfig::hs256(KEY).unwrap());
    config.tls = tls;
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
    let url = format!("{scheme}://{}", handle.local_addr());
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
fn a_journey_is_judged_over_sockets_as_in_virtual_time() {
    // An answer takes several of the agent's pauses: no machine brings it within a microsecond.
    let scenario = brief(
        "[[expect.journey]]\nname = \"answer\"\nmax = \"1us\"\n\
         [[expect.journey.step]]\nto = \"agent_started\"\nmax = \"1h\"\n",
    );
    let simulated = simulator::simulate(&scenario, 3, simulator::Options::default()).unwrap();
    let (_handle, target) = serve(&scenario, 3);
    let mut options = LoadOptions::new(target, scenario, TokenSource::Hs256(KEY.to_vec()));
    options.seed = 3;
    options.late_limit_us = 10_000_000;
    let played = run(options).unwrap().report;
    for report in [simulated, played] {
        assert_eq!(report.verdict, Verdict::Findings, "{:?}", report.reasons);
        assert_eq!(report.findings_by_rule.keys().collect::<Vec<_>>(), ["objective.journey.answer"]);
        assert!(report.findings[0].detail.contains("expected at most 1us"), "{:?}", report.findings);
        let complete = report.facts.iter().find(|fact| fact.key == "journey_answer").unwrap();
        assert_eq!(complete.shown(), "100 %");
        assert!(report.metrics.iter().any(|metric| metric.key == "journey.answer.1"));
    }
}

/// The plan was played and all is well, but nobody knows what a punctual generator would have seen.
#[test]
fn a_generator_that_is_late_decides_nothing() {
    let scenario = brief("");
    let (_handle, target) = serve(&scenario, 3);
    let mut options = LoadOptions::new(target, scenario, TokenSource::Hs256(KEY.to_vec()));
    options.seed = 3;
    // No generator sends within the microsecond.
    options.late_limit_us = 0;
    let report = run(options).unwrap().report;
    assert_eq!(
        (report.verdict, report.verdict.exit_code()),
        (Verdict::Inconclusive, 4),
        "{:?}",
        report.reasons
    );
    assert_eq!((report.findings_total, report.reasons.len()), (0, 1), "{:?}", report.reasons);
    assert!(report.reasons[0].starts_with("the generator itself was late"), "{:?}", report.reasons);
    let failed: Vec<&str> = report
        .cases
        .iter()
        .filter(|case| case.outcome == Outcome::Failed)
        .map(|case| case.name.as_str())
        .collect();
    assert_eq!(failed, ["on time"]);
}

#[test]
fn a_plan_is_played_over_tls_with_a_server_that_is_trusted_and_with_no_other() {
    let folder = std::env::temp_dir().join(format!("load-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let [own, other] = ["own", "other"].map(|name| {
        let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
        let certificates = folder.join(format!("{name}.pem"));
        std::fs::write(&certificates, issued.cert.pem()).unwrap();
        let key = folder.join(format!("{name}-key.pem"));
        std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
        TlsFiles { certificates, key }
    });
    let scenario = brief("");
    let (handle, target) = serve_with(&scenario, 3, Some(own.clone()));
    let trusting = |authority: &TlsFiles| {
        let target = Target { authorities: Some(authority.certificates.clone()), ..target.clone() };
        let mut options = LoadOptions::new(target, scenario.clone(), TokenSource::Hs256(KEY.to_vec()));
        options.seed = 3;
        options.late_limit_us = 10_000_000;
        run(options)
    };
    let error = trusting(&other).unwrap_err();
    assert!(matches!(error, LoadError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("certificate") && handle.stats().runs.started == 0, "{error}");
    let report = trusting(&own).unwrap().report;
    assert_eq!(report.verdict, Verdict::Pass, "{:?} {:?}", report.reasons, report.findings);
    assert_eq!(handle.stats().runs.started, 6);
    std::fs::remove_dir_all(&folder).unwrap();
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
