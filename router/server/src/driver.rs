//! Owns the router: gives it the time, carries out its effects, in order, on the right sockets.

use std::{
    collections::BTreeMap,
    collections::VecDeque,
    mem,
    sync::atomic::{AtomicU64, Ordering},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use router::{
    AgentEvent, AskRef, Audit, Authority, Close, Config, ConnId, Context, Deliver, Delivery, Effect, Effects,
    EventRef, Frame, Input, Instant, Letter, Pool, QualityAnswer, QualityNews, QueueStats, Receipt,
    ReceiptId, RedriveRefusal, Router, RunRef, Stats, Target, Ticket, ToolAnswer, ToolRequest, ToolStep,
    compat::Lent,
    handlers::{HandlerStats, Readiness},
    routes::{Dispatched, Envelope, Middleware, Record, Refused, RouteHandler},
    store::Way,
};
use serde_json::value::RawValue;
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, oneshot, watch},
};

use crate::{
    agents::{AgentBackend, RunSink},
    clock::Clock,
    deliver::Recipients,
    guard::{Guarded, guard_in},
    quality::{self, QualityBackend, QualitySink},
    server::{HandlerMaker, ServerError},
    store::{self, Durability, Store, StoreEvent},
    tools::{self, Calls, Shelf, ToolSet},
};

/// Slots of a socket's channel beyond the router's window: pings and the close.
const CONTROL_SLOTS: usize = 8;
/// What the store tells is handed in by so many at most, under one lock.
const TOLD_TOGETHER_MAX: usize = 32;

/// What a connection's task is told to write.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Frame(Frame),
    Ping,
    Close(Close),
}

/// Where the server stands; it only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    Draining,
    Drained,
}

/// What becomes of a socket that asked to be connected.
pub(crate) enum Admission {
    Accepted(Presence, mpsc::Receiver<Outgoing>),
    Refused(Frame, Close),
}

/// A connection's membership: dropping it is its one and last [`Input::Closed`], on a panic too.
pub(crate) struct Presence {
    shared: Arc<Shared>,
    conn: ConnId,
}

impl Presence {
    pub(crate) fn conn(&self) -> ConnId {
        self.conn
    }

    pub(crate) fn input(&self, input: Input<'_>) {
        self.shared.input(input);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.shared.leave(self.conn);
    }
}

/// The router and everything its effects reach, shared by all tasks.
pub(crate) struct Shared {
    node: String,
    clock: Clock,
    /// For tasks begun on a thread of the host's own.
    runtime: Handle,
    window: usize,
    agents: Arc<dyn AgentBackend>,
    tools: Shelf,
    tool_calls: AtomicU64,
    /// `None`: the embedded services answer.
    quality: Option<Arc<dyn QualityBackend>>,
    /// The store that several nodes share.
    store: Option<Store>,
    /// How durable the store said it was, if it could be asked.
    durability: Mutex<Option<Durability>>,
    timer: Notify,
    phase: watch::Sender<Phase>,
    state: Mutex<State>,
}

/// What a host brings along: who works, and what it adds to the router.
pub(crate) struct Host {
    pub(crate) agents: Arc<dyn AgentBackend>,
    pub(crate) tools: ToolSet,
    pub(crate) quality: Option<Arc<dyn QualityBackend>>,
    pub(crate) handlers: Vec<HandlerMaker>,
    pub(crate) routes: Vec<(String, Arc<dyn RouteHandler>)>,
    pub(crate) middleware: Vec<Arc<dyn Middleware>>,
}

/// What one lock guards, so that the order of effects is the order on each socket.
struct State {
    router: Router,
    /// What the embedded services have answered, to be handed in once the effects at hand are carried out.
    answers: VecDeque<(AskRef, Option<Box<RawValue>>)>,
    /// Runs whose agent could not be started, to be failed after that.
    unstarted: VecDeque<RunRef>,
    out: Effects,
    sockets: Vec<Option<Socket>>,
    open: usize,
    tickets: u64,
    joining: Option<Joining>,
    calls: Calls,
    /// What the timer sleeps for; `None` if for nothing.
    armed: Option<Instant>,
    /// The right to cross users: the host's, so it stays on this side of the wire.
    authority: Option<Arc<Authority>>,
    deliveries: u64,
    /// Who waits for which receipt.
    receipts: BTreeMap<ReceiptId, oneshot::Sender<Receipt>>,
    /// Calls of facades with the old names, by facade.
    facade_calls: BTreeMap<&'static str, u64>,
    /// What became of the dead letter that is being redriven.
    redriven: Option<Result<(), RedriveRefusal>>,
}

struct Socket {
    generation: u32,
    outbox: mpsc::Sender<Outgoing>,
}

/// The socket whose [`Input::Connect`] or [`Input::AuthFailed`] is being handled.
struct Joining {
    ticket: Ticket,
    outbox: mpsc::Sender<Outgoing>,
    answer: Option<Result<ConnId, (Frame, Close)>>,
}

impl Shared {
    pub(crate) fn new(config: Config, host: Host, store: Option<Store>) -> Result<Arc<Self>, ServerError> {
        let node = config.node.clone();
        let window = config.socket_window_frames as usize;
        let mut router = Router::new(config)?;
        let Host { agents, tools, quality, handlers, routes, middleware } = host;
        let tools = tools::install(tools, &mut router);
        handlers.iter().try_for_each(|make| router.add_handler(Box::new(Guarded(make()))).map(|_| ()))?;
        middleware.into_iter().try_for_each(|middleware| router.add_middleware(middleware))?;
        routes.into_iter().try_for_each(|(key, handler)| router.add_route(&key, handler))?;
        let (clock, mut out) = (Clock::start(), Effects::new());
        // Begins the router's clock; nothing is due yet.
        router.handle(clock.now(), Input::Tick, &mut out);
        let state = State {
            authority: router.take_authority().map(Arc::new),
            router,
            answers: VecDeque::new(),
            unstarted: VecDeque::new(),
            out,
            sockets: Vec::new(),
            open: 0,
            tickets: 0,
            joining: None,
            calls: Calls::default(),
            armed: None,
            deliveries: 0,
            receipts: BTreeMap::new(),
            facade_calls: BTreeMap::new(),
            redriven: None,
        };
        Ok(Arc::new(Self {
            node,
            clock,
            runtime: Handle::current(),
            window,
            agents,
            tools,
            tool_calls: AtomicU64::new(0),
            quality,
            store,
            durability: Mutex::default(),
            timer: Notify::new(),
            phase: watch::Sender::new(Phase::Serving),
            state: Mutex::new(state),
        }))
    }

    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Sockets in the table, those that are being closed included.
    pub(crate) fn connections(&self) -> usize {
        self.lock().open
    }

    pub(crate) fn stats(&self) -> Stats {
        self.lock().router.stats().clone()
    }

    /// Takes a message through its route. Handlers run outside of the lock.
    pub(crate) fn dispatch(&self, message: Envelope) -> Result<Dispatched, Refused> {
        let started = self.lock().router.begin_dispatch(message)?;
        let finished = started.run();
        Ok(self.lock().router.end_dispatch(self.clock.now(), finished))
    }

    pub(crate) fn history(&self, user: Option<&str>) -> Vec<Record> {
        self.lock().router.history(user).cloned().collect()
    }

    pub(crate) fn handler_stats(&self) -> Vec<HandlerStats> {
        self.lock().router.handler_stats()
    }

    pub(crate) fn readiness(&self) -> Readiness {
        self.lock().router.readiness(self.clock.now())
    }

    pub(crate) fn queue_stats(&self) -> QueueStats {
        self.lock().router.queue_stats()
    }

    pub(crate) fn dead_letters(&self, user: Option<&str>, from: u64, max: usize) -> Vec<Letter> {
        self.lock().router.dead_letters(user, from, max)
    }

    /// Has a dead letter worked on again.
    pub(crate) fn redrive(self: &Arc<Self>, user: &str, letter: u64) -> Result<(), RedriveRefusal> {
        let mut state = self.lock();
        let Some(authority) = state.authority.clone() else { return Err(RedriveRefusal::ShuttingDown) };
        self.step(&mut state, Input::Redrive { authority: &authority, user, letter });
        state.redriven.take().unwrap_or(Err(RedriveRefusal::Unknown))
    }

    /// One input in, its effects carried out before any other input.
    pub(crate) fn input(self: &Arc<Self>, input: Input<'_>) {
        self.step(&mut self.lock(), input);
    }

    /// Hands in what the store tells, as it comes. Never returns while the store lives.
    pub(crate) async fn listen_to_store(
        self: Arc<Self>,
        url: String,
        mut events: mpsc::UnboundedReceiver<StoreEvent>,
    ) {
        let mut told = Vec::new();
        while events.recv_many(&mut told, TOLD_TOGETHER_MAX).await > 0 {
            // One lock for all of them: others wait no longer for it than for a few messages of clients.
            let mut state = self.lock();
            for event in told.drain(..) {
                match event {
                    StoreEvent::Stored(stored) => self.step(&mut state, Input::Stored(&stored)),
                    StoreEvent::Woken(wake) => self.step(&mut state, Input::Woken(&wake)),
                    StoreEvent::Way(way) => {
                        tracing::info!(node = self.node, ?way, "the way to the store");
                        self.step(&mut state, Input::Store(way));
                        if way == Way::Up {
                            self.runtime.spawn(Arc::clone(&self).ask_durability(url.clone()));
                        }
                    }
                }
            }
        }
    }

    async fn ask_durability(self: Arc<Self>, url: String) {
        let durability = store::durability(&url).await.ok();
        if let Some(Durability::Relaxed(lapses)) = &durability {
            let cures: Vec<&str> = lapses.iter().map(|lapse| lapse.cure()).collect();
            tracing::warn!(node = self.node, ?cures, "what the store accepts may be lost");
        }
        *self.durability.lock().unwrap_or_else(PoisonError::into_inner) = durability;
    }

    /// How durable the store said it is; `None` before it could be asked.
    pub(crate) fn durability(&self) -> Option<Durability> {
        self.durability.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the store can be reached; `None` for a node alone.
    pub(crate) fn is_store_up(&self) -> Option<bool> {
        self.store.as_ref().map(|_| self.lock().router.is_store_up())
    }

    /// An agent's report; whether the router took it.
    pub(crate) fn report(self: &Arc<Self>, run: RunRef, event: AgentEvent<'_>) -> bool {
        let mut state = self.lock();
        let refused = state.router.stats().events.refused;
        self.step(&mut state, Input::Agent { run, event });
        state.router.stats().events.refused == refused
    }

    pub(crate) fn delivery(&self, user: &str, event: EventRef<'_>) -> Option<Delivery> {
        self.lock().router.delivery(user, event)
    }

    /// An agent's call of a tool: decided by the router, run by [`run_tool`](Self::run_tool) if it says so. `None` when
    /// the server is gone.
    pub(crate) async fn call_tool(
        self: &Arc<Self>,
        run: RunRef,
        tool: &str,
        parameters: &RawValue,
    ) -> Option<ToolAnswer> {
        let number = self.tool_calls.fetch_add(1, Ordering::Relaxed);
        let call: Arc<str> = format!("tool-{number}").into();
        let answer = {
            let mut state = self.lock();
            let answer = state.calls.wait(run, Arc::clone(&call));
            let step = ToolStep::Call { call: &call, run_id: None, tool, parameters };
            self.step(&mut state, Input::Tool { run, step });
            answer
        };
        answer.await.ok()
    }

    fn run_tool(self: &Arc<Self>, state: &mut State, request: ToolRequest) {
        let (shared, tool) = (Arc::clone(self), self.tools.get(&*request.tool).cloned());
        let (run, call) = (request.run, Arc::clone(&request.call));
        let named = Arc::clone(&call);
        let task = self.runtime.spawn(async move {
            let result = tools::work(tool, request).await;
            let mut state = shared.lock();
            state.calls.ended(run, &call);
            let step = ToolStep::Done { call: &call, result: tools::reported(&result) };
            shared.step(&mut state, Input::Tool { run, step });
        });
        state.calls.began(run, named, task.abort_handle());
    }

    /// A quality service's answer.
    pub(crate) fn quality_answer(self: &Arc<Self>, ask: AskRef, answer: QualityAnswer<'_>) {
        self.input(Input::Quality { ask, answer });
    }

    /// News for everybody who subscribed to quality.
    pub(crate) fn quality_news(self: &Arc<Self>, news: QualityNews<'_>) {
        let mut state = self.lock();
        if let Some(authority) = state.authority.clone() {
            self.step(&mut state, Input::QualityNews { authority: &authority, news });
        }
    }

    /// Delivers an event; the receiver gets the receipt, or nothing if the server is gone before.
    pub(crate) fn deliver(
        self: &Arc<Self>,
        recipients: &Recipients<'_>,
        context: Context<'_>,
        event: &RawValue,
    ) -> oneshot::Receiver<Receipt> {
        let (answer, receipt) = oneshot::channel();
        let mut state = self.lock();
        let Some(authority) = state.authority.clone() else { return receipt };
        let target = match *recipients {
            Recipients::Connection(user, conn) => Target::Connection(user, conn),
            Recipients::User(user) => Target::User(user),
            Recipients::Thread(user, thread) => Target::Thread(user, thread),
            Recipients::Topic(topic) => Target::Topic(&authority, topic),
            Recipients::All { except } => Target::All(&authority, except),
        };
        state.deliveries += 1;
        let id = ReceiptId(state.deliveries);
        state.receipts.insert(id, answer);
        let deliver = Deliver { receipt: Some(id), target, context, event };
        self.step(&mut state, Input::Deliver(deliver));
        receipt
    }

    /// Lends the router to facades with the old names. Answers also who will get which receipt of those that they asked
    /// for.
    pub(crate) fn lend<R>(
        self: &Arc<Self>,
        call: impl FnOnce(&mut Lent<'_>) -> R,
    ) -> (R, Vec<(ReceiptId, oneshot::Receiver<Receipt>)>) {
        let mut state = self.lock();
        let state = &mut *state;
        let (before, mut out) = (state.deliveries, mem::take(&mut state.out));
        let authority = state.authority.clone();
        let mut lent = Lent::new(&mut state.router, self.clock.now(), &mut out, &mut state.deliveries);
        if let Some(authority) = authority.as_deref() {
            lent = lent.with_authority(authority);
        }
        let mut lent = lent.without_sockets();
        let answer = call(&mut lent);
        for facade in lent.called() {
            *state.facade_calls.entry(facade).or_default() += 1;
        }
        let wait = |id| {
            let (sender, receipt) = oneshot::channel();
            state.receipts.insert(ReceiptId(id), sender);
            (ReceiptId(id), receipt)
        };
        let receipts = (before + 1..=state.deliveries).map(wait).collect();
        self.carry_all_out(state, out);
        (answer, receipts)
    }

    /// Calls of facades with the old names, by facade.
    pub(crate) fn facade_calls(&self) -> BTreeMap<&'static str, u64> {
        self.lock().facade_calls.clone()
    }

    /// The live connections of a user.
    pub(crate) fn connections_of(&self, user: &str, active_only: bool) -> Vec<router::Connection> {
        self.lock().router.connections(self.clock.now(), user, active_only)
    }

    pub(crate) fn pool(&self) -> Pool {
        self.lock().router.pool(self.clock.now())
    }

    /// Asks the router to take in a socket; `make` gets the ticket and builds the input.
    pub(crate) fn admit<'a>(self: &Arc<Self>, make: impl FnOnce(Ticket) -> Input<'a>) -> Option<Admission> {
        let (outbox, inbox) = mpsc::channel(self.window + CONTROL_SLOTS);
        let answer = {
            let mut state = self.lock();
            state.tickets += 1;
            let ticket = Ticket(state.tickets);
            state.joining = Some(Joining { ticket, outbox, answer: None });
            self.step(&mut state, make(ticket));
            state.joining.take().and_then(|joining| joining.answer)
        };
        match answer {
            Some(Ok(conn)) => Some(Admission::Accepted(Presence { shared: Arc::clone(self), conn }, inbox)),
            Some(Err((frame, close))) => Some(Admission::Refused(frame, close)),
            None => {
                tracing::error!("the router left a socket without an answer");
                None
            }
        }
    }

    /// Begins the orderly stop; a second call changes nothing.
    pub(crate) fn drain(self: &Arc<Self>) {
        let first = self.phase.send_if_modified(|phase| {
            let serving = *phase == Phase::Serving;
            if serving {
                *phase = Phase::Draining;
            }
            serving
        });
        if first {
            tracing::info!(node = self.node, connections = self.connections(), "draining");
            self.input(Input::Drain);
        }
    }

    /// Lets go of every socket: their tasks find their channel closed and end.
    pub(crate) fn hang_up(&self) {
        let mut state = self.lock();
        state.open = 0;
        state.sockets.clear();
    }

    /// Hands in a tick whenever the router's deadline has come. Never returns.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            let Some(deadline) = self.arm() else {
                self.timer.notified().await;
                continue;
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.clock.at(deadline)) => self.input(Input::Tick),
                () = self.timer.notified() => {}
            }
        }
    }

    fn arm(&self) -> Option<Instant> {
        let mut state = self.lock();
        state.armed = state.router.next_deadline().map(|(at, _)| at);
        state.armed
    }

    fn leave(self: &Arc<Self>, conn: ConnId) {
        let mut state = self.lock();
        self.step(&mut state, Input::Closed { conn });
        if state.socket(conn).is_some() {
            state.sockets[conn.index()] = None;
            state.open -= 1;
        }
    }

    /// After a panic of the core in another task the rest goes on: every input starts from a cleared list.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(self: &Arc<Self>, state: &mut State, input: Input<'_>) {
        let mut out = mem::take(&mut state.out);
        state.router.handle(self.clock.now(), input, &mut out);
        self.carry_all_out(state, out);
    }

    /// Carries out what the router asked for, in order, and what that brings about in its turn.
    fn carry_all_out(self: &Arc<Self>, state: &mut State, mut out: Effects) {
        for effect in out.iter() {
            self.carry_out(state, effect, &out);
        }
        out.clear();
        state.out = out;
        while let Some((ask, answer)) = state.answers.pop_front() {
            let answer = answer.as_deref().map_or(QualityAnswer::Failed, QualityAnswer::Ready);
            self.step(state, Input::Quality { ask, answer });
        }
        while let Some(run) = state.unstarted.pop_front() {
            self.step(state, Input::Agent { run, event: AgentEvent::Started { agent: "", task: "" } });
            let event = AgentEvent::Failed { code: "AGENT_ERROR", message: "The agent could not be started" };
            self.step(state, Input::Agent { run, event });
        }
        if let Some((next, _)) = state.router.next_deadline()
            && state.armed.is_none_or(|armed| next < armed)
        {
            state.armed = Some(next);
            self.timer.notify_one();
        }
    }

    fn carry_out(self: &Arc<Self>, state: &mut State, effect: &Effect, out: &Effects) {
        match effect {
            Effect::Accepted { ticket, conn } => state.accepted(*ticket, *conn),
            Effect::Refused { ticket, frame, close } => state.refused(*ticket, out.frame(*frame), *close),
            Effect::Send { conn, frame } => state.tell(*conn, Outgoing::Frame(out.frame(*frame).clone())),
            Effect::Ping { conn } => state.tell(*conn, Outgoing::Ping),
            Effect::Close { conn, close } => {
                tracing::debug!(?conn, reason = close.reason(), "closing");
                state.tell(*conn, Outgoing::Close(*close));
            }
            Effect::StartRun(request) => {
                let sink = RunSink::new(Arc::clone(self), request.run);
                let start = || self.agents.start(request.as_ref().clone(), sink);
                if guard_in(&self.runtime, "the agent back end, asked to start,", start).is_none() {
                    state.unstarted.push_back(request.run);
                }
            }
            Effect::CancelRun { run, reason } => {
                guard_in(&self.runtime, "the agent back end, asked to cancel,", || {
                    self.agents.cancel(*run, *reason)
                });
            }
            Effect::RunTool(request) => self.run_tool(state, request.as_ref().clone()),
            Effect::CancelTool(cancelled) => state.calls.cancel(cancelled, &self.runtime),
            Effect::ToolAnswered(answer) => state.calls.answered(answer),
            Effect::AgentRefused(refused) => {
                tracing::debug!(run = ?refused.run, why = refused.why.name(), "an agent's report was refused");
            }
            Effect::AskQuality(request) => match &self.quality {
                Some(backend) => {
                    let sink = QualitySink::new(Arc::clone(self), request.ask);
                    let ask = || backend.ask(request.as_ref().clone(), sink);
                    if guard_in(&self.runtime, "the quality back end", ask).is_none() {
                        state.answers.push_back((request.ask, None));
                    }
                }
                None => {
                    let answer = quality::embedded(&state.router, request, self.clock.now());
                    state.answers.push_back((request.ask, answer));
                }
            },
            Effect::Audit(record) => audit(record),
            Effect::Receipt(receipt) => {
                if let Some(answer) = state.receipts.remove(&receipt.receipt) {
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(receipt.as_ref().clone());
                }
            }
            Effect::Store(request) => {
                if let Some(store) = &self.store {
                    store.ask(request.as_ref().clone());
                }
            }
            Effect::PauseRun { run } => {
                guard_in(&self.runtime, "the agent back end, asked to pause,", || self.agents.pause(*run));
            }
            Effect::ResumeRun { run } => {
                guard_in(&self.runtime, "the agent back end, asked to go on,", || self.agents.resume(*run));
            }
            Effect::Redriven(redriven) => {
                tracing::info!(
                    user = %redriven.user,
                    letter = redriven.letter,
                    refused = redriven.outcome.err().map(RedriveRefusal::name),
                    "a dead letter was to be worked on again"
                );
                state.redriven = Some(redriven.outcome);
            }
            Effect::Swept { connections } => tracing::info!(connections, "idle connections closed"),
            Effect::Drained => {
                self.phase.send_replace(Phase::Drained);
            }
        }
    }
}

impl State {
    fn accepted(&mut self, ticket: Ticket, conn: ConnId) {
        let Some(joining) = self.joining.as_mut().filter(|joining| joining.ticket == ticket) else {
            debug_assert!(false, "the router accepted a socket that nobody announced");
            return;
        };
        joining.answer = Some(Ok(conn));
        let socket = Socket { generation: conn.generation(), outbox: joining.outbox.clone() };
        if self.sockets.len() <= conn.index() {
            self.sockets.resize_with(conn.index() + 1, || None);
        }
        debug_assert!(self.sockets[conn.index()].is_none(), "the router reused a place before it was left");
        self.sockets[conn.index()] = Some(socket);
        self.open += 1;
    }

    fn refused(&mut self, ticket: Ticket, frame: &Frame, close: Close) {
        if let Some(joining) = self.joining.as_mut().filter(|joining| joining.ticket == ticket) {
            joining.answer = Some(Err((frame.clone(), close)));
        }
    }

    fn tell(&mut self, conn: ConnId, what: Outgoing) {
        let Some(socket) = self.socket(conn) else { return };
        if let Err(mpsc::error::TrySendError::Full(_)) = socket.outbox.try_send(what) {
            // The router keeps to its window, so this is a fault of ours: better no connection than a gap.
            debug_assert!(false, "the socket window overflowed");
            tracing::error!(?conn, "the socket window overflowed; the connection is dropped");
            self.sockets[conn.index()] = None;
            self.open -= 1;
        }
    }

    fn socket(&self, conn: ConnId) -> Option<&Socket> {
        self.sockets.get(conn.index())?.as_ref().filter(|socket| socket.generation == conn.generation())
    }
}

fn audit(record: &Audit) {
    tracing::warn!(
        target: "audit",
        conn = ?record.conn,
        user = %record.user,
        code = record.code.name(),
        path = record.path,
        suppressed = record.suppressed,
        "a frame named another user"
    );
}
