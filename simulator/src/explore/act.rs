//! What can happen next, and how it happens.

use router::{AgentEvent, Connect, Context, Deliver, Input, Target, Ticket, ToolStep};
use serde_json::value::RawValue;

use super::{
    Breach,
    choice::{Choice, Kind},
    person::{Line, Person, Progress, Tab},
    world::{Expect, World, id, words},
};
use crate::dialect::RunEventKind;

impl World {
    /// Everything that can happen next. `late` tabs may be unconnected while other things happen.
    pub(super) fn choices(&self, late: u8) -> Vec<Choice> {
        let mut choices = Vec::new();
        let tabs = || self.people.iter().flat_map(|person| &person.tabs);
        let unconnected = tabs().filter(|tab| matches!(tab.line, Line::Never)).count();
        let begun = unconnected <= usize::from(late);
        for (user, person) in self.people.iter().enumerate() {
            for (n, tab) in person.tabs.iter().enumerate() {
                self.choices_of_tab((user, person), (n, tab), begun, &mut choices);
            }
            for (n, message) in person.messages.iter().enumerate() {
                let may_call = message.progress == Progress::Thought && self.left.tools > 0;
                choices.extend(may_call.then_some(Choice::new(Kind::CallTool, user, 0, n)));
                let works = message.progress != Progress::Done;
                choices.extend(works.then_some(Choice::new(Kind::Work, user, 0, n)));
            }
        }
        let waits = begun && self.left.ticks > 0 && self.router.next_deadline().is_some();
        choices.extend(waits.then_some(Choice::new(Kind::Tick, 0, 0, 0)));
        choices
    }

    fn choices_of_tab(
        &self,
        (user, person): (usize, &Person),
        (n, tab): (usize, &Tab),
        begun: bool,
        choices: &mut Vec<Choice>,
    ) {
        let left = &self.left;
        let mut may = |when: bool, kind| choices.extend(when.then_some(Choice::new(kind, user, n, 0)));
        may(matches!(tab.line, Line::Never | Line::Away), Kind::Connect);
        if !begun {
            return;
        }
        may(!tab.lost.is_empty(), Kind::Notice);
        let Line::Live(socket) = &tab.line else { return };
        let reads = socket.unread.is_none();
        may(left.disconnects > 0 && reads, Kind::Cut);
        may(left.disconnects > 0, Kind::CutFull);
        may(!reads, Kind::ReadOn);
        may(reads && left.stalls > 0, Kind::Stall);
        if !reads {
            return;
        }
        may(left.runs > 0, Kind::Say);
        may(tab.confirm, Kind::Confirm);
        let mut about =
            |when: bool, kind, what| choices.extend(when.then_some(Choice::new(kind, user, n, what)));
        for (m, message) in person.messages.iter().enumerate() {
            about(left.retries > 0, Kind::Retry, m);
            // A client learns of a run by its first event.
            let known = !matches!(message.progress, Progress::Asked | Progress::Done);
            about(left.stops > 0 && known, Kind::Stop, m);
        }
        for (other, victim) in self.people.iter().enumerate().filter(|(other, _)| *other != user) {
            let intrudes = left.intrusions > 0;
            let works = victim.messages.iter().any(|message| message.progress != Progress::Done);
            about(intrudes && works, Kind::StopForeign, other);
            about(intrudes, Kind::SpeakAs, other);
            about(intrudes && victim.tabs.iter().any(|tab| tab.reading().is_some()), Kind::DeliverTo, other);
        }
    }

    /// Makes a choice happen, and everything that follows by itself; then looks whether all is as it must be.
    pub(super) fn perform(&mut self, choice: Choice) -> Result<(), Breach> {
        let Choice { kind, user, tab, what } = choice;
        let (user, tab, what) = (usize::from(user), usize::from(tab), usize::from(what));
        self.expect = Expect::default();
        match kind {
            Kind::Connect => self.connect(user, tab),
            Kind::Say => {
                self.left.runs -= 1;
                self.expect.start = Some(user);
                let message = self.people[user].messages.len();
                self.say(user, tab, &chat(user, message))
            }
            Kind::Retry => {
                self.left.retries -= 1;
                self.expect.duplicate = Some((user, tab));
                self.say(user, tab, &chat(user, what))
            }
            Kind::Confirm => {
                let state = &mut self.people[user].tabs[tab];
                state.confirm = false;
                let text = format!(r#"{{"type":"confirmation","payload":{{"cursor":{}}}}}"#, state.seen);
                self.say(user, tab, &text)
            }
            Kind::Cut | Kind::CutFull => {
                self.left.disconnects -= 1;
                self.people[user].tabs[tab].hang_up(kind == Kind::Cut);
                Ok(())
            }
            Kind::Notice => {
                let lost = self.people[user].tabs[tab].lost.remove(0);
                self.input(Input::Closed { conn: lost.conn })
            }
            Kind::Stall => {
                self.left.stalls -= 1;
                if let Line::Live(socket) = &mut self.people[user].tabs[tab].line {
                    socket.unread = Some(Vec::new());
                }
                Ok(())
            }
            Kind::ReadOn => self.read_on(user, tab),
            Kind::Work => self.work(user, what),
            Kind::CallTool => {
                self.left.tools -= 1;
                self.call_tool(user, what)
            }
            Kind::Stop => {
                self.left.stops -= 1;
                self.expect.stopped = Some((user, tab));
                self.expect.end = Some((user, what));
                let run_id = self.run_id(user, what);
                self.say(user, tab, &stop(&run_id))
            }
            Kind::Tick => {
                self.left.ticks -= 1;
                self.expect.late = true;
                self.tick()
            }
            Kind::StopForeign | Kind::SpeakAs | Kind::DeliverTo => {
                self.left.intrusions -= 1;
                self.intrude(kind, user, tab, what)
            }
        }?;
        self.settled()
    }

    fn connect(&mut self, user: usize, tab: usize) -> Result<(), Breach> {
        let person = &self.people[user];
        let (written, published) = (person.written, person.stream.len() as u64);
        let state = &person.tabs[tab];
        let first = matches!(state.line, Line::Never);
        let resume = (!first).then_some(state.at());
        let ticket = Ticket((user as u64) << 8 | tab as u64);
        let name = id(user);
        self.input(Input::Connect(Connect { resume, ..Connect::new(ticket, &name) }))?;
        let state = &self.people[user].tabs[tab];
        let lost = first && published > written && state.seen == 0 && !self.has_ticked();
        if lost {
            let detail =
                format!("events {} to {published}, which nobody was written, are not replayed", written + 1);
            return Err(Breach::new("deliver.I2", detail).at(user, tab));
        }
        Ok(())
    }

    fn say(&mut self, user: usize, tab: usize, text: &str) -> Result<(), Breach> {
        let Some(conn) = self.people[user].tabs[tab].reading() else { return Ok(()) };
        self.input(Input::Text { conn, text })
    }

    /// The next step of an agent.
    fn work(&mut self, user: usize, message: usize) -> Result<(), Breach> {
        let person = &mut self.people[user];
        let run = person.messages[message].run;
        let (next, kind) = match person.messages[message].progress {
            Progress::Asked => (Progress::Started, RunEventKind::Started),
            Progress::Started => (Progress::Thought, RunEventKind::Thinking),
            Progress::Thought | Progress::Called => (Progress::Done, RunEventKind::Completed),
            Progress::Calling => {
                let found = json(&format!("\"{}\"", words(user, "found")));
                let step = ToolStep::Done { call: "c", result: Ok(&found) };
                return self.input(Input::Tool { run, step });
            }
            Progress::Done => return Ok(()),
        };
        person.messages[message].progress = next;
        person.publish(message, kind);
        let text = words(user, kind.name());
        let event = match next {
            Progress::Started => AgentEvent::Started { agent: "agent", task: &text },
            Progress::Thought => AgentEvent::Thinking { reasoning: &text, step: None },
            Progress::Asked | Progress::Calling | Progress::Called | Progress::Done => {
                AgentEvent::Completed { response: &text, execution_time_ms: None }
            }
        };
        self.input(Input::Agent { run, event })
    }

    fn call_tool(&mut self, user: usize, message: usize) -> Result<(), Breach> {
        let person = &mut self.people[user];
        person.messages[message].progress = Progress::Calling;
        person.publish(message, RunEventKind::ToolExecuting);
        let run = person.messages[message].run;
        let parameters = json(&format!("{{\"q\":\"{}\"}}", words(user, "looks")));
        let step = ToolStep::Call { call: "c", run_id: None, tool: "look", parameters: &parameters };
        self.input(Input::Tool { run, step })
    }

    /// A user, or the host on a user's behalf, reaches for what is another's: refused, and without any trace for the other.
    fn intrude(&mut self, kind: Kind, user: usize, tab: usize, victim: usize) -> Result<(), Breach> {
        if kind == Kind::DeliverTo {
            let found = self.people[victim].tabs.iter().find_map(Tab::reading);
            let Some(conn) = found else { return Ok(()) };
            let event = json(&format!(r#"{{"type":"note","text":"{}"}}"#, words(user, "notes")));
            let name = id(user);
            let target = Target::Connection(&name, conn);
            let deliver = Deliver { receipt: None, target, context: Context::default(), event: &event };
            return self.input(Input::Deliver(deliver));
        }
        if kind == Kind::StopForeign {
            let works = |message: &super::person::Message| message.progress != Progress::Done;
            let Some(message) = self.people[victim].messages.iter().position(works) else { return Ok(()) };
            self.expect.stopped = Some((user, tab));
            let run_id = self.run_id(victim, message);
            return self.say(user, tab, &stop(&run_id));
        }
        self.expect.refusal = Some((user, tab));
        let (victim, text) = (id(victim), words(user, "pretends"));
        let text = format!(
            r#"{{"type":"user_message","message_id":"x","user_id":"{victim}","payload":{{"content":"{text}"}}}}"#
        );
        self.say(user, tab, &text)?;
        match self.expect.refusal {
            Some(_) => {
                Err(Breach::new("iso.I4", "a message in another user's name was not refused").at(user, tab))
            }
            None => Ok(()),
        }
    }

    /// After each choice: everybody who reads has everything, and everybody who asked was answered.
    fn settled(&mut self) -> Result<(), Breach> {
        self.router.verify().map_err(|claim| Breach::new("account.D10", claim))?;
        if let Some(user) = self.expect.start {
            return Err(Breach::new("golden.incomplete", "a message started no run").of(user));
        }
        if let Some((user, tab)) = self.expect.duplicate.or(self.expect.stopped) {
            return Err(Breach::new("golden.answer", "a message was not answered").at(user, tab));
        }
        if let Some((user, message)) = self.expect.end
            && self.people[user].messages[message].progress != Progress::Done
        {
            return Err(Breach::new("golden.incomplete", "a run that was stopped goes on").of(user));
        }
        for (user, person) in self.people.iter().enumerate() {
            let published = person.stream.len() as u64;
            for (n, tab) in person.tabs.iter().enumerate() {
                if tab.reading().is_some() && tab.at() < published {
                    let detail = format!("cursors {} to {published} were not sent", tab.at() + 1);
                    return Err(Breach::new("deliver.I2", detail).at(user, n));
                }
            }
        }
        Ok(())
    }

    fn run_id(&self, user: usize, message: usize) -> String {
        let owner = (user as u8, message as u8);
        let number = self.runs.iter().position(|run| *run == owner).map_or(0, |at| at + 1);
        format!("run-{}-{number}", self.router.config().node)
    }
}

/// Message `mN`: all users call theirs alike, so that a mix-up would show.
fn chat(user: usize, message: usize) -> String {
    let text = words(user, "asks");
    format!(
        r#"{{"type":"user_message","message_id":"m{message}","thread_id":"t","payload":{{"content":"{text}"}}}}"#
    )
}

fn stop(run_id: &str) -> String {
    format!(r#"{{"type":"stop_agent","payload":{{}},"run_id":"{run_id}"}}"#)
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("the text is JSON as it stands here")
}
