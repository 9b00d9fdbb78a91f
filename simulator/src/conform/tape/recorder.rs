//! Writes the tape while a stage plays.

use router::{
    AskRef, Config, ConnId, Connect, Context, Deliver, Effect, Input, QualityAnswer, QualityNews, Receipt,
    RunRef, Target,
};
use serde_json::{Value, value::RawValue};

use super::{Obstacle, Step, Tape, To};

/// Time that a case may let pass and still be played without waiting: nothing fell due in it.
const IDLE_US_MAX: u64 = 10_000_000;

/// A tape that is being written.
#[derive(Debug)]
pub(in crate::conform) struct Recorder {
    tape: Tape,
    /// The connections behind the sockets, the runs and the questions of the tape.
    sockets: Vec<ConnId>,
    runs: Vec<RunRef>,
    asks: Vec<AskRef>,
    /// Numbers of receipts that are to come, each with its step.
    receipts: Vec<(u64, usize)>,
    passed_us: u64,
    obstacle: Option<Obstacle>,
}

impl Recorder {
    pub(in crate::conform) const fn new(config: Config) -> Self {
        Self {
            tape: Tape { config, steps: Vec::new(), frames: Vec::new() },
            sockets: Vec::new(),
            runs: Vec::new(),
            asks: Vec::new(),
            receipts: Vec::new(),
            passed_us: 0,
            obstacle: None,
        }
    }

    /// The tape, if nothing on it keeps it from being played elsewhere.
    pub(in crate::conform) fn tape(&self) -> Result<Tape, Obstacle> {
        match self.obstacle {
            Some(obstacle) => Err(obstacle),
            None if self.tape.frames.iter().all(|frames| frames.len() < 2) => Err(Obstacle::Silent),
            None => Ok(self.tape.clone()),
        }
    }

    /// Something that has no counterpart over sockets.
    pub(in crate::conform) fn hinder(&mut self, obstacle: Obstacle) {
        self.obstacle.get_or_insert(obstacle);
    }

    /// A socket asked to be connected, and is `conn` if it was accepted.
    pub(in crate::conform) fn connected(&mut self, connect: &Connect<'_>, conn: Option<ConnId>) {
        match conn {
            Some(conn) => {
                self.sockets.push(conn);
                self.tape.frames.push(Vec::new());
            }
            // A name can be the reason, and no client can give one.
            None if connect.name.is_some() => self.hinder(Obstacle::Names),
            None => {}
        }
        self.tape.steps.push(Step::Connect {
            user: connect.user.to_owned(),
            tier: connect.tier,
            thread: connect.thread.map(str::to_owned),
            resume: connect.resume,
            accepted: conn.is_some(),
        });
    }

    /// A frame was written.
    pub(in crate::conform) fn written(&mut self, conn: ConnId, frame: &Value) {
        if let Some(socket) = self.socket(conn) {
            self.tape.frames[socket].push(frame.clone());
        }
    }

    /// A socket closed: the client left, or the router asked for it.
    pub(in crate::conform) fn closed(&mut self, conn: ConnId, by_router: bool) {
        if let Some(socket) = self.socket(conn) {
            let step = if by_router { Step::Closed { socket } } else { Step::Leave { socket } };
            self.tape.steps.push(step);
        }
    }

    /// The clock was moved.
    pub(in crate::conform) fn passed(&mut self, micros: u64) {
        self.passed_us = self.passed_us.saturating_add(micros);
        if self.passed_us > IDLE_US_MAX {
            self.hinder(Obstacle::Clock);
        }
    }

    /// What the router wants of its host.
    pub(in crate::conform) fn asked(&mut self, effect: &Effect) {
        if let Effect::StartRun(request) = effect {
            self.runs.push(request.run);
        } else if let Effect::AskQuality(request) = effect {
            self.asks.push(request.ask);
        } else if let Effect::Receipt(receipt) = effect {
            self.account(receipt);
        }
    }

    fn account(&mut self, receipt: &Receipt) {
        let due = self.receipts.iter().find(|(number, _)| *number == receipt.receipt.0);
        if let Some((_, step)) = due
            && let Some(Step::Deliver { account, .. }) = self.tape.steps.get_mut(*step)
        {
            *account = Some(receipt.into());
        }
    }

    /// An input was handed in. `taken`: no event was refused; `quiet`: it brought nothing about.
    pub(in crate::conform) fn input(&mut self, input: &Input<'_>, taken: bool, quiet: bool) {
        let step = match input {
            Input::Text { conn, text } => {
                self.socket(*conn).map(|socket| Step::Text { socket, text: (*text).to_owned() })
            }
            Input::Agent { run, event } => {
                let run = self.runs.iter().position(|known| known == run);
                run.map(|run| Step::Report { run, event: (*event).into(), taken })
            }
            Input::Quality { ask, answer } => {
                let ask = self.asks.iter().position(|known| known == ask);
                let answer = match answer {
                    QualityAnswer::Ready(answer) => Some((*answer).to_owned()),
                    QualityAnswer::Failed => None,
                };
                ask.map(|ask| Step::Answer { ask, answer })
            }
            Input::QualityNews { news, .. } => Some(news_step(news)),
            Input::Deliver(deliver) => self.delivery(deliver),
            Input::SweepIdle => Some(Step::Sweep),
            // Connections are written down by `connected` and `closed`; writes follow of themselves.
            Input::Connect(_) | Input::Written { .. } | Input::Closed { .. } => return,
            Input::Tick if quiet => return,
            Input::Tick => return self.hinder(Obstacle::Clock),
            Input::Flush => return self.hinder(Obstacle::Flush),
            Input::Unregister { .. } => return self.hinder(Obstacle::Names),
            Input::Stored(_)
            | Input::Woken(_)
            | Input::Store(_)
            | Input::AuthFailed { .. }
            | Input::Binary { .. }
            | Input::Pong { .. }
            | Input::Violation { .. }
            | Input::Tool { .. }
            | Input::Redrive { .. }
            | Input::Drain => return self.hinder(Obstacle::Other),
        };
        match step {
            Some(step) => self.tape.steps.push(step),
            None => self.hinder(Obstacle::Stale),
        }
    }

    fn delivery(&mut self, deliver: &Deliver<'_>) -> Option<Step> {
        let to = match deliver.target {
            Target::Connection(user, conn) => To::Socket(user.to_owned(), self.socket(conn)?),
            Target::User(user) => To::User(user.to_owned()),
            Target::Thread(user, thread) => To::Thread(user.to_owned(), thread.to_owned()),
            Target::Topic(_, topic) => To::Topic(topic.to_owned()),
            Target::All(_, None) => To::All(None),
            Target::All(_, Some(conn)) => To::All(Some(self.socket(conn)?)),
        };
        let Context { thread, run, request } = deliver.context;
        if let Some(receipt) = deliver.receipt {
            self.receipts.push((receipt.0, self.tape.steps.len()));
        }
        Some(Step::Deliver {
            to,
            thread: thread.map(str::to_owned),
            run: run.map(str::to_owned),
            request: request.map(str::to_owned),
            event: deliver.event.to_owned(),
            account: None,
        })
    }

    fn socket(&self, conn: ConnId) -> Option<usize> {
        self.sockets.iter().position(|known| *known == conn)
    }
}

fn news_step(news: &QualityNews<'_>) -> Step {
    let (alert, body): (bool, &RawValue) = match news {
        QualityNews::Update(body) => (false, body),
        QualityNews::Alert(body) => (true, body),
    };
    Step::News { alert, body: body.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::stage::{Line, Stage};

    fn stage() -> Stage {
        Stage::new(Config::default()).expect("the defaults are valid")
    }

    #[test]
    fn a_tape_has_what_was_done_and_what_came_of_it() {
        let mut stage = stage();
        assert!(stage.connect("a", "user-1", Line::Up));
        assert_eq!(stage.tape().err(), Some(Obstacle::Silent));
        stage.text("a", r#"{"type":"chat","payload":{"content":"hello"}}"#);
        stage.text("a", r#"{"type":"ping"}"#);
        stage.disconnect("a");
        assert!(!stage.connect("b", "no user", Line::Up));
        let tape = stage.tape().expect("playable");
        let steps: Vec<&str> = tape
            .steps
            .iter()
            .map(|step| match step {
                Step::Connect { accepted: true, .. } => "connect",
                Step::Connect { accepted: false, .. } => "refused",
                Step::Text { .. } => "text",
                Step::Leave { .. } => "leave",
                Step::Closed { .. }
                | Step::Deliver { .. }
                | Step::Report { .. }
                | Step::Answer { .. }
                | Step::News { .. }
                | Step::Sweep => "another",
            })
            .collect();
        assert_eq!(steps, ["connect", "text", "text", "leave", "refused"]);
        let kinds: Vec<_> = tape.frames[0].iter().filter_map(|frame| frame["type"].as_str()).collect();
        assert_eq!(kinds.first(), Some(&"connection_established"));
        assert_eq!(kinds.last(), Some(&"pong"));
    }

    #[test]
    fn what_no_client_or_host_can_do_is_an_obstacle() {
        type Act = fn(&mut Stage);
        let table: [(Act, Obstacle); 6] = [
            (|stage| stage.set_line("a", Line::Slow(5)), Obstacle::Line),
            (|stage| stage.advance(IDLE_US_MAX + 1), Obstacle::Clock),
            (|stage| _ = stage.router_mut(), Obstacle::Handlers),
            (|stage| stage.input(Input::Flush), Obstacle::Flush),
            (|stage| stage.input(Input::Unregister { user: None, name: "a" }), Obstacle::Names),
            (|stage| stage.input(Input::Drain), Obstacle::Other),
        ];
        for (act, obstacle) in table {
            let mut stage = stage();
            assert!(stage.connect("a", "user-1", Line::Up));
            stage.text("a", r#"{"type":"ping"}"#);
            assert!(stage.tape().is_ok());
            act(&mut stage);
            assert_eq!(stage.tape().err(), Some(obstacle));
        }
    }
}
