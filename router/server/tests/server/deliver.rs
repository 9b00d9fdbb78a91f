//! Deliveries of the host, over real sockets.

use router::{Context, DeliveryRefusal, Missed, Receipt};
use router_server::Recipients;
use serde_json::value::RawValue;

use crate::harness::{TestServer, watched};

impl TestServer {
    async fn deliver(&self, recipients: Recipients<'_>, event: &str) -> Receipt {
        let context = Context { request: Some("req-1"), ..Context::default() };
        watched(self.handle.deliver(&recipients, context, &json(event))).await.expect("a receipt")
    }
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("JSON")
}

#[tokio::test]
async fn each_recipient_gets_what_is_for_it_and_the_receipt_counts_them() {
    let server = TestServer::start().await;
    let (mut ada, mut filtered) = (server.login("ada").await, server.login_with("ada", "?thread=t1").await);
    let (mut eve, mut other) = (server.login("eve").await, server.login("eve").await);
    let tabs = server.handle.connections_of("ada", true);
    assert_eq!(tabs.iter().map(|tab| tab.thread.as_deref()).collect::<Vec<_>>(), [None, Some("t1")]);
    let counts = |receipt: &Receipt| (receipt.attempted, receipt.delivered, receipt.failed.len());

    let receipt = server.deliver(Recipients::User("ada"), r#"{"type":"one"}"#).await;
    assert_eq!(counts(&receipt), (2, 2, 0));
    let receipt = server.deliver(Recipients::Thread("ada", "t2"), r#"{"type":"two"}"#).await;
    assert_eq!(counts(&receipt), (1, 1, 0));
    let receipt = server.deliver(Recipients::Connection("ada", tabs[1].conn), r#"{"type":"three"}"#).await;
    assert_eq!(counts(&receipt), (1, 1, 0));
    let receipt = server.deliver(Recipients::Connection("eve", tabs[1].conn), r#"{"type":"theft"}"#).await;
    assert_eq!(receipt.refused, Some(DeliveryRefusal::UnknownConnection));
    let receipt = server.deliver(Recipients::All { except: None }, r#"{"type":"four"}"#).await;
    assert_eq!(counts(&receipt), (4, 4, 0));

    for (client, expected) in [
        (&mut ada, &["one", "two", "four"][..]),
        (&mut filtered, &["one", "three", "four"]),
        (&mut eve, &["four"]),
        (&mut other, &["four"]),
    ] {
        for kind in expected {
            let frame = client.json().await;
            assert_eq!(frame["type"], *kind);
            if *kind != "four" {
                assert_eq!((&frame["user_id"], &frame["request_id"]), (&"ada".into(), &"req-1".into()));
            }
        }
    }
    let receipt = server.deliver(Recipients::User("zoe"), r#"{"type":"early"}"#).await;
    assert_eq!((receipt.attempted, receipt.queued), (0, 1));
    let mut zoe = server.login("zoe").await;
    let frame = zoe.json().await;
    assert_eq!((&frame["type"], &frame["recovered"]), (&"early".into(), &true.into()));
    let metrics = server.get("/metrics").await;
    for line in [
        "goldenpath_deliveries_refused_total{reason=\"unknown_connection\"} 1\n",
        "goldenpath_delivered_frames_total{outcome=\"delivered\"} 8\n",
        "goldenpath_connection_pool_efficiency_ratio 1.0\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn a_broken_tab_is_said_to_be_and_the_other_has_the_event() {
    let server = TestServer::start().await;
    let (mut good, broken) = (server.login("ada").await, server.login("ada").await);
    let tabs = server.handle.connections_of("ada", false);
    // Nobody reads there: sooner or later the operating system takes nothing more.
    let big = json(&format!(r#"{{"type":"big","data":"{}"}}"#, "z".repeat(200_000)));
    let mut stuck = 0;
    while stuck < 3 {
        let wanted = Recipients::Connection("ada", tabs[1].conn);
        let receipt = server.handle.deliver(&wanted, Context::default(), &big);
        let limit = std::time::Duration::from_millis(200);
        stuck += usize::from(tokio::time::timeout(limit, receipt).await.is_err());
    }
    let event = json(r#"{"type":"note"}"#);
    let receipt = server.handle.deliver(&Recipients::User("ada"), Context::default(), &event);
    assert_eq!(good.json().await["type"], "note");
    drop(broken);
    let receipt = watched(receipt).await.expect("a receipt");
    assert_eq!((receipt.attempted, receipt.delivered, receipt.queued), (2, 1, 0));
    assert_eq!(receipt.failed, [(tabs[1].conn, Missed::Closed)]);
}
