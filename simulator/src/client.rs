//! The reference client: what one tab remembers and how it answers. Reads nothing and waits for nothing; the
//! world and the load test drive it alike.
//!
//! **Cursor rule.** A frame whose cursor is not above the last one seen is a repeat and is dropped. With it a
//! client sees each event once, however often the server replays.
//!
//! A [careful](Client::careful) client also reckons with a network that takes frames away. A frame whose cursor is not
//! the next one, with no gap announced, is ahead of a hole: it is not taken, so that the client can reconnect with the
//! last cursor up to which it has everything. A welcome below that cursor, or from another incarnation of the server than
//! before, says that the server has forgotten; whatever comes next is new.

use crate::dialect::{FrameKind, Outgoing, ServerFrame};
use crate::plan::{ActionKind, Question};

/// One tab.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The newest cursor seen; 0 before the first.
    seen: u64,
    /// The user's cursor when this tab was first welcomed, or with which it came back without ever having been: what came
    /// before was never this tab's.
    base: Option<u64>,
    repeats: u64,
    confirm: Option<u64>,
    pong_due: bool,
    runs: Vec<OpenRun>,
    careful: bool,
    /// Whether this connection's welcome has come, which is its first frame.
    welcomed: bool,
    /// What it resumes with, as the connection began.
    resumes: Option<u64>,
    /// The incarnation of the server that its cursor is from.
    node: Box<str>,
    /// Announced as missing up to here.
    gap_to: u64,
    /// Whether the server has forgotten what it issued, and nothing new has come since.
    forgotten: bool,
    /// The cursor that it then had been asked to go on from.
    said: u64,
}

/// A run that this tab knows of and that has not ended.
#[derive(Clone, Debug)]
struct OpenRun {
    request_id: Box<str>,
    run_id: Box<str>,
}

/// What the cursor rule says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its cursor is the next one or a later one: taken.
    Fresh,
    /// Seen before: dropped.
    Repeat,
    /// It carries no cursor: taken.
    Uncounted,
    /// Something before it is missing and was not announced: not taken. Only a careful client looks for it.
    Hole,
}

impl Client {
    /// A tab that has never been connected.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tab that looks for holes.
    pub fn careful() -> Self {
        Self { careful: true, ..Self::default() }
    }

    /// The cursor to reconnect with: the last one seen, or the one of the first welcome.
    pub fn resume_cursor(&self) -> Option<u64> {
        if self.seen > 0 { Some(self.seen) } else { self.base }
    }

    /// A connection begins with that cursor: all that comes after it is this tab's.
    pub fn resumes_with(&mut self, cursor: u64) {
        self.base = self.base.or(Some(cursor));
    }

    /// The newest cursor seen; 0 before the first.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Something of each line of memory that a frame needs, so many pointers away.
    pub(crate) fn lines(&self, step: u8) -> u64 {
        let run = self.runs.first().map(|run| &run.run_id);
        match step {
            0 => self.seen ^ self.repeats ^ self.runs.len() as u64 ^ self.node.len() as u64,
            1 => run.map_or(0, |id| id.len() as u64),
            _ => run.and_then(|id| id.as_bytes().first()).copied().unwrap_or_default().into(),
        }
    }

    /// Frames that the cursor rule dropped.
    pub fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Takes in a frame.
    pub fn receive(&mut self, frame: &ServerFrame<'_>) -> Verdict {
        if frame.cursor == 0 {
            self.note(frame);
            return Verdict::Uncounted;
        }
        if frame.cursor <= self.seen {
            self.repeats += 1;
            return Verdict::Repeat;
        }
        if self.careful && self.is_ahead(frame.cursor) {
            return Verdict::Hole;
        }
        self.forgotten = false;
        self.seen = frame.cursor;
        // A replay of what the welcome counted: this tab has it only as it comes.
        self.base = self.base.map(|base| base.min(frame.cursor - 1));
        self.note(frame);
        Verdict::Fresh
    }

    /// Whether everything up to `cursor` was seen, or announced as missing.
    pub fn is_up_to(&self, cursor: u64) -> bool {
        self.forgotten || self.seen.max(self.gap_to).max(self.base.unwrap_or_default()) >= cursor
    }

    /// Whether another tab of the same user has seen something newer, as far as their cursors can be compared.
    pub fn lacks_what(&self, other: &Self) -> bool {
        let known = self.seen.max(self.gap_to).max(self.base.unwrap_or_default());
        self.node == other.node && other.seen > known
    }

    /// Whether the last welcome said that the server has forgotten, and nothing new has come since.
    pub fn was_forgotten(&self) -> bool {
        self.forgotten
    }

    /// Whether runs are open that this tab did not ask for, as far as `own` says.
    pub fn follows_others(&self, own: &dyn Fn(&str) -> bool) -> bool {
        self.runs.iter().any(|run| !own(&run.request_id))
    }

    /// The next thing to send in answer to what was received, if anything is due.
    pub fn answer(&mut self) -> Option<Outgoing<'static>> {
        if std::mem::take(&mut self.pong_due) {
            return Some(Outgoing::Pong);
        }
        self.confirm.take().map(|cursor| Outgoing::Confirm { cursor })
    }

    /// Forgets the answers that were due; for a lost connection.
    pub fn disconnected(&mut self) {
        self.pong_due = false;
        self.confirm = None;
        if !self.welcomed {
            // Which incarnation of the server announced that is unknown; it will say so again.
            self.gap_to = 0;
        }
        self.resumes = self.resume_cursor();
        self.welcomed = false;
    }

    /// The run of a message, while it is open.
    pub fn run_of(&self, request_id: &str) -> Option<&str> {
        self.runs.iter().find(|run| &*run.request_id == request_id).map(|run| &*run.run_id)
    }

    /// The message an action sends; `None` if it sends none, or stops a run that this tab does not know to be
    /// open.
    pub fn outgoing<'a>(&'a self, action: &'a ActionKind) -> Option<Outgoing<'a>> {
        match action {
            ActionKind::Say(say) => Some(Outgoing::Say(say)),
            ActionKind::Ping => Some(Outgoing::Ping),
            ActionKind::Heartbeat => Some(Outgoing::Heartbeat),
            ActionKind::Typing { thread } => Some(Outgoing::Typing { thread }),
            ActionKind::Unknown { type_name } => Some(Outgoing::Unknown { type_name }),
            ActionKind::Quality(question) => {
                let Question { type_name, message_id, thread } = &**question;
                Some(Outgoing::Quality { type_name, message_id, thread })
            }
            ActionKind::Malformed(bad) => Some(Outgoing::Malformed { frame: &bad.frame }),
            ActionKind::Stop { message_id } => {
                self.run_of(message_id).map(|run_id| Outgoing::Stop { run_id })
            }
            ActionKind::Connect
            | ActionKind::Disconnect
            | ActionKind::Reconnect
            | ActionKind::StallReading { .. }
            | ActionKind::Leave => None,
        }
    }

    /// Whether frames between the last one seen and this one are missing, and nobody said so.
    fn is_ahead(&self, cursor: u64) -> bool {
        // The first frame of a connection is its welcome: without one, that is missing too.
        !self.welcomed || self.resume_cursor().is_none_or(|last| cursor > last.max(self.gap_to) + 1)
    }

    fn welcomed(&mut self, cursor: u64, node: &str) {
        if self.careful {
            let other = !self.node.is_empty() && *self.node != *node;
            self.forgotten = other || self.resumes.is_some_and(|last| cursor < last);
            self.node = node.into();
            self.welcomed = true;
        }
        if self.forgotten {
            // The old numbers mean nothing here.
            self.said = self.resumes.unwrap_or_default();
            (self.seen, self.base, self.gap_to, self.resumes) = (0, None, 0, None);
            self.runs.clear();
        }
        self.base = self.base.or(Some(cursor));
    }

    fn announced(&mut self, from: u64, to: u64) {
        if self.forgotten {
            // What begins later than after all that this tab said it has, overtook something.
            if from <= self.said.max(self.base.unwrap_or_default()) + 1 {
                (self.forgotten, self.base, self.gap_to) = (false, Some(to), to);
            }
        } else if self.careful && self.resume_cursor().is_some_and(|last| from <= last.max(self.gap_to) + 1) {
            self.gap_to = self.gap_to.max(to);
            // How those runs ended may be in the gap.
            self.runs.clear();
        }
    }

    fn note(&mut self, frame: &ServerFrame<'_>) {
        match frame.kind {
            FrameKind::Welcome { cursor: Some(cursor) } => self.welcomed(cursor, frame.node()),
            // The one that counts is still to come.
            FrameKind::Welcome { cursor: None } => {}
            FrameKind::Gap { from, to } => self.announced(from, to),
            FrameKind::Heartbeat => self.pong_due = true,
            FrameKind::Event(event) if event.is_terminal() => {
                self.runs.retain(|run| &*run.run_id != frame.run_id);
                self.confirm = Some(self.seen).filter(|&seen| seen > 0);
            }
            FrameKind::Event(_) => self.learn(frame),
            FrameKind::Pong
            | FrameKind::HeartbeatAck
            | FrameKind::Ack { .. }
            | FrameKind::Error { .. }
            | FrameKind::Stopped
            | FrameKind::System
            | FrameKind::Quality
            | FrameKind::Notice { .. }
            | FrameKind::Letters
            | FrameKind::Other => {}
        }
    }

    fn learn(&mut self, frame: &ServerFrame<'_>) {
        if !self.runs.iter().any(|run| &*run.run_id == frame.run_id) {
            self.runs.push(OpenRun { request_id: frame.request_id.into(), run_id: frame.run_id.into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Dialect, Goldenpath};

    fn event(kind: &str, seq: u64, cursor: u64) -> String {
        format!(r#"{{"type":"{kind}","run_id":"r1","request_id":"m1","seq":{seq},"cursor":{cursor}}}"#)
    }

    fn receive(client: &mut Client, text: &str) -> Verdict {
        client.receive(&Goldenpath.decode(text).unwrap())
    }

    #[test]
    fn repeats_are_dropped_and_counted() {
        let mut client = Client::new();
        assert_eq!(client.resume_cursor(), None);
        let welcome = r#"{"type":"connection_established","data":{"cursor":4}}"#;
        assert_eq!(receive(&mut client, welcome), Verdict::Uncounted);
        assert_eq!(client.resume_cursor(), Some(4));
        assert_eq!(receive(&mut client, &event("agent_started", 1, 5)), Verdict::Fresh);
        assert_eq!(receive(&mut client, &event("agent_started", 1, 5)), Verdict::Repeat);
        assert_eq!(receive(&mut client, r#"{"type":"pong"}"#), Verdict::Uncounted);
        assert_eq!((client.repeats(), client.resume_cursor()), (1, Some(5)));
    }

    #[test]
    fn a_careful_client_takes_nothing_beyond_a_hole() {
        let mut client = Client::careful();
        assert_eq!(receive(&mut client, &event("agent_started", 1, 5)), Verdict::Hole, "no welcome came");
        let welcome = |cursor| format!(r#"{{"type":"connection_established","data":{{"cursor":{cursor}}}}}"#);
        receive(&mut client, &welcome(4));
        assert_eq!(receive(&mut client, &event("agent_thinking", 2, 6)), Verdict::Hole);
        assert_eq!((client.resume_cursor(), client.is_up_to(4), client.is_up_to(5)), (Some(4), true, false));
        receive(&mut client, r#"{"type":"recovery_gap","from":5,"to":7}"#);
        assert!(client.is_up_to(7));
        assert_eq!(receive(&mut client, &event("agent_thinking", 4, 8)), Verdict::Fresh);
        assert_eq!(receive(&mut client, &event("agent_thinking", 4, 8)), Verdict::Repeat);
        receive(&mut client, &welcome(2));
        assert_eq!(receive(&mut client, &event("agent_started", 1, 3)), Verdict::Repeat, "a late welcome");
        client.disconnected();
        receive(&mut client, &welcome(2));
        assert_eq!(receive(&mut client, &event("agent_started", 1, 3)), Verdict::Fresh, "the server forgot");
        assert_eq!((client.resume_cursor(), client.repeats()), (Some(3), 2));
        for (node, verdict) in [("n0", Verdict::Hole), ("n1", Verdict::Fresh)] {
            client.disconnected();
            let data = format!(r#"{{"cursor":6,"connection_id":"conn-{node}-1"}}"#);
            receive(&mut client, &format!(r#"{{"type":"connection_established","data":{data}}}"#));
            assert_eq!(receive(&mut client, &event("agent_thinking", 2, 7)), verdict, "{node}");
        }
    }

    #[test]
    fn a_gap_that_overtook_what_came_before_it_is_not_taken_for_the_beginning() {
        let welcome = |node: u32, cursor: u64| {
            let data = format!(r#"{{"cursor":{cursor},"connection_id":"conn-n{node}-1"}}"#);
            format!(r#"{{"type":"connection_established","data":{data}}}"#)
        };
        for (from, verdict) in [(1, Verdict::Fresh), (3, Verdict::Hole)] {
            let mut client = Client::careful();
            receive(&mut client, &welcome(0, 0));
            client.disconnected();
            receive(&mut client, &welcome(1, 0));
            receive(&mut client, &format!(r#"{{"type":"recovery_gap","from":{from},"to":204}}"#));
            assert_eq!(receive(&mut client, &event("agent_started", 1, 205)), verdict, "from {from}");
        }
    }

    #[test]
    fn a_tab_that_was_never_welcomed_comes_back_for_everything() {
        let mut client = Client::careful();
        client.disconnected();
        assert_eq!(client.resume_cursor(), None);
        client.resumes_with(0);
        receive(&mut client, r#"{"type":"connection_established","data":{"cursor":5}}"#);
        assert_eq!((client.resume_cursor(), client.is_up_to(5)), (Some(0), false));
        assert_eq!(receive(&mut client, &event("agent_started", 1, 1)), Verdict::Fresh);
    }

    #[test]
    fn nodes_that_share_a_log_are_one_server_and_the_welcome_of_one_that_cannot_read_it_is_none_yet() {
        let welcome = |node: &str, more: &str| {
            let features = r#"{"resume":true,"shared_log":true}"#;
            let data = format!(r#"{{"connection_id":"conn-{node}-1","features":{features},{more}}}"#);
            format!(r#"{{"type":"connection_established","data":{data}}}"#)
        };
        let mut client = Client::careful();
        receive(&mut client, &welcome("n0", r#""cursor":4"#));
        assert_eq!(receive(&mut client, &event("agent_started", 1, 5)), Verdict::Fresh);
        client.disconnected();
        receive(&mut client, &welcome("n1", r#""degraded":true"#));
        assert_eq!((client.resume_cursor(), client.was_forgotten()), (Some(5), false));
        receive(&mut client, &welcome("n1", r#""cursor":6"#));
        assert_eq!(receive(&mut client, &event("agent_started", 1, 5)), Verdict::Repeat);
        assert_eq!(receive(&mut client, &event("agent_completed", 2, 6)), Verdict::Fresh);
    }

    #[test]
    fn a_gap_without_its_welcome_says_nothing_of_the_next_connection() {
        let mut client = Client::careful();
        client.resumes_with(0);
        receive(&mut client, r#"{"type":"recovery_gap","from":1,"to":3}"#);
        client.disconnected();
        receive(&mut client, r#"{"type":"connection_established","data":{"cursor":0}}"#);
        assert_eq!(receive(&mut client, &event("agent_thinking", 3, 3)), Verdict::Hole);
        assert_eq!(receive(&mut client, &event("agent_started", 1, 1)), Verdict::Fresh);
    }

    #[test]
    fn tabs_of_one_user_compare_the_cursors_of_one_node() {
        let at = |node: &str, seen: u64| {
            let mut client = Client::careful();
            let data = format!(r#"{{"cursor":4,"connection_id":"conn-{node}-1"}}"#);
            receive(&mut client, &format!(r#"{{"type":"connection_established","data":{data}}}"#));
            (5..=seen).for_each(|cursor| _ = receive(&mut client, &event("agent_thinking", cursor, cursor)));
            client
        };
        assert!(at("n0", 5).lacks_what(&at("n0", 6)) && at("n0", 4).lacks_what(&at("n0", 5)));
        assert!(!at("n0", 6).lacks_what(&at("n0", 6)) && !at("n0", 4).lacks_what(&at("n0", 4)));
        assert!(!at("n1", 5).lacks_what(&at("n0", 6)), "those of another node say nothing");
        let mut told = at("n0", 5);
        receive(&mut told, r#"{"type":"recovery_gap","from":6,"to":6}"#);
        assert!(!told.lacks_what(&at("n0", 6)), "it was announced as missing");
    }

    #[test]
    fn a_stop_names_the_run_while_it_is_open_and_its_end_is_confirmed() {
        let mut client = Client::new();
        let stop = ActionKind::Stop { message_id: "m1".into() };
        assert!(client.outgoing(&stop).is_none());
        receive(&mut client, &event("agent_started", 1, 5));
        assert!(matches!(client.outgoing(&stop), Some(Outgoing::Stop { run_id: "r1" })));
        assert!(client.answer().is_none());
        receive(&mut client, &event("agent_completed", 2, 6));
        assert!(client.outgoing(&stop).is_none());
        assert!(matches!(client.answer(), Some(Outgoing::Confirm { cursor: 6 })));
        assert!(client.answer().is_none());
    }
}
