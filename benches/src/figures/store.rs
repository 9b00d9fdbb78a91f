//! The shared store: events logged and delivered through sockets, against the append script alone.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, StreamExt as _};
use reports::Unit;
use router::{
    Tier,
    store::{Admit, Append, Node as Name, Op, OpId, Request},
};
use router_server::{
    auth::{DEVELOPMENT_KEY, issue},
    store::{StoreConfig, packed},
};
use simulator::{
    dialect::{Dialect as _, FrameKind, Goldenpath},
    plan::Plan,
    scenario::Scenario,
};
use tokio::{runtime::Builder, task::LocalSet, time::sleep};
use tokio_tungstenite::tungstenite::Message;

use super::{Goal, Row, rounds::Spread};
use crate::{
    load::{Address, Target},
    stage::{Node, Redis, StageError},
};

/// Users, each with one connection and one run at a time.
const USERS: u32 = 1_000;
/// Rounds: the script alone, then all of it.
const ROUNDS: usize = 5;
/// Appends of a round of the script alone, and how many of them are on their way at once: as few as it is agreed, and one of
/// every user.
const APPENDS: usize = 20_000;
const DEPTH: usize = 64;
const DEEP: usize = 1_000;
/// How long events are counted in a round, and how long they flow before.
const COUNTED: Duration = Duration::from_secs(4);
const WARM_UP: Duration = Duration::from_secs(2);
/// How often it is looked how many events are on their way into the log.
const LOOK: Duration = Duration::from_millis(200);
/// How long users may take to connect, or runs to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long tokens live.
const TOKEN: Duration = Duration::from_secs(3_600);

/// Programs that the measurement starts.
#[derive(Clone, Debug)]
pub struct StorePrograms {
    /// The one whose `serve` is measured.
    pub program: PathBuf,
    /// `redis-server`.
    pub redis_server: PathBuf,
    /// `redis-benchmark`.
    pub redis_benchmark: PathBuf,
}

/// What users count, all of them together.
#[derive(Debug, Default)]
struct Counted {
    /// Whether messages are sent.
    flows: AtomicBool,
    over: AtomicBool,
    connected: AtomicU64,
    /// Runs under way.
    open: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
    /// What came instead of the next event, first of all: nothing may.
    broken: Mutex<Option<String>>,
}

/// Measures them: takes about a minute.
///
/// # Errors
/// The stage could not be set, or something else happened than a stream of events.
pub fn store(programs: &StorePrograms, scenario: &Scenario) -> Result<Vec<Row>, StageError> {
    let redis = Redis::start(&programs.redis_server, &Redis::STRICT)?;
    let url = redis.url();
    let args = ["--development-key", "--redis", &url, "--scenario", &scenario.name];
    let node = Node::start(&programs.program, &args)?;
    let users = Users::gather(&node, scenario)?;
    users.flow(&node)?;
    let frame =
        users.counted.bytes.load(Ordering::SeqCst) / users.counted.events.load(Ordering::SeqCst).max(1);
    let mut script = Script::begin(&redis, frame as usize)?;
    let [mut sets, mut appends, mut deep, mut events, mut waiting, mut times] =
        [const { Vec::<f64>::new() }; 6];
    for _ in 0..ROUNDS {
        sets.push(benchmark(programs, &redis)?);
        appends.push(script.round(DEPTH)?);
        deep.push(script.round(DEEP)?);
        let flow = users.flow(&node)?;
        events.push(flow.rate);
        waiting.extend(flow.waiting);
        times.extend(flow.node_us);
    }
    users.leave()?;
    let against =
        |appends: &[f64]| Spread::of(events.iter().zip(appends).map(|(ours, theirs)| ours / theirs));
    let (ratios, deep_ratios) = (against(&appends), against(&deep));
    let [sets, appends, deep, events, waiting, times] =
        [sets, appends, deep, events, waiting, times].map(|values| Spread::of(values.into_iter()));
    let told = |what: &str, spread: Spread| {
        format!("{what} min {:.0}, median {:.0}, max {:.0}", spread.min, spread.median, spread.max)
    };
    let about = format!(
        "{USERS} users on one node, `appendfsync always`, frames of {frame} bytes; {ROUNDS} rounds of {} s; {}",
        COUNTED.as_secs(),
        told("events on their way into the log", waiting)
    );
    Ok(vec![
        Row {
            key: "store_events",
            label: "events logged and delivered through sockets".to_owned(),
            value: events.median,
            unit: Unit::PerSecond,
            goal: Goal::Fact,
            detail: format!("{}; {about}", told("per second", events)),
        },
        Row {
            key: "store_share",
            label: "the same, against the append script alone".to_owned(),
            value: ratios.median,
            unit: Unit::Ratio,
            goal: Goal::AtLeast(0.25),
            detail: format!(
                "min {:.2}, max {:.2}; {}, one event each, {DEPTH} on their way on one connection; {}, same depth, by redis-benchmark",
                ratios.min,
                ratios.max,
                told("appends per second", appends),
                told("SET per second", sets)
            ),
        },
        Row {
            key: "store_share_deep",
            label: format!("the same, against the script with {DEEP} appends on their way"),
            value: deep_ratios.median,
            unit: Unit::Ratio,
            goal: Goal::Fact,
            detail: format!(
                "min {:.2}, max {:.2}; {}",
                deep_ratios.min,
                deep_ratios.max,
                told("appends per second", deep)
            ),
        },
        Row {
            key: "store_node_time",
            label: "processor time of the node per event logged and delivered".to_owned(),
            value: times.median,
            unit: Unit::Microseconds,
            goal: Goal::Fact,
            detail: format!("min {:.1}, max {:.1} us; all of its threads", times.min, times.max),
        },
    ])
}

/// A round of events.
struct Flow {
    /// How many arrived, per second.
    rate: f64,
    /// How many were on their way into the log, now and then.
    waiting: Vec<f64>,
    /// What one cost the node, microseconds of a processor.
    node_us: Option<f64>,
}

/// Users who let their agents talk.
struct Users {
    counted: Arc<Counted>,
    thread: thread::JoinHandle<()>,
}

impl Users {
    fn gather(node: &Node, scenario: &Scenario) -> Result<Self, StageError> {
        let address = Address::resolve(&Target::new(node.url()), "/ws");
        let address = address.map_err(|error| StageError::new("a node", error))?;
        let counted = Arc::new(Counted::default());
        let plan = Plan::new(scenario.clone(), scenario.seed);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StageError::new("a runtime", error))?;
        let shared = Arc::clone(&counted);
        let work = move || {
            let mut tabs = tokio::task::JoinSet::new();
            let crowd = async move {
                for index in 0..USERS {
                    let user = plan.user_id(index);
                    let token = issue(DEVELOPMENT_KEY, &user, Tier::Free, TOKEN);
                    let canary = plan.canary(index);
                    tabs.spawn_local(be(address.clone(), token, canary, Arc::clone(&shared)));
                }
                while tabs.join_next().await.is_some() {}
            };
            LocalSet::new().block_on(&runtime, crowd);
        };
        let thread = thread::Builder::new().name("users".to_owned()).spawn(work);
        let users = Self { counted, thread: thread.map_err(|error| StageError::new("a thread", error))? };
        users
            .until("users connect", |counted| counted.connected.load(Ordering::SeqCst) == u64::from(USERS))?;
        Ok(users)
    }

    /// Lets events flow, and counts them.
    fn flow(&self, node: &Node) -> Result<Flow, StageError> {
        self.counted.flows.store(true, Ordering::SeqCst);
        thread::sleep(WARM_UP);
        let events = || self.counted.events.load(Ordering::SeqCst);
        let (before, worked, begin) = (events(), node.processor_time(), Instant::now());
        let mut waiting = Vec::new();
        while begin.elapsed() < COUNTED {
            thread::sleep(LOOK);
            waiting.extend(node.metric("store_events_waiting"));
        }
        let count = (events() - before) as f64;
        let rate = count / begin.elapsed().as_secs_f64();
        let worked = node.processor_time().zip(worked).map(|(now, then)| now.saturating_sub(then));
        let node_us = worked.map(|worked| worked.as_secs_f64() * 1e6 / count);
        self.counted.flows.store(false, Ordering::SeqCst);
        self.until("runs end", |counted| counted.open.load(Ordering::SeqCst) == 0)?;
        Ok(Flow { rate, waiting, node_us })
    }

    fn leave(self) -> Result<(), StageError> {
        self.counted.over.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| StageError::new("the users", "panicked"))
    }

    fn until(&self, what: &str, so: impl Fn(&Counted) -> bool) -> Result<(), StageError> {
        let begin = Instant::now();
        while !so(&self.counted) {
            let broken = self.counted.broken.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let late = (begin.elapsed() > PATIENCE).then(|| "not in time".to_owned());
            if let Some(why) = broken.or(late) {
                return Err(StageError::new(what, why));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

async fn be(address: Address, token: String, canary: String, counted: Arc<Counted>) {
    if let Err(why) = stream(address, token, canary, &counted).await {
        counted.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }
}

/// One user, from connect to leave.
///
/// # Errors
/// Anything else came than the next event.
async fn stream(address: Address, token: String, canary: String, counted: &Counted) -> Result<(), String> {
    let mut link = address.open(&token, "").await?;
    let (mut cursor, mut welcome) = (0, false);
    for message in 0_u32.. {
        while welcome && !counted.flows.load(Ordering::Relaxed) {
            if counted.over.load(Ordering::Relaxed) {
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
        if welcome {
            counted.open.fetch_add(1, Ordering::SeqCst);
            let text = format!(
                r#"{{"type":"user_message","payload":{{"content":"{canary}"}},"message_id":"m{message}"}}"#
            );
            link.send(Message::text(text)).await.map_err(|error| error.to_string())?;
        }
        loop {
            let next = link.next().await.ok_or("the connection ended")?;
            let Message::Text(text) = next.map_err(|error| error.to_string())? else { continue };
            let frame = Goldenpath.decode(&text).map_err(|error| error.to_string())?;
            match frame.kind {
                FrameKind::Welcome { cursor: Some(_) } => {
                    welcome = true;
                    counted.connected.fetch_add(1, Ordering::SeqCst);
                    break;
                }
                FrameKind::Event(event) => {
                    if frame.cursor != cursor + 1 {
                        return Err(format!("cursor {} follows {cursor}", frame.cursor));
                    }
                    cursor = frame.cursor;
                    counted.events.fetch_add(1, Ordering::Relaxed);
                    counted.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
                    if event.is_terminal() {
                        counted.open.fetch_sub(1, Ordering::SeqCst);
                        break;
                    }
                }
                // The store took longer than senders are left waiting: the message stays asked for, and its run comes.
                FrameKind::Error { code: "UNKNOWN_OUTCOME" } => {}
                FrameKind::Welcome { cursor: None } | FrameKind::Heartbeat => {}
                FrameKind::Pong
                | FrameKind::HeartbeatAck
                | FrameKind::Ack { .. }
                | FrameKind::Error { .. }
                | FrameKind::Stopped
                | FrameKind::Gap { .. }
                | FrameKind::System
                | FrameKind::Quality
                | FrameKind::Notice { .. }
                | FrameKind::Letters
                | FrameKind::Other => return Err(format!("not an event: {text}")),
            }
        }
    }
    Ok(())
}

/// The append script alone, on users of its own: as many commands are written at once as are on their way, as
/// redis-benchmark does it.
struct Script {
    socket: BufReader<TcpStream>,
    config: StoreConfig,
    frame: Vec<u8>,
    /// The event that comes next, of every user.
    seq: u64,
}

impl Script {
    /// The server must know the scripts: a node has connected before.
    fn begin(redis: &Redis, frame_bytes: usize) -> Result<Self, StageError> {
        let socket = TcpStream::connect(redis.address()).map_err(|error| StageError::new("redis", error))?;
        let frame = vec![b'x'; frame_bytes];
        let config = StoreConfig::new(redis.url());
        let mut script = Self { socket: BufReader::new(socket), config, frame, seq: 1 };
        let admit = |user: u32| {
            Op::Admit(Admit {
                user: name(user).into(),
                node: Self::node(),
                run: "run".into(),
                message_id: None,
                note: "{}".into(),
            })
        };
        let requests: Vec<Request> =
            (0..USERS).map(|user| Request { id: OpId(1), op: admit(user) }).collect();
        for batch in requests.chunks(DEPTH) {
            script.ask(&packed(&script.config, batch), batch.len(), "$3\r\nNEW", 3)?;
        }
        Ok(script)
    }

    fn node() -> Name {
        Name::new("bench").expect("a short name")
    }

    /// Appends per second, with so many on their way.
    fn round(&mut self, depth: usize) -> Result<f64, StageError> {
        let append = |n: usize| Append {
            user: name(n as u32 % USERS).into(),
            node: Self::node(),
            run: "run".into(),
            epoch: 1,
            first_seq: self.seq + (n as u64) / u64::from(USERS),
            frames: vec![self.frame.clone().into()],
            note: None,
            ends: false,
        };
        let requests: Vec<Request> =
            (0..APPENDS).map(|n| Request { id: OpId(1), op: Op::Append(append(n)) }).collect();
        let batches: Vec<_> =
            requests.chunks(depth).map(|batch| (packed(&self.config, batch), batch.len())).collect();
        let begin = Instant::now();
        for (text, count) in &batches {
            self.ask(text, *count, "LOGGED", 4)?;
        }
        self.seq += APPENDS as u64 / u64::from(USERS);
        Ok(APPENDS as f64 / begin.elapsed().as_secs_f64())
    }

    /// Writes some commands, and reads as many replies: so many lines each, one of which says that.
    fn ask(&mut self, text: &[u8], count: usize, says: &str, lines: usize) -> Result<(), StageError> {
        let failed = |error| StageError::new("the append script", error);
        self.socket.get_mut().write_all(text).map_err(failed)?;
        let mut replies = String::new();
        for _ in 0..count * lines {
            self.socket.read_line(&mut replies).map_err(failed)?;
        }
        if replies.matches(says).count() == count {
            return Ok(());
        }
        let other = replies.lines().take(4).collect::<Vec<_>>().join(" ");
        Err(StageError::new("the append script", format!("expected {says}, found {other}")))
    }
}

fn name(user: u32) -> String {
    format!("bench-{user}")
}

/// `SET` per second, by the program that everybody knows.
fn benchmark(programs: &StorePrograms, redis: &Redis) -> Result<f64, StageError> {
    let what = programs.redis_benchmark.display().to_string();
    let failed = |why: &dyn std::fmt::Display| StageError::new(&what, why);
    let port = redis.address().port().to_string();
    let depth = DEPTH.to_string();
    let output = Command::new(&programs.redis_benchmark)
        .args(["-p", &port, "-t", "set", "-c", "1", "-P", &depth, "-n", "100000", "-d", "150", "-r", "1000"])
        .arg("--csv")
        .output()
        .map_err(|error| failed(&error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("\"SET\",\"")?.split('"').next()?.parse().ok());
    rate.ok_or_else(|| failed(&format!("expected a line of SET, found {text}")))
}
