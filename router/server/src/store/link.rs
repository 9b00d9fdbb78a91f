//! The connection that carries the scripts: requests in order, answers as they come, nothing twice.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use futures_util::{FutureExt, StreamExt, future::poll_immediate, stream::FuturesUnordered};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};
use router::{
    Instant,
    store::{Answer, Away, Op, OpId, Request, Stored, Trouble, Way},
};
use tokio::{
    sync::mpsc,
    task::unconstrained,
    time::{Instant as Moment, sleep_until, timeout},
};

use super::{
    StoreConfig, StoreEvent, decode,
    encode::{command, with_text},
    scripts::Scripts,
};

/// The node's end of the connection that carries the scripts.
pub(super) struct Link {
    client: Client,
    config: StoreConfig,
    scripts: Scripts,
    inbox: mpsc::Receiver<(Request, Option<Instant>)>,
    events: mpsc::UnboundedSender<StoreEvent>,
}

/// Requests that go out together, if so many wait: each costs less then, and none waits for others to come.
const TOGETHER_MAX: usize = 128;

/// What came of requests that went out together.
type Landed = (u64, RedisResult<Vec<Value>>);

/// A connection, and what is on its way on it.
struct Underway {
    connection: MultiplexedConnection,
    /// Replies to come, each under the ticket of its flights.
    replies: FuturesUnordered<Pin<Box<dyn Future<Output = Landed> + Send>>>,
    flights: BTreeMap<u64, Vec<Flight>>,
    /// Requests among them.
    owed: usize,
    tickets: u64,
    /// When a reply came last, or the first one began to be owed.
    heard: Moment,
}

/// A request on its way.
struct Flight {
    request: Request,
    now: Option<Instant>,
    /// It went again with its script's text: the server had forgotten the name.
    whole: bool,
}

/// Whether a connection may be used on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Broken,
}

impl Link {
    pub(super) const fn new(
        client: Client,
        config: StoreConfig,
        scripts: Scripts,
        inbox: mpsc::Receiver<(Request, Option<Instant>)>,
        events: mpsc::UnboundedSender<StoreEvent>,
    ) -> Self {
        Self { client, config, scripts, inbox, events }
    }

    /// Connects, serves, connects again; until nobody asks any more.
    pub(super) async fn run(mut self) {
        let mut pause = self.config.reconnect_first;
        loop {
            let away = match self.connect().await {
                Ok(connection) => {
                    pause = self.config.reconnect_first;
                    self.tell(StoreEvent::Way(Way::Up));
                    let over = self.serve(connection).await;
                    self.tell(StoreEvent::Way(Way::Down));
                    if over {
                        return;
                    }
                    Away::Down
                }
                Err(away) => away,
            };
            if self.refuse(away, pause).await {
                return;
            }
            pause = (pause * 2).min(self.config.reconnect_max);
        }
    }

    /// A connection to a server that knows all scripts. Requests that come meanwhile are refused.
    async fn connect(&mut self) -> Result<MultiplexedConnection, Away> {
        // The core has patience of its own, and a late answer is worth having: no timeout per request.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.config.connect_timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(self.config.requests_max);
        let (client, scripts) = (&self.client, &self.scripts);
        let made = async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            for script in scripts.all() {
                redis::cmd("SCRIPT").arg("LOAD").arg(&script.text).exec_async(&mut connection).await?;
            }
            RedisResult::Ok(connection)
        };
        let mut made = std::pin::pin!(timeout(self.config.connect_timeout, made));
        loop {
            tokio::select! {
                biased;
                made = &mut made => return match made {
                    Ok(Ok(connection)) => Ok(connection),
                    Ok(Err(error)) => Err(why(&error)),
                    Err(_) => Err(Away::Down),
                },
                Some((request, _)) = self.inbox.recv() => {
                    tell(&self.events, request.id, Err(Trouble::Unavailable(Away::Down)));
                }
            }
        }
    }

    /// Refuses what is asked during a pause. `true`: nobody asks any more.
    async fn refuse(&mut self, away: Away, pause: Duration) -> bool {
        let until = Moment::now() + pause;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(until) => return false,
                request = self.inbox.recv() => match request {
                    Some((request, _)) => {
                        tell(&self.events, request.id, Err(Trouble::Unavailable(away)));
                    }
                    None => return true,
                },
            }
        }
    }

    /// Carries requests until the connection breaks (`false`), or nobody asks any more (`true`).
    async fn serve(&mut self, connection: MultiplexedConnection) -> bool {
        let (replies, flights, heard) = (FuturesUnordered::new(), BTreeMap::new(), Moment::now());
        let mut underway = Underway { connection, replies, flights, owed: 0, tickets: 0, heard };
        let mut asked = Vec::new();
        let over = loop {
            let (room, owes) = (self.config.requests_max - underway.owed, underway.owed > 0);
            tokio::select! {
                biased;
                Some(landed) = underway.replies.next(), if owes => {
                    if self.landed(&mut underway, landed) == Verdict::Broken {
                        break false;
                    }
                }
                count = self.inbox.recv_many(&mut asked, room.min(TOGETHER_MAX)), if room > 0 => {
                    if count == 0 {
                        break true;
                    }
                    let flights = asked.drain(..).map(|(request, now)| Flight { request, now, whole: false });
                    if let Some(landed) = underway.depart(&self.scripts, flights.collect())
                        && self.landed(&mut underway, landed) == Verdict::Broken
                    {
                        break false;
                    }
                }
                () = sleep_until(underway.heard + self.config.silence_timeout), if owes => break false,
            }
        };
        // Of what came before the end the answer is known; of the rest nobody knows.
        while let Some(Some(Some((ticket, replies)))) = poll_immediate(underway.replies.next()).now_or_never()
        {
            let flights = underway.flights.remove(&ticket).unwrap_or_default();
            self.tell_all(flights, replies).iter().for_each(|flight| self.not_carried_out(flight));
        }
        for flight in underway.flights.values().flatten() {
            tell(&self.events, flight.request.id, Err(Trouble::InDoubt));
        }
        over
    }

    /// Replies came.
    fn landed(&self, underway: &mut Underway, (ticket, replies): Landed) -> Verdict {
        underway.heard = Moment::now();
        let flights = underway.flights.remove(&ticket).unwrap_or_default();
        underway.owed -= flights.len();
        let verdict = match &replies {
            Err(error) if error.is_unrecoverable_error() => Verdict::Broken,
            Ok(_) | Err(_) => Verdict::Good,
        };
        let forgotten = self.tell_all(flights, replies);
        if forgotten.is_empty() || verdict == Verdict::Broken {
            forgotten.iter().for_each(|flight| self.not_carried_out(flight));
            return verdict;
        }
        // Not carried out. The text carries it out, and makes the server know it again.
        match underway.depart(&self.scripts, forgotten) {
            Some(landed) => self.landed(underway, landed),
            None => Verdict::Good,
        }
    }

    /// Tells the answers, and gives back the requests whose scripts the server has forgotten.
    fn tell_all(&self, flights: Vec<Flight>, replies: RedisResult<Vec<Value>>) -> Vec<Flight> {
        let mut forgotten = Vec::new();
        let mut replies = replies.map(Vec::into_iter);
        for mut flight in flights {
            let reply = match &mut replies {
                Ok(replies) => replies.next().map_or_else(missing, Ok),
                Err(error) => Err(error.clone()),
            };
            if !flight.whole && is_forgotten(&reply) && self.scripts.of(&flight.request.op).is_some() {
                flight.whole = true;
                forgotten.push(flight);
                continue;
            }
            tell(&self.events, flight.request.id, outcome(&flight.request.op, reply));
        }
        forgotten
    }

    fn not_carried_out(&self, flight: &Flight) {
        tell(&self.events, flight.request.id, Err(Trouble::Unavailable(Away::Refused)));
    }

    fn tell(&self, event: StoreEvent) {
        // Whoever does not listen any more does not miss it.
        let _unheard = self.events.send(event);
    }
}

impl Underway {
    /// Sends requests behind all that were sent before. The replies come later, or are here at once.
    fn depart(&mut self, scripts: &Scripts, flights: Vec<Flight>) -> Option<Landed> {
        if self.owed == 0 {
            self.heard = Moment::now();
        }
        let mut pipeline = Pipeline::with_capacity(flights.len());
        for Flight { request, now, whole } in &flights {
            let cmd = command(scripts, request, *now);
            let script = scripts.of(&request.op).filter(|_| *whole);
            pipeline.add_command(match script {
                Some(script) => with_text(&cmd, script),
                None => cmd,
            });
        }
        self.tickets += 1;
        self.owed += flights.len();
        let (ticket, count, mut connection) = (self.tickets, flights.len(), self.connection.clone());
        self.flights.insert(ticket, flights);
        // A first poll puts the commands into the connection's queue, which has room for all of them; unconstrained,
        // because a task that is to yield would leave that to a later poll, and then the order were chance.
        let mut replies = Box::pin(unconstrained(async move {
            let replies = connection.send_packed_commands(&pipeline, 0, count).await;
            (ticket, replies)
        }));
        match (&mut replies).now_or_never() {
            Some(landed) => Some(landed),
            None => {
                self.replies.push(replies);
                None
            }
        }
    }
}

fn tell(events: &mpsc::UnboundedSender<StoreEvent>, id: OpId, answer: Result<Answer, Trouble>) {
    let _unheard = events.send(StoreEvent::Stored(Stored { id, answer }));
}

/// What a reply says of its operation.
fn outcome(op: &Op, reply: RedisResult<Value>) -> Result<Answer, Trouble> {
    let reply = reply.and_then(Value::extract_error).map_err(|error| decode::trouble(&error))?;
    // A script answered, and not as ours do: whether it did something, nobody knows.
    decode::answer(op, reply).ok_or(Trouble::InDoubt)
}

/// Fewer replies than commands: what became of the rest, nobody knows.
fn missing() -> RedisResult<Value> {
    Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)))
}

fn is_forgotten(reply: &RedisResult<Value>) -> bool {
    let no_script = ErrorKind::Server(ServerErrorKind::NoScript);
    match reply {
        Ok(Value::ServerError(error)) => error.kind() == Some(ServerErrorKind::NoScript),
        Ok(_) => false,
        Err(error) => error.kind() == no_script,
    }
}

/// Why a connection could not be made.
fn why(error: &RedisError) -> Away {
    match decode::trouble(error) {
        Trouble::Unavailable(away) => away,
        Trouble::InDoubt => Away::Down,
    }
}
