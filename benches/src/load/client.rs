//! One tab: carries out its actions at their instants, reads what arrives, and lets the checkers judge both.

use std::{collections::VecDeque, rc::Rc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use simulator::{
    client::{Client, Verdict},
    dialect::{FrameKind, Outgoing, RunEventKind, ServerFrame},
    plan::{Action, ActionKind},
};
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{
    target::Link,
    worker::{User, Worker},
};

/// How often a tab that wants to leave looks whether everything has arrived.
const LEAVE_POLL_US: u64 = 5_000;
/// How long a closing handshake may take.
const CLOSE: Duration = Duration::from_secs(1);

/// Plays one tab from its first connect to its leave.
pub(super) async fn play(worker: Rc<Worker>, user: Rc<User>, tab: u8, actions: VecDeque<Action>) {
    let tab = Tab {
        worker,
        user,
        tab,
        actions,
        client: Client::new(),
        link: None,
        connected_before: false,
        stalled_until_us: None,
        retry: None,
        leaving: None,
        stops: Vec::new(),
        free_us: 0,
        text: String::new(),
    };
    tab.play().await;
}

struct Tab {
    worker: Rc<Worker>,
    user: Rc<User>,
    tab: u8,
    actions: VecDeque<Action>,
    client: Client,
    link: Option<Link>,
    connected_before: bool,
    stalled_until_us: Option<u64>,
    /// When to try again after a connection failed or was lost against the plan.
    retry: Option<Retry>,
    /// Wants to leave; will, at the latest then.
    leaving: Option<u64>,
    /// Stops of runs whose id has not been learned yet.
    stops: Vec<ActionKind>,
    /// Until then, this tab waited for the target.
    free_us: u64,
    text: String,
}

#[derive(Clone, Copy)]
struct Retry {
    at_us: u64,
    wait_us: u64,
}

impl Tab {
    async fn play(mut self) {
        while let Some(wake_us) = self.wake_us() {
            let reads = self.stalled_until_us.is_none();
            tokio::select! {
                biased;
                () = sleep_until(self.worker.clock.at(wake_us)) => self.due().await,
                message = next(self.link.as_mut()), if reads => self.take_in(message).await,
            }
        }
    }

    /// When there is something to do at the latest; `None` once the tab has left.
    fn wake_us(&self) -> Option<u64> {
        let leave = self.leaving.map(|at_us| at_us.min(self.worker.clock.now_us() + LEAVE_POLL_US));
        let action = self.actions.front().map(|action| action.at_us);
        let retry = self.retry.map(|retry| retry.at_us);
        [leave, action, retry, self.stalled_until_us].into_iter().flatten().min()
    }

    async fn due(&mut self) {
        let now_us = self.worker.clock.now_us();
        if self.stalled_until_us.is_some_and(|until_us| until_us <= now_us) {
            self.stalled_until_us = None;
        }
        if self.actions.front().is_some_and(|action| action.at_us <= now_us) {
            if let Some(action) = self.actions.pop_front() {
                self.worker.ledger.borrow_mut().lateness.acted(action.at_us, self.free_us, now_us);
                self.act(action, now_us).await;
            }
        } else if let Some(retry) = self.retry.filter(|retry| retry.at_us <= now_us) {
            self.connect(Some(retry)).await;
        } else if let Some(until_us) = self.leaving {
            let over = self.user.waiting.borrow().is_over(self.tab);
            if over || until_us <= now_us || self.link.is_none() {
                self.worker.ledger.borrow_mut().impatient += u64::from(!over);
                self.leave().await;
            }
        }
    }

    async fn act(&mut self, action: Action, now_us: u64) {
        match &action.kind {
            ActionKind::Connect | ActionKind::Reconnect => self.connect(None).await,
            ActionKind::Disconnect => self.disconnect(),
            ActionKind::StallReading { for_us } => self.stalled_until_us = Some(action.at_us + for_us),
            ActionKind::Leave => self.leaving = Some(now_us + self.worker.options.grace_us),
            ActionKind::Stop { .. } => {
                self.stops.push(action.kind);
                self.stop().await;
            }
            ActionKind::Say(_)
            | ActionKind::Ping
            | ActionKind::Heartbeat
            | ActionKind::Typing { .. }
            | ActionKind::Unknown { .. }
            | ActionKind::Quality(_)
            | ActionKind::Malformed(_) => self.send_action(&action.kind, action.at_us).await,
        }
    }

    /// Sends the message of an action, which was meant for `intended_us`.
    async fn send_action(&mut self, action: &ActionKind, intended_us: u64) {
        let Some(message) = self.client.outgoing(action).filter(|_| self.link.is_some()) else {
            self.worker.ledger.borrow_mut().unmet += 1;
            return;
        };
        self.text.clear();
        if !self.worker.options.dialect.encode(&message, &mut self.text) {
            self.worker.ledger.borrow_mut().unsaid += 1;
            return;
        }
        let User { index, tabs, .. } = *self.user;
        self.worker.checkers.borrow_mut().sent(intended_us, index, self.tab, tabs, action);
        if let ActionKind::Say(say) = action {
            let now_us = self.worker.clock.now_us();
            self.user.waiting.borrow_mut().said(&say.message_id, self.tab, intended_us, now_us);
        } else if !matches!(action, ActionKind::Quality(_)) {
            // An answer about quality goes to all tabs, so it cannot be counted on one.
            self.user.waiting.borrow_mut().expects_answer(self.tab);
        }
        self.send().await;
    }

    /// Stops the runs whose ids are known by now.
    async fn stop(&mut self) {
        let known = |stop: &ActionKind, client: &Client| client.outgoing(stop).is_some();
        while let Some(index) = self.stops.iter().position(|stop| known(stop, &self.client)) {
            let stop = self.stops.swap_remove(index);
            let now_us = self.worker.clock.now_us();
            self.send_action(&stop, now_us).await;
        }
    }

    /// Sends what stands in `text`.
    async fn send(&mut self) {
        let Some(link) = self.link.as_mut() else { return };
        {
            let mut ledger = self.worker.ledger.borrow_mut();
            ledger.frames_sent += 1;
            ledger.bytes_sent += self.text.len() as u64;
        }
        let before_us = self.worker.clock.now_us();
        let sent = link.send(Message::text(self.text.as_str())).await;
        let now_us = self.worker.clock.now_us();
        // A send that had to wait for the socket; one that did not, took the time of a system call.
        if now_us > before_us + 1_000 {
            self.free_us = now_us;
        }
        if let Err(error) = sent {
            self.lost(&error.to_string());
        }
    }

    async fn connect(&mut self, retry: Option<Retry>) {
        self.retry = None;
        if self.link.is_some() {
            return;
        }
        let worker = Rc::clone(&self.worker);
        let again = self.connected_before && worker.options.scenario.network.cursor;
        let resume = if again { self.client.resume_cursor() } else { None };
        let mut query = String::new();
        worker.options.dialect.query(resume, None, &mut query);
        let began_us = worker.clock.now_us();
        let opened = worker.address.open(&self.user.token, &query).await;
        self.free_us = worker.clock.now_us();
        match opened {
            Ok(link) => {
                worker.checkers.borrow_mut().connecting(began_us, self.user.index, self.tab, resume);
                worker.open.set(worker.open.get() + 1);
                self.link = Some(link);
                self.connected_before = true;
            }
            Err(error) => {
                worker.ledger.borrow_mut().failed_to_connect(error);
                self.try_again(retry);
            }
        }
    }

    /// Waits as the scenario's clients do, longer each time.
    fn try_again(&mut self, before: Option<Retry>) {
        let reconnect = self.worker.options.scenario.network.reconnect;
        let wait_us = match before {
            Some(retry) => retry.wait_us.saturating_mul(u64::from(reconnect.factor)).min(reconnect.cap.us()),
            None => reconnect.base.us(),
        };
        let wait_us = wait_us.max(1_000);
        self.retry = Some(Retry { at_us: self.worker.clock.now_us() + wait_us, wait_us });
    }

    /// Loses the connection as the plan wants it: without a closing handshake.
    fn disconnect(&mut self) {
        self.retry = None;
        if self.drop_link() {
            let now_us = self.worker.clock.now_us();
            self.worker.checkers.borrow_mut().disconnected(now_us, self.user.index, self.tab);
        }
    }

    /// The server or the network ended the connection, which no plan asks for.
    fn lost(&mut self, why: &str) {
        if self.drop_link() {
            let now_us = self.worker.clock.now_us();
            self.worker.ledger.borrow_mut().lost += 1;
            self.worker.checkers.borrow_mut().closed(now_us, self.user.index, self.tab, why);
            if self.leaving.is_none() {
                self.try_again(None);
            }
        }
    }

    fn drop_link(&mut self) -> bool {
        self.client.disconnected();
        self.user.waiting.borrow_mut().disconnected(self.tab);
        let open = self.link.take().is_some();
        if open {
            self.worker.open.set(self.worker.open.get() - 1);
        }
        open
    }

    async fn leave(&mut self) {
        self.leaving = None;
        self.retry = None;
        self.worker.ledger.borrow_mut().unmet += self.stops.len() as u64;
        self.stops.clear();
        if let Some(mut link) = self.link.take() {
            self.worker.open.set(self.worker.open.get() - 1);
            let farewell = async {
                if link.close(None).await.is_ok() {
                    while let Some(Ok(_)) = link.next().await {}
                }
            };
            _ = timeout(CLOSE, farewell).await;
        }
        self.user.tabs_left.set(self.user.tabs_left.get() - 1);
        if self.user.tabs_left.get() == 0 {
            let now_us = self.worker.clock.now_us();
            self.worker.checkers.borrow_mut().left(now_us, self.user.index);
        }
    }

    async fn take_in(&mut self, message: Option<Result<Message, Error>>) {
        match message {
            Some(Ok(Message::Text(text))) => {
                self.frame(&text);
                self.answer().await;
                self.stop().await;
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Binary(_))) => self.lost("the server sent a binary frame"),
            Some(Ok(Message::Close(frame))) => {
                let why = frame.map_or_else(|| "closed without a code".to_owned(), |frame| frame.to_string());
                self.lost(&why);
            }
            Some(Err(error)) => self.lost(&error.to_string()),
            None => self.lost("the connection ended without a close frame"),
        }
    }

    fn frame(&mut self, text: &str) {
        let now_us = self.worker.clock.now_us();
        self.worker.ledger.borrow_mut().frames_received += 1;
        let User { index, tabs, .. } = *self.user;
        match self.worker.options.dialect.decode(text) {
            Ok(frame) => {
                let verdict = self.client.receive(&frame);
                let mut checkers = self.worker.checkers.borrow_mut();
                checkers.received(now_us, index, self.tab, tabs, text, &frame, verdict);
                if verdict != Verdict::Repeat {
                    self.follow(now_us, &frame);
                }
            }
            Err(error) => self.worker.checkers.borrow_mut().invalid(now_us, index, self.tab, text, error),
        }
    }

    fn follow(&self, now_us: u64, frame: &ServerFrame<'_>) {
        let (mut waiting, mut ledger) = (self.user.waiting.borrow_mut(), self.worker.ledger.borrow_mut());
        match frame.kind {
            FrameKind::Event(RunEventKind::Started) => {
                waiting.started(frame.request_id, self.tab, now_us, &mut ledger);
            }
            FrameKind::Event(event) if event.is_terminal() => {
                waiting.ended(frame.request_id, self.tab, now_us, &mut ledger);
            }
            FrameKind::Pong
            | FrameKind::HeartbeatAck
            | FrameKind::Ack { .. }
            | FrameKind::Error { .. }
            | FrameKind::Stopped
            | FrameKind::System => waiting.answered(self.tab),
            FrameKind::Event(_)
            | FrameKind::Welcome { .. }
            | FrameKind::Heartbeat
            | FrameKind::Gap { .. }
            | FrameKind::Quality
            | FrameKind::Notice { .. }
            | FrameKind::Letters
            | FrameKind::Other => {}
        }
    }

    /// Sends what the reference client owes the server.
    async fn answer(&mut self) {
        while let Some(answer) = self.client.answer() {
            self.text.clear();
            if self.worker.options.dialect.encode(&answer, &mut self.text) {
                if matches!(answer, Outgoing::Confirm { .. }) {
                    self.worker.checkers.borrow_mut().confirmed();
                }
                self.send().await;
            }
        }
    }
}

/// The next message; never, while there is no connection.
async fn next(link: Option<&mut Link>) -> Option<Result<Message, Error>> {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}
