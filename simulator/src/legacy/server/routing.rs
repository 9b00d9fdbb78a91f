//! Message router: reads a frame, finds the handler of its type, and says what is to happen.
//!
//! It writes nothing itself. Handlers of the agent types are registered per connection when it is accepted, and go
//! with it.

use std::collections::BTreeMap;

use router::{Close, ConnId, ErrorCode, Kind, Tier, UserId, message};

use super::agents::Ask;
use super::common::{Common, Outcome};
use super::endpoint::Mode;
use super::messages::{self, Heard, Messages};
use super::quality::Quality;
use super::wire;
use crate::legacy::{
    Hazard, Hazards,
    message_types::MessageType,
    python::{Value, json as python_json},
};

/// What a message leads to, in order.
#[derive(Debug)]
pub(super) enum Act {
    /// A frame back to the sender.
    Reply(String),
    /// An agent is started.
    Start(Ask),
    /// A run of the user, or all of them, is stopped.
    Stop { user: UserId, run_id: Option<String> },
    /// The client has everything up to this cursor.
    Confirm { user: UserId, cursor: u64 },
    /// A frame to all connections of the user, not kept.
    Tell { user: UserId, text: String },
    /// The loop of the connection ends.
    Close(Close),
}

/// What became of a message.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) outcome: Outcome,
    pub(super) acts: Vec<Act>,
}

impl Routed {
    pub(super) fn new(outcome: Outcome, acts: Vec<Act>) -> Self {
        Self { outcome, acts }
    }

    fn reply(outcome: Outcome, text: String) -> Self {
        Self::new(outcome, vec![Act::Reply(text)])
    }

    fn quiet() -> Self {
        Self::new(Outcome::Handled, Vec::new())
    }

    fn heard(heard: Heard) -> Self {
        Self::new(heard.outcome, heard.replies.into_iter().map(Act::Reply).collect())
    }
}

/// What the old reader could not read.
fn fatal(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NotAnObject | ErrorCode::TooDeep | ErrorCode::BadNumber)
}

/// Whether a member of a bad field is itself bad. Of one that is given twice the old reader took the last, and had no
/// reason to be silent.
fn is_bad(raw: &Value, code: ErrorCode, path: &str) -> bool {
    let odd = |value: &Value| !value.is_none() && value.as_str().is_none();
    code != ErrorCode::BadField || raw.get(path).is_some_and(odd)
}

/// Whether the old router took what is refused: H8 in silence, H12 as a number, H22 as somebody's word.
fn passes(common: &Common, code: ErrorCode) -> bool {
    let by = |hazard, codes: &[ErrorCode]| common.has(hazard) && codes.contains(&code);
    by(Hazard::H8, &[ErrorCode::BadPayload, ErrorCode::BadField])
        || by(Hazard::H12, &[ErrorCode::BadNumber, ErrorCode::JsonParseError])
        || by(Hazard::H22, &[ErrorCode::ForeignUserId])
}

/// A frame as it is handed on by the endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inbound<'a> {
    pub(super) conn: ConnId,
    /// Who the connection was authenticated as.
    pub(super) user: &'a UserId,
    pub(super) text: &'a str,
}

/// The process-wide message router.
#[derive(Debug)]
pub(super) struct Routing {
    messages: Messages,
    /// Handlers of the agent types, one per connection, in the order in which they came.
    handlers: Vec<AgentHandler>,
    /// Handlers by the index of their connection, for as long as the process lives.
    cache: BTreeMap<usize, (UserId, Tier)>,
    quality: Quality,
}

/// A handler that starts agents for the connection it was made for.
#[derive(Debug)]
struct AgentHandler {
    conn: ConnId,
    user: UserId,
    tier: Tier,
}

impl Routing {
    pub(super) fn new(hazards: Hazards) -> Self {
        Self {
            messages: Messages::new(hazards),
            handlers: Vec::new(),
            cache: BTreeMap::new(),
            quality: Quality::new(hazards),
        }
    }

    /// A connection was accepted: its handlers are registered.
    pub(super) fn connected(
        &mut self,
        common: &Common,
        conn: ConnId,
        (user, tier): (&UserId, Tier),
        mode: Mode,
    ) {
        self.messages.connected(conn, user, mode);
        let mut handler = AgentHandler { conn, user: user.clone(), tier };
        // G21: the cache knows a handler by the identity of an object, which is given again to a later one.
        if common.has(Hazard::G21) {
            let (user, tier) = self.cache.entry(conn.index()).or_insert((user.clone(), tier));
            handler = AgentHandler { conn, user: user.clone(), tier: *tier };
        }
        self.handlers.push(handler);
    }

    /// A connection is gone, and its handlers with it.
    pub(super) fn disconnected(&mut self, common: &Common, conn: ConnId) {
        self.messages.disconnected(conn);
        // G2: nobody takes them out of the process-wide list.
        if common.has(Hazard::G2) {
            return;
        }
        self.handlers.retain(|handler| handler.conn != conn);
    }

    /// A user is gone for good.
    pub(super) fn forget(&mut self, user: &UserId) {
        self.quality.forget(user);
        self.messages.forget(user);
    }

    /// A run failed.
    pub(super) fn alert(&mut self, common: &mut Common) {
        self.quality.alert(common);
    }

    /// Something of the quality router's has waited long enough.
    pub(super) fn quality_due(&mut self, common: &mut Common, number: u64) -> Vec<Act> {
        self.quality.due(common, number)
    }

    /// Handlers and subscriptions kept.
    pub(super) fn kept(&self) -> u64 {
        (self.handlers.len() + self.cache.len()) as u64 + self.quality.kept() + self.messages.kept()
    }

    /// Routes a frame.
    pub(super) fn route(&mut self, common: &mut Common, frame: &Inbound<'_>) -> Routed {
        let (user, now) = (frame.user, common.now);
        let refused = |code, path: &str| Routed::reply(Outcome::Rejected, wire::error(code, path, now));
        if frame.text.len() > common.limits.inbound_bytes_max as usize {
            return refused(ErrorCode::TooLarge, "");
        }
        let envelope = match message::scan(frame.text, user.as_bytes(), common.limits.nesting_max) {
            Ok(envelope) => envelope,
            // G17: the loop takes it for an object and fails.
            Err(fault) if fault.code == ErrorCode::NotAnObject && common.has(Hazard::G17) => {
                return Routed::new(Outcome::HandlerError, vec![Act::Close(Close::Unregistered)]);
            }
            // H7: the reader itself fails, and the loop with it.
            Err(fault) if fatal(fault.code) && common.has(Hazard::H7) => {
                return Routed::new(Outcome::HandlerError, vec![Act::Close(Close::Unregistered)]);
            }
            Err(fault) => {
                let passed = passes(common, fault.code).then(|| messages::read(frame.text)).flatten();
                return match passed.filter(|raw| is_bad(raw, fault.code, &fault.path)) {
                    Some(raw) => self.unchecked(common, frame, raw),
                    None => refused(fault.code, &fault.path),
                };
            }
        };
        let name = match envelope.kind {
            None => "unknown".into(),
            Some(raw) if raw.is_null() => "unknown".into(),
            Some(raw) if raw.is_container() => return refused(ErrorCode::BadField, "type"),
            Some(raw) => raw.text().unwrap_or_else(|| raw.json().into()),
        };
        let Some(kind) = Kind::from_name(&name) else {
            return self.hear(common, frame).map_or_else(Routed::quiet, Routed::heard);
        };
        // G0: a name that is also an outbound one is taken for progress, and progress needs no answer.
        if common.has(Hazard::G0) && (kind.starts_run() || kind == Kind::Ping) {
            return Routed::quiet();
        }
        if common.has(Hazard::G0) && kind == Kind::StopAgent {
            return Routed::reply(Outcome::Unhandled, wire::ack(&name, user, now));
        }
        // G3: the handler of an alias calls what its bridge does not have. G4: the fallback handler passes an id where
        // its service wants a context. Nobody is told.
        let is_alias = kind == Kind::UserMessage && name != kind.name();
        if (is_alias && common.has(Hazard::G3)) || (kind == Kind::StartAgent && common.has(Hazard::G4)) {
            return Routed::new(Outcome::HandlerError, Vec::new());
        }
        self.handle(common, frame, kind, &envelope)
    }

    /// The handler of a recognised type.
    fn handle(
        &mut self,
        common: &mut Common,
        frame: &Inbound<'_>,
        kind: Kind,
        envelope: &message::Envelope<'_>,
    ) -> Routed {
        let user = frame.user;
        // Q5: the quality router's own entry for the type raises, up to the loop.
        if kind == Kind::StartAgent && !self.quality.leaves_start(user) {
            return Routed::new(Outcome::HandlerError, vec![Act::Close(Close::Unregistered)]);
        }
        // The canned agent has the real one in its place, unless it fails by itself (H2).
        let canned = matches!(kind, Kind::StartAgent | Kind::AgentRequest);
        if canned && !common.has(Hazard::H1) && !common.has(Hazard::H2) {
            return self.ask(common, frame, kind, envelope, frame.user);
        }
        if kind.starts_run() {
            let heard = self.hear(common, frame);
            let asked =
                heard.as_ref().and_then(|heard| heard.ask.as_ref()).map(|ask| UserId::from(&*ask.user));
            let silent =
                [Hazard::H1, Hazard::H2, Hazard::H5, Hazard::H6].iter().any(|hazard| common.has(*hazard));
            return match asked {
                Some(asked) => self.ask(common, frame, kind, envelope, &asked),
                None if silent => heard.map_or_else(Routed::quiet, Routed::heard),
                // A message without a text asks nobody.
                None => self.ask(common, frame, kind, envelope, frame.user),
            };
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other types are the model's")]
        match kind {
            Kind::StopAgent => {
                let run_id = envelope.run_id.and_then(message::Raw::text).map(String::from);
                Routed::new(Outcome::Handled, vec![Act::Stop { user: user.clone(), run_id }])
            }
            Kind::Confirmation => {
                let cursor = envelope.payload().find("cursor").and_then(message::Raw::integer);
                let confirm = |cursor| Act::Confirm { user: user.clone(), cursor };
                Routed::new(Outcome::Handled, cursor.map(confirm).into_iter().collect())
            }
            Kind::GetQualityMetrics
            | Kind::ValidateContent
            | Kind::GenerateQualityReport
            | Kind::SubscribeQualityAlerts => self.quality.route(common, user, kind, envelope),
            _ => self.hear(common, frame).map_or_else(Routed::quiet, Routed::heard),
        }
    }

    /// Has the model route a frame.
    fn hear(&mut self, common: &mut Common, frame: &Inbound<'_>) -> Option<Heard> {
        let mut raw = messages::read(frame.text)?;
        Some(self.messages.route(common, frame.conn, frame.user, &mut raw))
    }

    /// A frame that should have been refused: the model makes of it what the old router made.
    fn unchecked(&mut self, common: &mut Common, frame: &Inbound<'_>, mut raw: Value) -> Routed {
        let heard = self.messages.route(common, frame.conn, frame.user, &mut raw);
        let Some(asked) = &heard.ask else { return Routed::heard(heard) };
        let of_user = |handler: &&AgentHandler| *handler.user == *asked.user;
        // Who is named may have no connection: then the sender's own handler has it.
        let own = |handler: &&AgentHandler| handler.conn == frame.conn;
        let handlers = &self.handlers;
        let Some(handler) = handlers.iter().find(of_user).or_else(|| handlers.iter().find(own)) else {
            return Routed::heard(heard);
        };
        let named = raw.get("type").and_then(Value::as_str).and_then(MessageType::from_text);
        let ask = Ask {
            conn: frame.conn,
            user: asked.user.as_str().into(),
            tier: handler.tier,
            kind: named.and_then(|kind| Kind::from_name(kind.wire())).unwrap_or(Kind::UserMessage),
            thread_id: asked.thread_id.clone().unwrap_or_default(),
            request_id: raw.get("message_id").and_then(Value::as_str).unwrap_or_default().to_owned(),
            text: asked.text.clone(),
            payload: python_json::dumps(raw.get("payload").unwrap_or(&Value::None)),
        };
        Routed::new(heard.outcome, vec![Act::Start(ask)])
    }

    /// A message for an agent goes to the handler of its own connection; `asked` is whose agent the model asked.
    fn ask(
        &self,
        common: &Common,
        frame: &Inbound<'_>,
        kind: Kind,
        envelope: &message::Envelope<'_>,
        asked: &UserId,
    ) -> Routed {
        let refused = |code| Routed::reply(Outcome::Rejected, wire::error(code, "", common.now));
        let members: [&str; 3] = if kind == Kind::UserMessage || kind == Kind::Chat {
            ["message", "content", "text"]
        } else {
            ["user_request", "message", "content"]
        };
        let payload = envelope.payload();
        let Some(text) = members.iter().find_map(|member| payload.text(member)) else {
            return refused(ErrorCode::EmptyMessage);
        };
        // G2: the list is searched for a handler that takes the type, and all of them do.
        let own = *asked == *frame.user;
        let takes = |handler: &&AgentHandler| {
            let right = if own { handler.conn == frame.conn } else { handler.user == *asked };
            right || common.has(Hazard::G2)
        };
        let Some(handler) = self.handlers.iter().find(takes) else {
            return refused(ErrorCode::AgentUnavailable);
        };
        let id = |raw: Option<message::Raw<'_>>, member: &str| {
            let given = raw.and_then(message::Raw::text).or_else(|| payload.text(member));
            given.map(String::from).unwrap_or_default()
        };
        let ask = Ask {
            conn: frame.conn,
            user: handler.user.clone(),
            tier: handler.tier,
            kind,
            thread_id: id(envelope.thread_id, "thread_id"),
            request_id: id(envelope.message_id, "message_id"),
            text: text.into_owned(),
            payload: payload.json().to_owned(),
        };
        Routed::new(Outcome::Handled, vec![Act::Start(ask)])
    }
}
