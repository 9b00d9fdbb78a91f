//! From what came in to the message that handlers are given.

use crate::legacy::{
    Hazard, Hazards,
    message_types::{Given, MessageType, frontend, json_rpc, normalise, timestamp},
    python::{Raised, Value, json},
};

/// A message as handlers are given it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its type.
    pub kind: MessageType,
    /// Its payload, an object.
    pub payload: Value,
    /// When it was sent, in seconds since 1970.
    pub timestamp: f64,
    /// Its id.
    pub message_id: Option<String>,
    /// The user it names, which need not be who sent it.
    pub user_id: Option<String>,
    /// The thread it names.
    pub thread_id: Option<String>,
}

impl Message {
    /// A message of a type and a payload.
    pub fn new(kind: MessageType, payload: Value, timestamp: f64) -> Self {
        Self { kind, payload, timestamp, message_id: None, user_id: None, thread_id: None }
    }

    /// A member of the payload.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.payload.get(key)
    }
}

/// Why nothing could be made of what came in: a stable code, and the member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Code of the error that the sender is to see.
    pub code: &'static str,
    /// The member, empty for the whole.
    pub path: String,
}

impl Refused {
    pub(super) fn new(code: &'static str, path: impl Into<String>) -> Self {
        Self { code, path: path.into() }
    }
}

/// What the type of a message is.
pub(super) enum Typed {
    Known,
    /// Nobody knows it: this is to be acknowledged.
    Unknown(Value),
}

/// Whether the type is known.
pub(super) fn typed(raw: &Value, hazards: Hazards) -> Result<Typed, Refused> {
    let dict = raw.as_dict().ok_or(Refused::new("NOT_AN_OBJECT", ""))?;
    if !hazards.has(Hazard::H23) && json_rpc::is_json_rpc(raw) {
        return Ok(Typed::Known);
    }
    let absent = Value::from("unknown");
    let given = dict.get("type").unwrap_or(&absent);
    if !given.is_hashable() {
        return Err(Refused::new("BAD_FIELD", "type"));
    }
    let known = given.as_str().and_then(MessageType::from_text).is_some();
    Ok(if known { Typed::Known } else { Typed::Unknown(echoed(given, hazards)) })
}

/// A type as its acknowledgement repeats it.
///
/// H13: whatever it is, at any length. H12: a number that is none, which makes the acknowledgement unreadable.
fn echoed(given: &Value, hazards: Hazards) -> Value {
    if hazards.has(Hazard::H13) {
        let unwritable = json::is_unwritable(given) && !hazards.has(Hazard::H12);
        return if unwritable { json::dumps(given).into() } else { given.clone() };
    }
    let text = match given {
        Value::None => "unknown".to_owned(),
        Value::Str(text) => text.clone(),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Big(_)
        | Value::Float(_)
        | Value::List(_)
        | Value::Dict(_) => json::dumps(given),
    };
    text.chars().take(ECHO_CHARS_MAX).collect::<String>().into()
}

/// Characters of a type that are repeated, without H13.
const ECHO_CHARS_MAX: usize = 64;

/// Makes the message of what came in, whose type is known.
///
/// H1: a type whose outbound name is the same becomes `agent_progress`. H15: the caller's own object is marked, and
/// is the payload when there is no other. H22: the user it names is kept, whoever sent it.
pub(super) fn prepare(raw: &mut Value, user: &Value, now: f64, hazards: Hazards) -> Result<Message, Refused> {
    if json_rpc::is_json_rpc(raw) {
        let kind = json_rpc::kind(raw, hazards).map_err(|_| Refused::new("NOT_AN_OBJECT", ""))?;
        return Ok(Message::new(kind, raw.clone(), now));
    }
    let bad = |path: &'static str| move |_: Raised| Refused::new("BAD_FIELD", path);
    let given = raw.get("type").cloned().unwrap_or_else(|| "unknown".into());
    let mut kind = normalise(Given::Value(&given)).map_err(bad("type"))?;
    let mut marked = raw.clone();
    let outbound = frontend(Given::Value(&given), Hazards::ALL).map_err(bad("type"))?;
    if hazards.has(Hazard::H1) && given.as_str() == Some(&outbound) {
        kind = MessageType::AgentProgress;
        if let Value::Dict(dict) = &mut marked {
            dict.set("original_agent_event_type", given.clone());
        }
    }
    if hazards.has(Hazard::H15) {
        raw.clone_from(&marked);
    }
    let sent_at = marked.get("timestamp").unwrap_or(&Value::None);
    let sent_at = timestamp::lenient(sent_at, now, true, hazards)
        .map_err(|_| Refused::new("BAD_NUMBER", "timestamp"))?
        .unwrap_or(now);
    let payload = marked.get("payload").unwrap_or(&marked);
    if payload.as_dict().is_none() {
        return Err(Refused::new("BAD_PAYLOAD", "payload"));
    }
    let id = |name: &'static str| match marked.get(name) {
        None | Some(Value::None) => Ok(None),
        Some(Value::Str(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refused::new("BAD_FIELD", name)),
    };
    if let (false, Some(user)) = (hazards.has(Hazard::H22), user.as_str()) {
        foreign(raw, user, &mut String::new())?;
    }
    Ok(Message {
        kind,
        payload: payload.clone(),
        timestamp: sent_at,
        message_id: id("message_id")?,
        user_id: id("user_id")?,
        thread_id: id("thread_id")?,
    })
}

/// Refuses the ids of other users, at any depth: `user_id` and whatever ends so.
fn foreign(value: &Value, user: &str, path: &mut String) -> Result<(), Refused> {
    let whole = path.len();
    match value {
        Value::Dict(dict) => {
            for (key, value) in dict.iter() {
                path.push_str(if whole == 0 { "" } else { "." });
                path.push_str(key);
                let names_a_user = key == "user_id" || key.ends_with("_user_id");
                match value {
                    Value::None => {}
                    Value::Str(id) if names_a_user && !id.is_empty() && id != user => {
                        return Err(Refused::new("FOREIGN_USER_ID", path.as_str()));
                    }
                    Value::Str(_) => {}
                    Value::Bool(_)
                    | Value::Int(_)
                    | Value::Big(_)
                    | Value::Float(_)
                    | Value::List(_)
                    | Value::Dict(_)
                        if names_a_user =>
                    {
                        return Err(Refused::new("BAD_FIELD", path.as_str()));
                    }
                    Value::List(_) | Value::Dict(_) => foreign(value, user, path)?,
                    Value::Bool(_) | Value::Int(_) | Value::Big(_) | Value::Float(_) => {}
                }
                path.truncate(whole);
            }
        }
        Value::List(list) => {
            for (n, value) in list.iter().enumerate() {
                path.push_str(&format!("[{n}]"));
                foreign(value, user, path)?;
                path.truncate(whole);
            }
        }
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Big(_) | Value::Float(_) | Value::Str(_) => {}
    }
    Ok(())
}
