//! A node of several, whose store is the test.

use router::{
    AgentEvent, ClusterConfig, Config, ConnId, Connect, Effect, Input, RunRequest, Ticket,
    store::{
        Admitted, Answer, Appended, Attached, Nodes, Op, Renewed, Request, Standing, Stored, TakenRun,
        Trouble, Way,
    },
};

use crate::harness::World;

/// Answers what does not matter as a store that nobody else uses would, and keeps the rest for the test.
struct Node {
    world: World,
    asked: Vec<Request>,
    /// The user's last cursor.
    cur: u64,
    /// How the runs that it renews stand, and how many runs of the user nobody owns.
    standing: Standing,
    expired: u32,
}

impl Node {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let world = World::new(Config { cluster: Some(ClusterConfig::default()), ..config });
        let mut node = Self { world, asked: Vec::new(), cur: 0, standing: Standing::Held, expired: 0 };
        node.input(Input::Store(Way::Up));
        node.input(Input::Store(Way::Listening));
        // So long a node watches before it takes anything over.
        node.wait(7_000_000);
        node
    }

    fn connect(&mut self) -> ConnId {
        let conn = self.world.connect_with(Connect::new(Ticket(1), "ada")).expect("accepted");
        self.settle();
        conn
    }

    fn say(&mut self, conn: ConnId) {
        let text = r#"{"type":"user_message","message_id":"m1","payload":{"content":"hello"}}"#;
        self.input(Input::Text { conn, text });
    }

    fn input(&mut self, input: Input<'_>) {
        self.world.input(input);
        self.settle();
    }

    fn wait(&mut self, us: u64) {
        for _ in 0..us / 100_000 {
            self.world.wait(100_000);
            self.settle();
        }
    }

    fn settle(&mut self) {
        while !self.world.other.is_empty() {
            for effect in std::mem::take(&mut self.world.other) {
                let Effect::Store(request) = effect else { continue };
                match self.usual(&request.op) {
                    Some(answer) => self.tell(&request, Ok(answer)),
                    None => self.asked.push(*request),
                }
            }
        }
    }

    fn usual(&self, op: &Op) -> Option<Answer> {
        Some(match op {
            Op::Attach { from, .. } => {
                let from = from.unwrap_or_default();
                Answer::Attached(Attached {
                    first: 1,
                    cur: self.cur.max(from),
                    acked: 0,
                    from,
                    upto: self.cur.max(from),
                    events: Vec::new(),
                    expired_runs: self.expired,
                })
            }
            Op::Renew(renew) => Answer::Renewed(Renewed {
                cur: self.cur,
                expired_runs: self.expired,
                runs: vec![self.standing; renew.runs.len()],
            }),
            Op::Heartbeat { .. } => Answer::Nodes(Nodes { alive: 1, rank: 0, dead: Vec::new() }),
            Op::Hold { .. } => Answer::Holding,
            Op::Acknowledge { cursor, .. } => Answer::Acknowledged { acked: *cursor },
            _ => return None,
        })
    }

    fn tell(&mut self, request: &Request, answer: Result<Answer, Trouble>) {
        self.world.input(Input::Stored(&Stored { id: request.id, answer }));
    }

    /// The oldest request of that name.
    fn request(&mut self, name: &str) -> Request {
        let place = self.asked.iter().position(|request| request.op.name() == name);
        self.asked.remove(place.unwrap_or_else(|| panic!("no {name} among {:?}", self.asked)))
    }

    fn answer(&mut self, name: &str, answer: Answer) -> Request {
        let request = self.request(name);
        self.tell(&request, Ok(answer));
        self.settle();
        request
    }

    /// Meets a run that nobody owns, and takes it over.
    fn take(&mut self, run: TakenRun) {
        self.expired = 1;
        self.wait(1_000_000);
        self.expired = 0;
        self.answer("take_over", Answer::TakenOver(vec![run]));
    }

    fn agent(&mut self, run: &RunRequest, event: AgentEvent<'_>) {
        self.input(Input::Agent { run: run.run, event });
    }
}

/// First number, epoch and how many, of an append.
fn append(request: &Request) -> (u64, u64, usize) {
    let Op::Append(append) = &request.op else { panic!("an append: {request:?}") };
    (append.first_seq, append.epoch, append.frames.len())
}

#[test]
fn a_run_that_another_node_had_meanwhile_does_not_go_on_from_what_this_one_knew() {
    let mut node = Node::new();
    let conn = node.connect();
    node.say(conn);
    let admit = node.request("admit");
    let Op::Admit(asked) = &admit.op else { panic!("an admission: {admit:?}") };
    // The answer is lost. Another node takes the run over, gets six events into the log, and dies: this one is next.
    node.take(TakenRun { run: asked.run.clone(), epoch: 3, seq: 6, note: asked.note.clone() });
    let end = node.request("append");
    assert_eq!(append(&end), (7, 3, 1), "it is ended behind what the other one said");
    let known = Admitted::Known { run: asked.run.clone(), epoch: 3, open: true, mine: true };
    node.tell(&admit, Ok(Answer::Admitted(known)));
    node.settle();
    assert!(node.world.runs.is_empty(), "and not begun: {:?}", node.world.runs);
    let cluster = node.world.router.stats().cluster;
    assert_eq!((cluster.fenced, cluster.run_lost, cluster.in_doubt), (1, 1, 0));
}

#[test]
fn a_run_that_is_taken_over_from_itself_goes_on_under_its_new_epoch() {
    let mut node = Node::new();
    let conn = node.connect();
    node.say(conn);
    node.answer("admit", Answer::Admitted(Admitted::New));
    let run = node.world.runs[0].clone();
    node.take(TakenRun { run: run.run_id().into(), epoch: 2, seq: 0, note: "".into() });
    node.agent(&run, AgentEvent::Started { agent: "worker", task: "" });
    assert_eq!(append(&node.request("append")), (1, 2, 1));
    assert_eq!(node.world.router.stats().cluster.fenced, 0);
}

#[test]
fn an_append_that_was_taken_back_is_not_made_again_under_its_old_numbers() {
    let mut node = Node::new();
    let conn = node.connect();
    node.say(conn);
    node.answer("admit", Answer::Admitted(Admitted::New));
    let run = node.world.runs[0].clone();
    node.agent(&run, AgentEvent::Started { agent: "worker", task: "" });
    node.cur = 1;
    node.answer("append", Answer::Appended(Appended::Logged { first: 1 }));
    node.agent(&run, AgentEvent::Thinking { reasoning: "hm", step: None });
    let doubted = node.request("append");
    assert_eq!(append(&doubted), (2, 1, 1));
    // The store has lost its tail, and the run with it, before anybody knows what became of the second event.
    node.standing = Standing::NoRun;
    node.wait(1_000_000);
    node.standing = Standing::Held;
    node.answer("admit", Answer::Admitted(Admitted::New));
    assert_eq!(append(&node.request("append")), (1, 1, 1), "what is left follows what the store has");
    node.tell(&doubted, Err(Trouble::InDoubt));
    node.wait(1_000_000);
    assert_eq!(node.asked, [], "under its old number it would be another event");
}

#[test]
fn runs_that_are_taken_over_come_on_top_of_the_limit() {
    let mut node = Node::with(Config { runs_per_user_max: 1, ..Config::default() });
    let conn = node.connect();
    node.say(conn);
    let admit = node.request("admit");
    let Op::Admit(asked) = &admit.op else { panic!("an admission: {admit:?}") };
    node.take(TakenRun { run: "run-n7-1".into(), epoch: 2, seq: 0, note: asked.note.clone() });
    assert_eq!(node.world.runs.len(), 1, "the store has accepted it, and nobody else does it");
    assert_eq!(node.world.router.stats().runs.open, 2);
}

#[test]
fn who_ends_a_run_tool_by_tool_leaves_word_of_what_is_left_to_close() {
    let mut node = Node::new();
    node.connect();
    let note = r#"{"v":1,"thread":"t","request":"m","tier":"free","agent":"a","open":[["c1","search"],["c2","search"]]}"#;
    node.take(TakenRun { run: "run-n7-1".into(), epoch: 2, seq: 4, note: note.into() });
    let mut left = Vec::new();
    for request in std::mem::take(&mut node.asked) {
        let Op::Append(append) = request.op else { panic!("an append") };
        left.push(
            append.note.map(|note| String::from_utf8_lossy(&note).contains(r#""open":[["c2","search"]]"#)),
        );
    }
    assert_eq!(left, [Some(true), Some(false), None], "one tool, no tool, no run");
}
