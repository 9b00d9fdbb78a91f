//! What the connections to the store do when something is wrong with it.

use std::collections::BTreeSet;

use router::store::{Admit, Admitted, Answer, Append, Appended, Away, Node, Op, Renew, Standing, Trouble};
use router_server::store::{Durability, Lapse, StoreConfig, durability};

use crate::{node::Connected, server::Server};

fn node() -> Node {
    Node::new("n1#a").expect("a name")
}

fn admit(run: &str) -> Op {
    Op::Admit(Admit {
        user: "ada".into(),
        node: node(),
        run: run.into(),
        message_id: Some(run.into()),
        note: "hello".into(),
    })
}

fn append(run: &str, first_seq: u64) -> Op {
    Op::Append(Append {
        user: "ada".into(),
        node: node(),
        run: run.into(),
        epoch: 1,
        first_seq,
        frames: vec!["{}".into()],
        note: None,
        ends: false,
    })
}

fn renew(run: &str) -> Op {
    let runs = vec![(run.into(), 1)];
    Op::Renew(Renew { user: "ada".into(), node: node(), attached: true, runs })
}

fn new() -> Result<Answer, Trouble> {
    Ok(Answer::Admitted(Admitted::New))
}

fn away(away: Away) -> Result<Answer, Trouble> {
    Err(Trouble::Unavailable(away))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_take_effect_in_their_order_however_many_are_on_their_way() {
    let server = Server::start(&[]);
    let mut node = Connected::new(StoreConfig::new(server.url()), "n1#a").await;
    assert_eq!(node.call(0, admit("r")).await, new());
    for seq in 1..=10_000 {
        node.ask(seq, append("r", seq));
    }
    node.until(|node| node.answers.len() == 10_000).await;
    for (n, stored) in (1..).zip(&node.answers) {
        assert_eq!(stored.id.0, n);
        assert_eq!(stored.answer, Ok(Answer::Appended(Appended::Logged { first: n })), "event {n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_allowed_are_turned_away_and_not_carried_out() {
    let server = Server::start(&[]);
    let config = StoreConfig { requests_max: 8, ..StoreConfig::new(server.url()) };
    let mut node = Connected::new(config, "n1#a").await;
    assert_eq!(node.call(0, admit("r")).await, new());
    for seq in 1..=1_000 {
        node.ask(seq, renew("r"));
    }
    node.until(|node| node.answers.len() == 1_000).await;
    let crowded = node.answers.iter().filter(|stored| stored.answer == away(Away::Crowded)).count();
    assert!((1..1_000).contains(&crowded), "{crowded}");
    let ids: BTreeSet<u64> = node.answers.iter().map(|stored| stored.id.0).collect();
    assert_eq!(ids.len(), 1_000, "one answer each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_the_scripts_learns_them_again_unnoticed() {
    let server = Server::start(&[]);
    let mut node = Connected::new(StoreConfig::new(server.url()), "n1#a").await;
    assert_eq!(node.call(1, admit("r")).await, new());
    assert_eq!(server.command(&["SCRIPT", "FLUSH"]), "+OK\r\n");
    for n in 0..5 {
        node.ask(10 + n, admit(&format!("r{n}")));
    }
    node.answers.clear();
    node.until(|node| node.answers.len() == 5).await;
    assert!(node.answers.iter().all(|stored| stored.answer == new()), "{:?}", node.answers);
    assert_eq!(node.call(2, append("r", 1)).await, Ok(Answer::Appended(Appended::Logged { first: 1 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_leaves_doubt_and_then_refusals_until_it_is_back() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut node = Connected::new(StoreConfig::new(server.url()), "n1#a").await;
    assert_eq!(node.call(1, admit("r")).await, new());
    // It is stopped, so that what is asked now is on its way, and then it dies.
    assert_eq!(server.command(&["CLIENT", "PAUSE", "60000", "ALL"]), "+OK\r\n");
    node.answers.clear();
    for seq in 1..=50 {
        node.ask(100 + seq, append("r", seq));
    }
    tokio::task::yield_now().await;
    server.kill();
    node.until(|node| node.answers.len() == 50 && !node.up && !node.listening).await;
    let undone = [Err(Trouble::InDoubt), away(Away::Down)];
    assert!(node.answers.iter().all(|stored| undone.contains(&stored.answer)), "{:?}", node.answers);
    assert_eq!(node.call(2, append("r", 1)).await, away(Away::Down));

    server.restart(&[]);
    node.until(|node| node.up && node.listening).await;
    let again = node.call(3, admit("r")).await;
    let known = Admitted::Known { run: "r".into(), epoch: 1, open: true, mine: true };
    assert_eq!(again, Ok(Answer::Admitted(known)), "what was accepted is there");
    assert_eq!(node.call(101, append("r", 1)).await, Ok(Answer::Appended(Appended::Logged { first: 1 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_given_up_and_what_it_owes_is_in_doubt() {
    let server = Server::start(&[]);
    let silence_timeout = std::time::Duration::from_millis(200);
    let config = StoreConfig { silence_timeout, ..StoreConfig::new(server.url()) };
    let mut node = Connected::new(config, "n1#a").await;
    assert_eq!(server.command(&["CLIENT", "PAUSE", "1500", "ALL"]), "+OK\r\n");
    assert_eq!(node.call(1, admit("r")).await, Err(Trouble::InDoubt));
    node.until(|node| !node.up).await;
    // The same again, until it is answered: now it is known whether it was carried out, and it was not carried out twice.
    let answer = loop {
        match node.call(1, admit("r")).await {
            Ok(answer) => break answer,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    let known = Answer::Admitted(Admitted::Known { run: "r".into(), epoch: 1, open: true, mine: true });
    assert!(answer == Answer::Admitted(Admitted::New) || answer == known, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_memory_refuses_what_needs_room_and_lets_leases_go_on() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]);
    let mut node = Connected::new(StoreConfig::new(server.url()), "n1#a").await;
    assert_eq!(node.call(1, admit("r")).await, new());
    assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "1"]), "+OK\r\n");
    assert_eq!(node.call(2, admit("s")).await, away(Away::Full));
    assert_eq!(node.call(3, append("r", 1)).await, away(Away::Full));
    let renewed = node.call(4, renew("r")).await;
    assert!(
        matches!(&renewed, Ok(Answer::Renewed(renewed)) if renewed.runs == [Standing::Held]),
        "{renewed:?}"
    );
    assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "0"]), "+OK\r\n");
    assert_eq!(node.call(5, admit("s")).await, new(), "the refusal left nothing behind");
    assert_eq!(node.call(3, append("r", 1)).await, Ok(Answer::Appended(Appended::Logged { first: 1 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_and_a_busy_server_refuse_and_it_is_told_which() {
    let server = Server::start(&["--busy-reply-threshold", "1"]);
    let mut node = Connected::new(StoreConfig::new(server.url()), "n1#a").await;
    assert_eq!(server.command(&["REPLICAOF", "127.0.0.1", "1"]), "+OK\r\n");
    assert_eq!(node.call(1, admit("r")).await, away(Away::ReadOnly));
    assert_eq!(server.command(&["REPLICAOF", "NO", "ONE"]), "+OK\r\n");
    assert_eq!(node.call(2, admit("r")).await, new());

    let url = server.url();
    let endless = std::thread::spawn(move || {
        let client = std::net::TcpStream::connect(url.trim_start_matches("redis://").trim_end_matches('/'));
        let mut client = client.expect("the server listens");
        let text = "*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n";
        std::io::Write::write_all(&mut client, text.as_bytes()).expect("sent");
        let mut reply = [0; 16];
        std::io::Read::read(&mut client, &mut reply).expect("an answer when it is killed")
    });
    // Until the script has begun, requests are carried out.
    let mut id = 10;
    loop {
        id += 1;
        match node.call(id, renew("r")).await {
            Err(Trouble::Unavailable(Away::Busy)) => break,
            answer => assert!(answer.is_ok(), "{answer:?}"),
        }
    }
    assert_eq!(server.command(&["SCRIPT", "KILL"]), "+OK\r\n");
    assert!(endless.join().expect("it ended") > 0);
    assert!(node.call(3, renew("r")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_reads_its_data_is_not_there_yet() {
    let mut server = Server::start(&["--loading-process-events-interval-bytes", "1024"]);
    assert_eq!(server.command(&["DEBUG", "POPULATE", "3000", "key", "100"]), "+OK\r\n");
    assert_eq!(server.command(&["SAVE"]), "+OK\r\n");
    server.restart(&["--key-load-delay", "1000"]);
    let mut node = Connected::start(StoreConfig::new(server.url()), "n1#a");
    let mut seen = BTreeSet::new();
    while !node.up {
        match node.call(1, admit("r")).await {
            Err(Trouble::Unavailable(away)) => seen.insert(away),
            other => {
                assert!(other == new() && node.up, "{other:?}");
                break;
            }
        };
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(seen.contains(&Away::Loading), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_cut_off_says_so_and_listens_again() {
    let server = Server::start(&[]);
    let mut node = Connected::new(StoreConfig::new(server.url()), "n1#a").await;
    assert_eq!(server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]), ":1\r\n");
    node.until(|node| !node.listening).await;
    node.until(|node| node.listening).await;
    assert!(node.up, "the other connection lives");
    let attach = Op::Attach { user: "ada".into(), node: self::node(), from: None };
    assert!(node.call(1, attach).await.is_ok());
    assert_eq!(node.call(2, admit("r")).await, new());
    // Its own it learns by the answer, another's by a wake.
    assert!(node.call(3, append("r", 1)).await.is_ok());
    let Op::Append(mut of_another) = append("r", 2) else { unreachable!("an append") };
    of_another.node = Node::new("n2#b").expect("a name");
    assert!(node.call(4, Op::Append(of_another)).await.is_ok());
    node.until(|node| !node.wakes.is_empty()).await;
    assert_eq!((&*node.wakes[0].user, node.wakes[0].events[0].cursor), ("ada", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn durability_is_strict_with_the_right_settings_and_says_what_is_missing() {
    let strict = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    assert_eq!(durability(&strict.url()).await.expect("it answers"), Durability::Strict);
    let relaxed = Server::start(&["--maxmemory-policy", "allkeys-lru", "--no-appendfsync-on-rewrite", "yes"]);
    let lapses = vec![Lapse::NoLog, Lapse::LateSync, Lapse::NoSyncOnRewrite, Lapse::Eviction];
    assert_eq!(durability(&relaxed.url()).await.expect("it answers"), Durability::Relaxed(lapses));
    let silent = Server::start(&["--rename-command", "CONFIG", "", "--appendonly", "yes"]);
    let unknown = Durability::Relaxed(vec![Lapse::Unknown]);
    assert_eq!(durability(&silent.url()).await.expect("it answers"), unknown);
}
