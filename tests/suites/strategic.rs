//! The eleven strategic tests: one router, one way to make it, one way to name it.

use std::collections::BTreeSet;

use router::{
    AgentEvent, Config, ConfigError, Context, Effect, Effects, Handler, HandlerId, Input, Instant, Kind,
    ReceiptId, Router, Stats, ToolStep,
    handlers::{Described, ReadyStatus, RegisterError},
};

use crate::{
    simulated::{flawless, longest},
    sockets::TestServer,
    structure::{competing, factories, globals, import_paths, makers, nothing, workspace},
    world::{FIVE, World, json},
};

/// Where the one router is.
pub(crate) const ROUTER: (&str, &str) = ("router/src/router/mod.rs", "Router");
/// What answers a router: its constructor, a copy of one that is there, and the one that takes the place of a node that died.
pub(crate) const MAKERS: &[(&str, &str)] = &[
    ("router/src/router/mod.rs", "new"),
    ("router/src/router/fork.rs", "fork"),
    ("simulator/src/world/subject.rs", "fresh"),
];
/// Where the one dispatcher of tools is.
pub(crate) const DISPATCHER: (&str, &str) = ("router/src/tools/dispatcher.rs", "Dispatcher");
/// The counting allocator of the gate's exact figures: a program of its own.
pub(crate) const GLOBALS: &[&str] = &["benches/worker/src/bin/gate-exact.rs", "src/commands/sweep.rs"];

fn handlers(router: &Router) -> Vec<String> {
    router.handler_order().map(|(_, name)| name.to_owned()).collect()
}

fn mine() -> Box<dyn Handler> {
    Box::new(
        Described::from_json(r#"{"name":"mine","accepts":["ping"],"then":"take"}"#).expect("a description"),
    )
}

#[test]
fn single_message_router_implementation() {
    nothing(&competing(workspace(), "Router", &[ROUTER]));
    let router = Router::new(Config::default()).expect("valid");
    let handlers = handlers(&router);
    assert!((1..20).contains(&handlers.len()), "{handlers:?}");
    assert_eq!(handlers.iter().collect::<BTreeSet<_>>().len(), handlers.len(), "each once");
}

#[test]
fn unified_websocket_event_routing() {
    let mut world = World::new(Config::default());
    let (tab, eve) = (world.connect("ada"), world.connect("eve"));
    for (n, kind) in (0..).zip(FIVE) {
        let event = json(&format!(r#"{{"type":"{kind}","payload":{{"n":{n}}}}}"#));
        let manager = world.router.for_user("ada", Context::default());
        assert_eq!(manager.user(), "ada");
        let delivery = manager.deliver(Some(ReceiptId(n)), &event);
        world.other.clear();
        world.input(Input::Deliver(delivery));
        let receipts: Vec<_> = world
            .other
            .iter()
            .filter_map(|effect| match effect {
                Effect::Receipt(receipt) => Some(receipt),
                _ => None,
            })
            .collect();
        assert_eq!(receipts.len(), 1, "one definite outcome");
        assert_eq!((receipts[0].receipt, receipts[0].attempted, receipts[0].delivered), (ReceiptId(n), 1, 1));
        assert_eq!((&world.last(tab)["type"], &world.last(tab)["user_id"]), (&kind.into(), &"ada".into()));
        assert_eq!(world.last(tab)["payload"]["n"], n);
    }
    assert_eq!(world.types(tab), FIVE);
    assert!(world.types(eve).is_empty());
}

#[test]
fn tool_dispatcher_ssot_routing() {
    nothing(&competing(workspace(), "Dispatcher", &[DISPATCHER]));
    assert_eq!(makers(workspace(), "Dispatcher").len(), 1, "{:?}", makers(workspace(), "Dispatcher"));
    let mut world = World::new(Config::default());
    world.router.add_tool("look", "");
    let parameters = json("{}");
    for user in ["ada", "eve"] {
        let tab = world.connect(user);
        let run = world.chat(tab, "m1");
        world.agent(&run, AgentEvent::Started { agent: "a", task: "" });
        let step = ToolStep::Call { call: "c", run_id: None, tool: "look", parameters: &parameters };
        world.other.clear();
        world.input(Input::Tool { run: run.run, step });
        let asked: Vec<_> = world
            .other
            .iter()
            .filter_map(|effect| match effect {
                Effect::RunTool(request) => Some(request),
                _ => None,
            })
            .collect();
        assert_eq!(asked.len(), 1);
        assert_eq!((&*asked[0].user, asked[0].run, &*asked[0].tool), (user, run.run, "look"));
    }
    assert_eq!(world.router.stats().tools.active, 2, "a dispatcher for each run, and no other");
}

#[test]
fn message_router_factory_pattern() {
    nothing(&globals(workspace(), GLOBALS));
    let mut router = Router::new(Config::default()).expect("valid");
    let other = Router::new(Config::default()).expect("valid");
    let before = handlers(&router);
    let id = router.add_handler(mine()).expect("room for one");
    assert_eq!(handlers(&router).len(), before.len() + 1);
    assert_eq!(handlers(&other), before, "two routers share nothing");
    assert!(router.remove_handler(id));
    assert_eq!(handlers(&router), before, "the table is exactly what it was");
    assert!(!router.remove_handler(id), "once is enough");
}

#[test]
fn message_routing_performance_baseline() {
    let sections = "[users]\ncount = 40\n[network]\nlatency = \"5ms..5ms\"\ndisconnect_share = 0\n";
    let played = flawless(sections, 1);
    // On a way of exactly 5 ms, all the virtual time there is must be the network's: the router holds nothing back.
    assert!((5_000..=5_010).contains(&longest(&played.times.event_latency)));
    assert!((10_000..=10_020).contains(&longest(&played.times.pong)));
    let inbound = played.stats.inbound;
    assert_eq!(
        inbound.received,
        inbound.handled + inbound.unhandled + inbound.handler_errors + inbound.rejected
    );
    assert_eq!((inbound.routed > 0, inbound.handler_errors), (true, 0));
}

#[test]
fn ssot_import_validation() {
    for (name, path) in
        [("Router", "router::Router"), ("Deliver", "router::Deliver"), ("Toolbox", "router::tools::Toolbox")]
    {
        let found = import_paths(workspace(), "router/src/", name);
        assert_eq!(found.iter().collect::<Vec<_>>(), [path], "{name}");
    }
}

#[tokio::test]
async fn ssot_consolidation_readiness() {
    let server = TestServer::with(|config| config.router.ready_grace_us = 0).await;
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200"));
    let readiness = server.handle.readiness();
    assert_eq!((readiness.status, readiness.missing.len()), (ReadyStatus::Ready, 0));
    assert!(!server.handle.handler_stats().is_empty());
    let mut client = server.login("ada").await;
    client.send(r#"{"type":"ping"}"#).await;
    assert_eq!(client.json().await["type"], "pong");
    let stats = server.handle.clone().stats();
    assert_eq!((stats.inbound.received, stats.inbound.routed), (1, 1));
}

#[test]
fn single_message_router_implementation_exists() {
    nothing(&competing(workspace(), "Router", &[ROUTER]));
    let takes_inputs: Vec<String> = workspace()
        .iter()
        .filter(|source| source.path.starts_with("router/src/"))
        .flat_map(|source| source.declared.iter().map(move |declared| (source, declared)))
        .filter(|(_, declared)| declared.public && declared.head.starts_with("(&mut self"))
        .filter(|(_, declared)| declared.head.contains("Input<") && declared.head.contains("Effects"))
        .map(|(source, declared)| format!("{} {}::{}", source.path, declared.owner, declared.name))
        .collect();
    assert_eq!(takes_inputs, ["router/src/router/mod.rs Router::handle"]);
}

type Handle = for<'r, 'i, 'o> fn(&'r mut Router, Instant, Input<'i>, &'o mut Effects);

#[test]
fn canonical_message_router_has_required_interface() {
    // Each by its exact signature: another one does not compile.
    let new: fn(Config) -> Result<Router, ConfigError> = Router::new;
    let handle: Handle = Router::handle;
    let add: fn(&mut Router, Box<dyn Handler>) -> Result<HandlerId, RegisterError> = Router::add_handler;
    let remove: fn(&mut Router, HandlerId) -> bool = Router::remove_handler;
    let stats: fn(&Router) -> &Stats = Router::stats;

    let mut router = new(Config::default()).expect("valid");
    let mut out = Effects::new();
    handle(
        &mut router,
        Instant::from_micros(1),
        Input::Connect(router::Connect::new(router::Ticket(1), "ada")),
        &mut out,
    );
    assert!(!out.is_empty());
    let id = add(&mut router, mine()).expect("room");
    assert_eq!(router.find_handler(Kind::Ping).map(|found| found.name().to_owned()).as_deref(), Some("mine"));
    assert!(remove(&mut router, id));
    assert_eq!(
        router.find_handler(Kind::Ping).map(|found| found.name().to_owned()).as_deref(),
        Some("heartbeat")
    );
    assert_eq!(stats(&router).connections.open, 1);
}

#[test]
fn no_competing_router_factories_exist() {
    nothing(&factories(workspace(), "Router", MAKERS));
    assert_eq!(makers(workspace(), "Router"), [ROUTER.0], "one literal makes all routers");
}

#[test]
fn message_router_import_consistency() {
    let found = import_paths(workspace(), "router/src/", "Router");
    assert_eq!(found.iter().collect::<Vec<_>>(), ["router::Router"]);
    let past: Vec<&str> = workspace()
        .iter()
        .filter(|source| !source.path.starts_with("router/src/"))
        .filter(|source| source.text.contains("router::router::"))
        .map(|source| source.path.as_str())
        .collect();
    assert!(past.is_empty(), "these reach past the canonical path: {past:?}");
}
