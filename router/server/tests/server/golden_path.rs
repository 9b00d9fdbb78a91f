use router_server::agents::Scripted;

use crate::harness::{FIVE, Five, TestServer, chat, five, kinds};

#[tokio::test]
async fn the_five_events_arrive_in_order() {
    let server = five().await;
    let mut client = server.login("ada").await;
    client.send(chat("m1", "hello")).await;
    let frames = client.until("agent_completed").await;
    assert_eq!(kinds(&frames), FIVE);
    let seqs: Vec<_> = frames.iter().filter_map(|frame| frame["seq"].as_u64()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    assert!(frames.iter().all(|frame| frame["request_id"] == "m1" && frame["user_id"] == "ada"));
    assert_eq!(frames[4]["final_response"], "hello");
}

#[tokio::test]
async fn the_rehearsed_agent_needs_nobody_else() {
    let server = TestServer::start().await;
    let mut client = server.login("ada").await;
    client.send(chat("m1", "hello world")).await;
    let frames = client.until("agent_completed").await;
    assert_eq!(kinds(&frames)[..2], FIVE[..2]);
    assert!(frames.iter().any(|frame| frame["final_response"] == "Done with hello"));
}

#[tokio::test]
async fn a_stop_ends_the_run_and_its_task() {
    let agent = std::sync::Arc::new(Scripted::new(Five));
    let server = TestServer::with(|config| config.agents = agent.clone()).await;
    let mut client = server.login("ada").await;
    client.send(chat("m1", "wait")).await;
    client.until("agent_started").await;
    assert_eq!(agent.playing(), 1);
    client.send(r#"{"type":"stop_agent"}"#).await;
    let frames = client.until("agent_error").await;
    assert_eq!(kinds(&frames), ["agent_stopped", "agent_error"]);
    assert_eq!(frames[1]["error_code"], "CANCELLED");
    assert_eq!(agent.playing(), 0);
}

#[tokio::test]
async fn a_reconnect_with_its_cursor_gets_the_rest() {
    let server = five().await;
    let mut client = server.login("ada").await;
    client.send(chat("m1", "hello")).await;
    let frames = client.until("agent_completed").await;
    let cursor = frames[1]["cursor"].as_u64().unwrap();
    drop(client);
    server.empty().await;
    let mut client = server.login_with("ada", &format!("?resume={cursor}")).await;
    let replayed = client.until("agent_completed").await;
    assert_eq!(kinds(&replayed), FIVE[2..]);
    assert!(replayed.iter().all(|frame| frame["recovered"] == true));
}

#[tokio::test]
async fn users_do_not_see_each_other() {
    let server = five().await;
    let (mut ada, mut bob) = (server.login("ada").await, server.login("bob").await);
    ada.send(chat("m1", "from_ada")).await;
    ada.until("agent_completed").await;
    bob.send(r#"{"type":"ping"}"#).await;
    assert_eq!(bob.json().await["type"], "pong");
}
