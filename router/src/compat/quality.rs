//! `QualityMessageRouter`: quality messages, and news for their subscribers.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use serde_json::{Value, json};

use super::{
    Over, Uses,
    lent::{facade, raw, used},
};
use crate::{
    contract::{Context, Deliver, Input, QualityNews, Target},
    handlers::{Handler, HandlerFault, HandlerId, Incoming, KindSet, RegisterError, Replies},
    message::Kind,
};

const METHODS: &[&str] = &[
    "register_handler",
    "handlers",
    "handle_message",
    "broadcast_quality_update",
    "broadcast_quality_alert",
];

/// The types that the old router knew from the start.
const OWN: KindSet = KindSet::of(&[
    Kind::GetQualityMetrics,
    Kind::SubscribeQualityAlerts,
    Kind::ValidateContent,
    Kind::GenerateQualityReport,
    Kind::StartAgent,
]);

/// The router of quality messages. It knows which types were its own, to answer its old error for all others, and counts
/// its uses. It keeps no id of any message.
#[deprecated(since = "0.1.0", note = "use `router::Router`; the quality handlers are built in")]
#[derive(Clone, Debug)]
pub struct QualityMessageRouter {
    uses: Uses,
    known: KindSet,
}

facade!(QualityMessageRouter);

impl QualityMessageRouter {
    /// A facade that knows the five old types.
    #[deprecated(since = "0.1.0", note = "use `router::Router::new`, once per server")]
    pub fn new() -> Self {
        Self { uses: Uses::new("QualityMessageRouter", METHODS), known: OWN }
    }

    /// The types that have a handler, as far as this facade knows.
    #[deprecated(since = "0.1.0", note = "use `router::Router::find_handler`")]
    pub fn handlers(&mut self) -> Vec<&'static str> {
        self.uses.note("handlers");
        self.known.iter().map(Kind::name).collect()
    }
}

impl Default for QualityMessageRouter {
    fn default() -> Self {
        Self::new()
    }
}

impl Over<'_, '_, QualityMessageRouter> {
    /// Registers a handler for one type, whatever else it accepts.
    #[deprecated(
        since = "0.1.0",
        note = "use `router::Router::add_handler`; a handler says itself which types it accepts"
    )]
    pub fn register_handler(
        &mut self,
        message_type: Kind,
        handler: Box<dyn Handler>,
    ) -> Result<HandlerId, RegisterError> {
        let (facade, lent) = used(self, "register_handler");
        let id = lent.router.add_handler(Box::new(OfType { kind: message_type, handler }))?;
        facade.known = facade.known.with(message_type);
        Ok(id)
    }

    /// Puts a message to the router as the user's oldest connection; nothing happens when the user has none. A type that
    /// is not known here is answered with the old error, to the user.
    #[deprecated(
        since = "0.1.0",
        note = "hand `router::Input::Text` to `router::Router::handle`; an unknown type is acknowledged there"
    )]
    pub fn handle_message(&mut self, user: &str, message: &Value) {
        let (facade, lent) = used(self, "handle_message");
        let known = |name: &String| {
            Kind::from_name(name).is_some_and(|kind| kind.name() == *name && facade.known.contains(kind))
        };
        let shown = match &message["type"] {
            Value::String(name) if known(name) => None,
            Value::String(name) => Some(name.clone()),
            Value::Null if message.is_object() => Some("None".into()),
            Value::Bool(true) => Some("True".into()),
            Value::Bool(false) => Some("False".into()),
            Value::Number(number) => Some(number.to_string()),
            // The router refuses these, with a code.
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        if let Some(name) = shown {
            let error = raw(&json!({"type": "error", "message": format!("Unknown message type: {name}")}));
            lent.input(Input::Deliver(Deliver::new(Target::User(user), &error)));
            return;
        }
        let handle = lent.router.for_user(user, Context::default());
        if let Some(connection) = handle.connections(lent.now, false).first() {
            lent.input(Input::Text { conn: connection.conn, text: &message.to_string() });
        }
    }

    /// Tells everybody who subscribed. `false`, and nobody is told: the right to cross users was not lent, see
    /// [`Lent::with_authority`](super::Lent::with_authority).
    #[deprecated(
        since = "0.1.0",
        note = "hand `router::Input::QualityNews` with `router::QualityNews::Update` to `router::Router::handle`"
    )]
    pub fn broadcast_quality_update(&mut self, update: &Value) -> bool {
        used(self, "broadcast_quality_update");
        self.news(QualityNews::Update(&raw(update)))
    }

    /// Tells everybody who subscribed of an alert, an object. `false` as above.
    #[deprecated(
        since = "0.1.0",
        note = "hand `router::Input::QualityNews` with `router::QualityNews::Alert` to `router::Router::handle`"
    )]
    pub fn broadcast_quality_alert(&mut self, alert: &Value) -> bool {
        used(self, "broadcast_quality_alert");
        self.news(QualityNews::Alert(&raw(alert)))
    }

    fn news(&mut self, news: QualityNews<'_>) -> bool {
        let Some(authority) = self.lent.authority else { return false };
        self.lent.input(Input::QualityNews { authority, news });
        true
    }
}

/// A handler that gets the messages of one type only.
#[derive(Debug)]
struct OfType {
    kind: Kind,
    handler: Box<dyn Handler>,
}

impl Handler for OfType {
    fn name(&self) -> &str {
        self.handler.name()
    }

    fn accepts(&self) -> KindSet {
        KindSet::of(&[self.kind])
    }

    fn wants(&self, incoming: &Incoming<'_>) -> Result<bool, HandlerFault> {
        self.handler.wants(incoming)
    }

    fn handle(&mut self, incoming: &Incoming<'_>, replies: &mut Replies<'_>) -> Result<(), HandlerFault> {
        self.handler.handle(incoming, replies)
    }

    fn figures(&self) -> Option<String> {
        self.handler.figures()
    }
}
