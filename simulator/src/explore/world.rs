//! The small world: a router, its users and agents, and what lies between two choices.
//!
//! **What happens at once.** After each choice everything that follows by itself has happened: the router's effects are
//! carried out in order; a tab that reads takes each frame as it is sent, then the write is reported, then it answers a
//! heartbeat. What a socket of a lost connection takes is reported, too, and goes nowhere.
//!
//! **What waits to be chosen.** Everything else: see [`Kind`](super::choice::Kind).

use router::{Config, ConnId, Effect, Effects, Frame, Input, Instant, Router, RunRef, Ticket, ToolOutcome};

use super::{
    Breach, Scope,
    person::{Line, Lost, Message, Person, Progress, Published, Tab},
};
use crate::{
    dialect::{Dialect as _, FrameKind, Goldenpath, RunEventKind, ServerFrame},
    world::EPOCH_US,
};

/// Deadlines that make a difference come before those that do not; the window and the queue are small enough to be full.
pub(super) fn config() -> Config {
    Config {
        socket_window_frames: 2,
        outbound_frames_max: 2,
        agent_deadline_us: 10_000_000,
        tool_deadline_us: 5_000_000,
        recovery_ttl_us: 15_000_000,
        // The embedded monitor is a matter of figures: nobody here asks for any.
        quality_monitor: false,
        ..Config::default()
    }
}

/// How often things may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) runs: u8,
    pub(super) tools: u8,
    pub(super) disconnects: u8,
    pub(super) retries: u8,
    pub(super) stalls: u8,
    pub(super) ticks: u8,
    pub(super) stops: u8,
    pub(super) intrusions: u8,
}

/// What the present choice makes right that is wrong at all other times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expect {
    /// This user's next message starts a run.
    pub(super) start: Option<usize>,
    /// This tab is told that its message came twice.
    pub(super) duplicate: Option<(usize, usize)>,
    /// This tab is refused something.
    pub(super) refusal: Option<(usize, usize)>,
    /// This tab is told that runs stop.
    pub(super) stopped: Option<(usize, usize)>,
    /// This message's run ends.
    pub(super) end: Option<(usize, usize)>,
    /// Deadlines have come.
    pub(super) late: bool,
}

/// A state of the small world.
#[derive(Debug)]
pub(super) struct World {
    pub(super) router: Router,
    pub(super) now: Instant,
    pub(super) people: Vec<Person>,
    pub(super) left: Left,
    /// Owner and message of each run, by its number from 1.
    pub(super) runs: Vec<(u8, u8)>,
    pub(super) expect: Expect,
    /// What the router did, in words, if anybody wants to know.
    pub(super) story: Option<Vec<String>>,
    ticked: bool,
}

/// The id of a user; it is also the word by which everything of that user is known.
pub(super) fn id(user: usize) -> String {
    format!("~{user}")
}

impl World {
    pub(super) fn new(scope: Scope, config: Config) -> Result<Self, router::ConfigError> {
        let mut router = Router::new(config)?;
        router.add_tool("look", "looks");
        let person = Person { tabs: vec![Tab::new(); usize::from(scope.tabs)], ..Person::default() };
        Ok(Self {
            router,
            now: Instant::from_micros(EPOCH_US),
            people: vec![person; usize::from(scope.users)],
            left: Left {
                runs: scope.runs,
                tools: scope.tools,
                disconnects: scope.disconnects,
                retries: scope.retries,
                stalls: scope.stalls,
                ticks: scope.ticks,
                stops: scope.stops,
                intrusions: scope.intrusions,
            },
            runs: Vec::new(),
            expect: Expect::default(),
            story: None,
            ticked: false,
        })
    }

    pub(super) fn fork(&self) -> Self {
        Self {
            router: self.router.fork().expect("no custom handler is registered in the small world"),
            people: self.people.clone(),
            runs: self.runs.clone(),
            story: self.story.clone(),
            ..*self
        }
    }

    /// Whether time has passed: what is kept for a while may be gone.
    pub(super) const fn has_ticked(&self) -> bool {
        self.ticked
    }

    /// Time passes until the router does something of its own accord, for a minute at most: a user whom the router has
    /// forgotten is told of nothing, and that takes longer.
    pub(super) fn tick(&mut self) -> Result<(), Breach> {
        const MINUTE_US: u64 = 60_000_000;
        self.ticked = true;
        let until = self.now.after(MINUTE_US);
        while let Some((at, _)) = self.router.next_deadline().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            let before = self.router.stats().clone();
            self.input(Input::Tick)?;
            if *self.router.stats() != before {
                break;
            }
        }
        Ok(())
    }

    /// One input, its effects, and what follows by itself.
    pub(super) fn input(&mut self, input: Input<'_>) -> Result<(), Breach> {
        let mut effects = Effects::new();
        self.router.handle(self.now, input, &mut effects);
        self.endings(&effects)?;
        let mut written: Vec<(ConnId, u32)> = Vec::new();
        let mut answers = Vec::new();
        for effect in effects.iter() {
            self.carry_out(effect, &effects, &mut written, &mut answers)?;
        }
        for (conn, frames) in written {
            self.input(Input::Written { conn, frames })?;
        }
        for conn in answers {
            self.input(Input::Text { conn, text: r#"{"type":"pong","payload":{}}"# })?;
        }
        Ok(())
    }

    /// What the router ended, in the order in which it did: the events that it published for it.
    fn endings(&mut self, effects: &Effects) -> Result<(), Breach> {
        for effect in effects.iter() {
            match effect {
                Effect::ToolAnswered(answer) => {
                    let (user, message) = self.owner_of(answer.run)?;
                    if matches!(answer.outcome, ToolOutcome::Refused(_)) {
                        return Err(Breach::new("golden.value", answer.error()).of(user));
                    }
                    let person = &mut self.people[user];
                    let progress = &mut person.messages[message].progress;
                    if *progress != Progress::Calling {
                        return Err(Breach::new(
                            "golden.value",
                            "a tool's answer for a run that called none",
                        )
                        .of(user));
                    }
                    *progress = Progress::Called;
                    person.publish(message, RunEventKind::ToolCompleted);
                }
                Effect::CancelRun { run, .. } => {
                    let (user, message) = self.owner_of(*run)?;
                    if self.expect.end != Some((user, message)) && !self.expect.late {
                        let detail =
                            format!("the run of m{message} was ended, and its user did not ask for it");
                        return Err(Breach::new("iso.I4", detail).of(user));
                    }
                    let person = &mut self.people[user];
                    let before = person.messages[message].progress;
                    person.messages[message].progress = Progress::Done;
                    if before == Progress::Asked {
                        person.publish(message, RunEventKind::Started);
                    }
                    person.publish(message, RunEventKind::Error);
                }
                Effect::Accepted { .. }
                | Effect::Refused { .. }
                | Effect::Send { .. }
                | Effect::Ping { .. }
                | Effect::Close { .. }
                | Effect::StartRun(_)
                | Effect::RunTool(_)
                | Effect::CancelTool(_)
                | Effect::AgentRefused(_)
                | Effect::AskQuality(_)
                | Effect::Audit(_)
                | Effect::Receipt(_)
                | Effect::Store(_)
                | Effect::PauseRun { .. }
                | Effect::ResumeRun { .. }
                | Effect::Redriven(_)
                | Effect::Swept { .. }
                | Effect::Drained => {}
            }
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        effect: &Effect,
        effects: &Effects,
        written: &mut Vec<(ConnId, u32)>,
        answers: &mut Vec<ConnId>,
    ) -> Result<(), Breach> {
        match effect {
            Effect::Accepted { ticket, conn } => self.accepted(*ticket, *conn),
            Effect::Send { conn, frame } => self.send(*conn, effects.frame(*frame), written, answers),
            Effect::StartRun(request) => {
                let (owner, asked) = (&*request.user, self.expect.start.take());
                let Some(user) = asked.filter(|user| *id(*user) == *owner) else {
                    let rule = if asked.is_some() { "iso.I1" } else { "golden.unasked" };
                    return Err(Breach::new(rule, format!("a run for {owner} that nobody asked for")));
                };
                let message = self.people[user].messages.len();
                if *request.request_id != *format!("m{message}") || *request.text() != *words(user, "asks") {
                    let detail = format!("the run of m{message} was asked for as {}", request.request_id);
                    return Err(Breach::new("golden.value", detail).of(user));
                }
                self.tell(|| format!("starts {} for m{message} of user {user}", request.run_id()));
                self.runs.push((user as u8, message as u8));
                self.people[user].messages.push(Message { run: request.run, progress: Progress::Asked });
                Ok(())
            }
            Effect::RunTool(request) => {
                let (user, message) = self.owner_of(request.run)?;
                if *request.user != *id(user) {
                    let detail = format!("the tool of m{message} is to be run for {}", request.user);
                    return Err(Breach::new("iso.I1", detail).of(user));
                }
                Ok(())
            }
            Effect::AgentRefused(refused) => {
                let detail = format!("the router refused a step of run {}", refused.run.index());
                Err(Breach::new(refused.why.name(), detail))
            }
            Effect::Refused { .. } => Err(Breach::new("golden.closed", "a connection was refused")),
            Effect::Close { conn, close } => self.closed(*conn, close.reason()),
            Effect::Audit(_) if self.expect.refusal.is_some() => Ok(()),
            Effect::Audit(audit) => {
                Err(Breach::new("golden.unasked", format!("an audit record: {}", audit.path)))
            }
            // A ping comes with a heartbeat, and that is what is answered.
            Effect::Ping { .. }
            | Effect::CancelRun { .. }
            | Effect::CancelTool(_)
            | Effect::ToolAnswered(_)
            | Effect::AskQuality(_)
            | Effect::Receipt(_)
            | Effect::Store(_)
            | Effect::PauseRun { .. }
            | Effect::ResumeRun { .. }
            | Effect::Redriven(_)
            | Effect::Swept { .. }
            | Effect::Drained => Ok(()),
        }
    }

    fn accepted(&mut self, Ticket(ticket): Ticket, conn: ConnId) -> Result<(), Breach> {
        let (user, tab) = ((ticket >> 8) as usize, (ticket & 255) as usize);
        self.people[user].tabs[tab].line = Line::Live(super::person::Socket { conn, unread: None });
        Ok(())
    }

    /// A frame for a connection.
    fn send(
        &mut self,
        conn: ConnId,
        frame: &Frame,
        written: &mut Vec<(ConnId, u32)>,
        answers: &mut Vec<ConnId>,
    ) -> Result<(), Breach> {
        let text = frame.as_str();
        let Some((user, tab)) = self.socket_of(conn) else {
            return Err(Breach::new("bounds.stale", "the router wrote to a connection after its end"));
        };
        let read = Goldenpath.decode(text);
        let read =
            read.map_err(|error| Breach::new("wire.invalid", format!("{error}: {text}")).at(user, tab))?;
        self.tell(|| shown(user, tab, &read));
        self.isolated(user, text, &read).map_err(|breach| breach.at(user, tab))?;
        let window = self.router.config().socket_window_frames;
        let state = &mut self.people[user].tabs[tab];
        if let Some(lost) = state.lost.iter_mut().find(|lost| lost.conn == conn) {
            if lost.swallows {
                self.took(user, read.cursor);
                report(written, conn);
            } else {
                lost.unwritten += 1;
                if lost.unwritten > window {
                    return Err(
                        Breach::new("bounds.queue", "more frames than the window at once").at(user, tab)
                    );
                }
            }
            return Ok(());
        }
        if let Line::Live(socket) = &mut state.line
            && let Some(unread) = &mut socket.unread
        {
            unread.push(frame.clone());
            if unread.len() > window as usize {
                return Err(Breach::new("bounds.queue", "more frames than the window at once").at(user, tab));
            }
            return Ok(());
        }
        self.receive(user, tab, &read, answers).map_err(|breach| breach.at(user, tab))?;
        self.took(user, read.cursor);
        report(written, conn);
        Ok(())
    }

    /// A tab that stalled reads what waits, and on.
    pub(super) fn read_on(&mut self, user: usize, tab: usize) -> Result<(), Breach> {
        let Line::Live(socket) = &mut self.people[user].tabs[tab].line else { return Ok(()) };
        let (conn, unread) = (socket.conn, socket.unread.take().unwrap_or_default());
        let mut answers = Vec::new();
        for frame in &unread {
            let read = Goldenpath.decode(frame.as_str());
            let read = read.map_err(|error| Breach::new("wire.invalid", error.to_string()).at(user, tab))?;
            self.receive(user, tab, &read, &mut answers).map_err(|breach| breach.at(user, tab))?;
            self.took(user, read.cursor);
        }
        if !unread.is_empty() {
            self.input(Input::Written { conn, frames: unread.len() as u32 })?;
        }
        for conn in answers {
            self.input(Input::Text { conn, text: r#"{"type":"pong","payload":{}}"# })?;
        }
        Ok(())
    }

    /// Nothing of another user is in a frame.
    fn isolated(&self, user: usize, text: &str, frame: &ServerFrame<'_>) -> Result<(), Breach> {
        let foreign = text.match_indices('~').find(|(at, _)| !text[*at..].starts_with(&id(user)));
        if let Some((at, _)) = foreign {
            let found: String = text[at..].chars().take(2).collect();
            return Err(Breach::new("iso.I1", format!("{} carries {found}", frame.type_name)));
        }
        let run = number_of(frame.run_id);
        match run.and_then(|number| self.runs.get(number as usize - 1)) {
            Some((owner, _)) if usize::from(*owner) != user => {
                Err(Breach::new("iso.I1", format!("{} names a run of user {owner}", frame.type_name)))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A tab reads a frame.
    fn receive(
        &mut self,
        user: usize,
        tab: usize,
        frame: &ServerFrame<'_>,
        answers: &mut Vec<ConnId>,
    ) -> Result<(), Breach> {
        let unasked = |what: &str| Err(Breach::new("golden.unasked", format!("{what}, unasked")));
        let run = number_of(frame.run_id).and_then(|number| self.runs.get(number as usize - 1));
        let run = run.map(|(_, message)| *message);
        let expect = &mut self.expect;
        let Person { tabs, stream, .. } = &mut self.people[user];
        let state = &mut tabs[tab];
        match frame.kind {
            FrameKind::Welcome { cursor } => state.base = state.base.or(cursor),
            FrameKind::Event(kind) => {
                state.take(stream, (run, kind, frame.seq, frame.cursor))?;
            }
            FrameKind::Heartbeat => answers.extend(state.reading()),
            FrameKind::Gap { to, .. } if self.ticked => state.seen = state.seen.max(to),
            FrameKind::Gap { from, to } => {
                let detail = format!("cursors {from} to {to} are given up, and nothing was to be");
                return Err(Breach::new("deliver.I2", detail));
            }
            FrameKind::Ack { status } => {
                if expect.duplicate != Some((user, tab)) || status != "duplicate" {
                    return unasked("an acknowledgement");
                }
                expect.duplicate = None;
            }
            FrameKind::Error { code } => {
                if expect.refusal != Some((user, tab)) {
                    return Err(Breach::new("golden.answer", format!("refused: {code}")));
                }
                expect.refusal = None;
            }
            FrameKind::Stopped => {
                if expect.stopped.take() != Some((user, tab)) {
                    return unasked("agent_stopped");
                }
            }
            FrameKind::Pong
            | FrameKind::HeartbeatAck
            | FrameKind::System
            | FrameKind::Quality
            | FrameKind::Notice { .. }
            | FrameKind::Letters
            | FrameKind::Other => return unasked(frame.type_name),
        }
        Ok(())
    }

    /// The server closes a connection: only one that does not read, and only after a deadline.
    fn closed(&mut self, conn: ConnId, why: &str) -> Result<(), Breach> {
        let Some((user, tab)) = self.socket_of(conn) else { return Ok(()) };
        self.tell(|| format!("closes a connection of user {user}, tab {tab}: {why}"));
        let state = &mut self.people[user].tabs[tab];
        let lost = state.lost.iter().any(|lost| lost.conn == conn);
        if !self.expect.late || state.reading() == Some(conn) {
            return Err(Breach::new("golden.closed", format!("closed: {why}")).at(user, tab));
        }
        if !lost {
            // The client sees the close and gives up what it has not read.
            state.hang_up(false);
        }
        Ok(())
    }

    /// Whose connection that is.
    fn socket_of(&self, conn: ConnId) -> Option<(usize, usize)> {
        let people = self.people.iter().enumerate();
        let mut tabs = people
            .flat_map(|(user, person)| person.tabs.iter().enumerate().map(move |(n, tab)| (user, n, tab)));
        let found = tabs.find(|(.., tab)| match &tab.line {
            Line::Live(socket) if socket.conn == conn => true,
            Line::Live(_) | Line::Never | Line::Away => tab.lost.iter().any(|lost| lost.conn == conn),
        });
        found.map(|(user, n, _)| (user, n))
    }

    pub(super) fn owner_of(&self, run: RunRef) -> Result<(usize, usize), Breach> {
        for (user, person) in self.people.iter().enumerate() {
            if let Some(message) = person.messages.iter().position(|message| message.run == run) {
                return Ok((user, message));
            }
        }
        Err(Breach::new("golden.unasked", "the router names a run that it never asked for"))
    }

    fn took(&mut self, user: usize, cursor: u64) {
        let written = &mut self.people[user].written;
        *written = (*written).max(cursor);
    }

    pub(super) fn tell(&mut self, words: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(words());
        }
    }
}

impl Person {
    pub(super) fn publish(&mut self, message: usize, kind: RunEventKind) {
        self.stream.push(Published { message: message as u8, kind });
    }
}

impl Tab {
    /// The tab gives up its connection.
    pub(super) fn hang_up(&mut self, swallows: bool) {
        if let Line::Live(socket) = std::mem::replace(&mut self.line, Line::Away) {
            let unwritten = socket.unread.map_or(0, |unread| unread.len() as u32);
            self.lost.push(Lost { conn: socket.conn, swallows, unwritten });
            self.confirm = false;
        }
    }
}

/// What a user, or the user's agent, says.
pub(super) fn words(user: usize, does: &str) -> String {
    format!("~{user} {does}")
}

/// The number in a run's id.
fn number_of(run_id: &str) -> Option<u64> {
    run_id.rsplit('-').next()?.parse().ok().filter(|number| *number > 0)
}

fn report(written: &mut Vec<(ConnId, u32)>, conn: ConnId) {
    match written.iter_mut().find(|(known, _)| *known == conn) {
        Some((_, frames)) => *frames += 1,
        None => written.push((conn, 1)),
    }
}

fn shown(user: usize, tab: usize, frame: &ServerFrame<'_>) -> String {
    let mut words = format!("to user {user}, tab {tab}: {}", frame.type_name);
    for (name, text) in [("run", frame.run_id), ("code", frame.error_code), ("status", frame.status)] {
        if !text.is_empty() {
            words.push_str(&format!(", {name} {text}"));
        }
    }
    if frame.cursor > 0 {
        words.push_str(&format!(", cursor {}", frame.cursor));
    }
    if frame.recovered {
        words.push_str(", recovered");
    }
    words
}
