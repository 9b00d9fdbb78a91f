//! Messages between services in a running server: the host dispatches, clients see nothing of it.

use std::sync::{Arc, OnceLock};

use router::routes::{Dispatched, Draft, Envelope, Failure, Refused, Verdict};
use router_server::{Server, ServerConfig, ServerError, ServerHandle, auth::AuthConfig};
use serde_json::json;

use crate::harness::{TestServer, watched};

fn message(id: &str, destination: &str, user: Option<&str>) -> Envelope {
    Envelope {
        id: id.into(),
        source: "test".into(),
        destination: Some(destination.into()),
        payload: json!({ "n": 1 }),
        user: user.map(Arc::from),
        ..Envelope::default()
    }
}

fn ids(server: &TestServer, user: Option<&str>) -> Vec<String> {
    server.handle.history(user).iter().map(|record| record.received().id.clone()).collect()
}

#[tokio::test]
async fn a_host_dispatches_for_its_users() {
    let server = TestServer::with(|config| {
        config.middleware.push(Arc::new(|message: &mut Draft| match message.destination() {
            Some("old") => Ok(Verdict::Redirect("new".into())),
            Some("blocked") => Ok(Verdict::Drop),
            _ => Ok(Verdict::Pass),
        }));
        config
            .routes
            .push(("new".into(), Arc::new(|message: &mut Draft| Ok(message.payload()["n"].clone()))));
        config.routes.push(("new".into(), Arc::new(|_: &mut Draft| Err(Failure::new("boom")))));
    })
    .await;
    let mut ada = server.login("ada").await;
    let mut eve = server.login("eve").await;
    let Ok(Dispatched::Results(results)) = server.handle.dispatch(message("a", "old", Some("ada"))) else {
        panic!("routed");
    };
    assert_eq!(results[0], Ok(json!(1)));
    assert_eq!(results[1].as_ref().expect_err("it fails").failure, Failure::new("boom"));
    let dropped = server.handle.dispatch(message("b", "blocked", Some("eve")));
    assert!(matches!(dropped, Ok(Dispatched::Dropped { .. })));
    let nobody = server.handle.dispatch(message("c", "Old", None));
    assert!(matches!(nobody, Ok(Dispatched::Unrouted { .. })));
    assert_eq!(ids(&server, Some("ada")), ["a"]);
    assert_eq!(ids(&server, Some("eve")), ["b"]);
    assert_eq!(ids(&server, None), ["c"]);
    let counts = server.handle.stats().dispatches;
    assert_eq!((counts.offered, counts.routed, counts.dropped, counts.unrouted), (3, 1, 1, 1));
    let metrics = server.get("/metrics").await;
    assert!(metrics.contains("goldenpath_dispatches_total{outcome=\"routed\"} 1\n"), "{metrics}");
    // Nothing of it went to a socket: the next frame of each is the answer to its own.
    for client in [&mut ada, &mut eve] {
        client.send(r#"{"type":"ping"}"#).await;
        assert_eq!(client.json().await["type"], "pong");
    }
}

#[tokio::test]
async fn a_handler_may_use_the_handle_that_called_it() {
    let handle: Arc<OnceLock<ServerHandle>> = Arc::default();
    let inner = Arc::clone(&handle);
    let server = TestServer::with(|config| {
        let forward = move |m: &mut Draft| {
            let handle = inner.get().ok_or_else(|| Failure::new("no handle yet"))?;
            match handle.dispatch(message("inner", "echo", m.user())) {
                Ok(Dispatched::Results(results)) => {
                    let users = handle.stats().connections.users;
                    Ok(json!({ "inner": results[0].as_ref().ok(), "users": users }))
                }
                other => Err(Failure::new(format!("{other:?}"))),
            }
        };
        config.routes.push(("forward".into(), Arc::new(forward)));
        config.routes.push(("echo".into(), Arc::new(|m: &mut Draft| Ok(m.payload().clone()))));
    })
    .await;
    assert!(handle.set(server.handle.clone()).is_ok());
    let _ada = server.login("ada").await;
    let dispatching = server.handle.clone();
    let work =
        tokio::task::spawn_blocking(move || dispatching.dispatch(message("outer", "forward", Some("ada"))));
    let outcome = watched(work).await.expect("no panic");
    assert_eq!(outcome, Ok(Dispatched::Results(vec![Ok(json!({ "inner": { "n": 1 }, "users": 1 }))])));
    // In the order in which they ended.
    assert_eq!(ids(&server, Some("ada")), ["inner", "outer"]);
}

#[tokio::test]
async fn a_draining_server_refuses() {
    let server = TestServer::start().await;
    let _ada = server.login("ada").await;
    assert!(server.handle.dispatch(message("early", "d", None)).is_ok());
    server.handle.drain();
    assert_eq!(server.handle.dispatch(message("late", "d", None)), Err(Refused::ShuttingDown));
    assert_eq!(ids(&server, None), ["early"]);
}

#[tokio::test]
async fn more_than_there_is_room_for_does_not_start() {
    let mut config = ServerConfig::new(([127, 0, 0, 1], 0).into(), AuthConfig::development());
    config.router.middleware_max = 1;
    for _ in 0..2 {
        config.middleware.push(Arc::new(|_: &mut Draft| Ok(Verdict::Pass)));
    }
    let Err(ServerError::Config(error)) = Server::bind(config).await else { panic!("it started") };
    assert_eq!(error.field, "middleware_max");
}
