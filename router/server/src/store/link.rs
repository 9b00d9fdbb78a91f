//! The connection that carries the scripts: requests in order, answers as they come, nothing twice.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use futures_util::{FutureExt, StreamExt, future::poll_immediate, stream::FuturesUnordered};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value,
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

/// Replies to come, each under the ticket of its flight.
type Replies = FuturesUnordered<Pin<Box<dyn Future<Output = (u64, RedisResult<Value>)> + Send>>>;

/// A connection, and what is on its way on it.
struct Underway {
    connection: MultiplexedConnection,
    replies: Replies,
    flights: BTreeMap<u64, Flight>,
    tickets: u64,
    /// When a reply came last, or the first one began to be owed.
    heard: Moment,
}

/// A request on its way.
struct Flight {
    id: OpId,
    op: Op,
    cmd: Cmd,
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
        let (replies, heard) = (Replies::new(), Moment::now());
        let mut underway = Underway { connection, replies, flights: BTreeMap::new(), tickets: 0, heard };
        let over = loop {
            let (room, owed) =
                (underway.flights.len() < self.config.requests_max, !underway.flights.is_empty());
            tokio::select! {
                biased;
                Some((ticket, reply)) = underway.replies.next(), if owed => {
                    if self.landed(&mut underway, ticket, reply) == Verdict::Broken {
                        break false;
                    }
                }
                request = self.inbox.recv(), if room => match request {
                    Some((request, now)) => {
                        let cmd = command(&self.scripts, &request, now);
                        let flight = Flight { id: request.id, op: request.op, cmd, whole: false };
                        if let Some((ticket, reply)) = underway.depart(flight)
                            && self.landed(&mut underway, ticket, reply) == Verdict::Broken
                        {
                            break false;
                        }
                    }
                    None => break true,
                },
                () = sleep_until(underway.heard + self.config.silence_timeout), if owed => break false,
            }
        };
        // Of what came before the end the answer is known; of the rest nobody knows.
        while let Some(Some(Some((ticket, reply)))) = poll_immediate(underway.replies.next()).now_or_never() {
            if let Some(flight) = underway.flights.remove(&ticket) {
                tell(&self.events, flight.id, outcome(&flight.op, reply));
            }
        }
        for flight in underway.flights.values() {
            tell(&self.events, flight.id, Err(Trouble::InDoubt));
        }
        over
    }

    /// A reply came.
    fn landed(&self, underway: &mut Underway, ticket: u64, reply: RedisResult<Value>) -> Verdict {
        underway.heard = Moment::now();
        let Some(mut flight) = underway.flights.remove(&ticket) else { return Verdict::Good };
        if !flight.whole && is_forgotten(&reply) {
            // Not carried out. The text carries it out, and makes the server know it again.
            let script = self.scripts.of(&flight.op);
            if let Some(script) = script {
                flight.cmd = with_text(&flight.cmd, script);
                flight.whole = true;
                return match underway.depart(flight) {
                    Some((ticket, reply)) => self.landed(underway, ticket, reply),
                    None => Verdict::Good,
                };
            }
        }
        let verdict = match &reply {
            Err(error) if error.is_unrecoverable_error() => Verdict::Broken,
            Ok(_) | Err(_) => Verdict::Good,
        };
        tell(&self.events, flight.id, outcome(&flight.op, reply));
        verdict
    }

    fn tell(&self, event: StoreEvent) {
        // Whoever does not listen any more does not miss it.
        let _unheard = self.events.send(event);
    }
}

impl Underway {
    /// Sends a request behind all that were sent before. The reply comes later, or is here at once.
    fn depart(&mut self, flight: Flight) -> Option<(u64, RedisResult<Value>)> {
        if self.flights.is_empty() {
            self.heard = Moment::now();
        }
        self.tickets += 1;
        let (ticket, cmd, mut connection) = (self.tickets, flight.cmd.clone(), self.connection.clone());
        self.flights.insert(ticket, flight);
        // A first poll puts the command into the connection's queue, which has room for all of them; unconstrained,
        // because a task that is to yield would leave that to a later poll, and then the order were chance.
        let mut reply = Box::pin(unconstrained(async move {
            let reply = connection.send_packed_command(&cmd).await;
            (ticket, reply)
        }));
        match (&mut reply).now_or_never() {
            Some(reply) => Some(reply),
            None => {
                self.replies.push(reply);
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
