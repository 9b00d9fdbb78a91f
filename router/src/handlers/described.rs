//! Handlers described by data: for files and tests that know no Rust.

use alloc::{borrow::ToOwned, boxed::Box, string::String};
use core::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Handler, HandlerFault, Incoming, KindSet, Replies};
use crate::message::Kind;

/// Most a described handler may delay its answer: one minute.
const DELAY_MS_MAX: u64 = 60_000;

/// What a described handler does with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Takes it.
    Take,
    /// Refuses it.
    Refuse,
    /// Fails, with this cause.
    Fail(String),
}

/// A handler described by data:
/// `{"name":…, "accepts":"*" or [types], "then":"take" | "refuse" | {"fail":cause}}`, and optionally
/// `"reply":{…}`, `"delay_ms":0 to 60000` for that reply, `"wants":"fails"` and `"figures":{…}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The name in statistics.
    pub name: String,
    /// The types it takes.
    pub accepts: KindSet,
    /// What it does.
    pub then: Then,
    /// What it answers: a JSON object.
    pub reply: Option<String>,
    /// How long after the message it answers, in milliseconds.
    pub delay_ms: u64,
    /// Its question whether it wants a message fails.
    pub wants_fails: bool,
    /// Its figures: a JSON object.
    pub figures: Option<String>,
}

/// What is wrong with a description. Names the member that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescriptionError {
    /// It is not a JSON object.
    NotAnObject,
    /// The member is missing.
    Missing(&'static str),
    /// The member is not what it must be.
    Wrong {
        /// The member.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

impl fmt::Display for DescriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("a handler is described by a JSON object"),
            Self::Missing(member) => write!(f, "the handler's description has no `{member}`"),
            Self::Wrong { member, expected } => write!(f, "the handler's `{member}` must be {expected}"),
        }
    }
}

impl core::error::Error for DescriptionError {}

/// The members as they stand there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    accepts: Option<&'a RawValue>,
    #[serde(borrow)]
    then: Option<&'a RawValue>,
    #[serde(borrow)]
    reply: Option<&'a RawValue>,
    #[serde(borrow)]
    delay_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    wants: Option<&'a RawValue>,
    #[serde(borrow)]
    figures: Option<&'a RawValue>,
}

impl Described {
    /// Reads a description, or says what is missing from it.
    pub fn from_json(json: &str) -> Result<Self, DescriptionError> {
        if !json.trim_start().starts_with('{') {
            return Err(DescriptionError::NotAnObject);
        }
        let members: Members<'_> = serde_json::from_str(json).map_err(|_| DescriptionError::NotAnObject)?;
        let name = need(members.name, "name")?;
        let accepts = need(members.accepts, "accepts")?;
        let then = need(members.then, "then")?;
        let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
        let delay = members.delay_ms.map_or(Some(0), |raw| raw.get().parse().ok());
        Ok(Self {
            name: text(name).filter(|name| !name.is_empty()).ok_or(wrong("name", "a text"))?,
            accepts: kinds(accepts)?,
            then: action(then)?,
            reply: object(members.reply, "reply")?,
            delay_ms: delay
                .filter(|ms| *ms <= DELAY_MS_MAX)
                .ok_or(wrong("delay_ms", "0 to 60000 milliseconds"))?,
            wants_fails: match members.wants {
                None => false,
                Some(raw) => text(raw)
                    .filter(|wants| wants == "fails")
                    .map(|_| true)
                    .ok_or(wrong("wants", "\"fails\", or left out"))?,
            },
            figures: object(members.figures, "figures")?,
        })
    }
}

const fn wrong(member: &'static str, expected: &'static str) -> DescriptionError {
    DescriptionError::Wrong { member, expected }
}

fn need<'a>(value: Option<&'a RawValue>, member: &'static str) -> Result<&'a RawValue, DescriptionError> {
    value.ok_or(DescriptionError::Missing(member))
}

fn object(value: Option<&RawValue>, member: &'static str) -> Result<Option<String>, DescriptionError> {
    let Some(value) = value else { return Ok(None) };
    if value.get().starts_with('{') {
        Ok(Some(value.get().to_owned()))
    } else {
        Err(wrong(member, "an object"))
    }
}

fn kinds(accepts: &RawValue) -> Result<KindSet, DescriptionError> {
    let wrong = wrong("accepts", "\"*\" or a list of recognised types");
    if accepts.get() == "\"*\"" {
        return Ok(KindSet::ALL);
    }
    let names: Box<[String]> = serde_json::from_str(accepts.get()).map_err(|_| wrong.clone())?;
    let add = |set: KindSet, name: &String| Some(set.with(Kind::from_name(name)?));
    names.iter().try_fold(KindSet::NONE, add).ok_or(wrong)
}

fn action(then: &RawValue) -> Result<Then, DescriptionError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Form {
        Take,
        Refuse,
        Fail(String),
    }
    match serde_json::from_str(then.get()) {
        Ok(Form::Take) => Ok(Then::Take),
        Ok(Form::Refuse) => Ok(Then::Refuse),
        Ok(Form::Fail(cause)) => Ok(Then::Fail(cause)),
        Err(_) => Err(wrong("then", "\"take\", \"refuse\" or {\"fail\": a text}")),
    }
}

impl Handler for Described {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self) -> KindSet {
        self.accepts
    }

    fn wants(&self, _: &Incoming<'_>) -> Result<bool, HandlerFault> {
        if self.wants_fails { Err(HandlerFault::failed("as described")) } else { Ok(true) }
    }

    fn handle(&mut self, _: &Incoming<'_>, replies: &mut Replies<'_>) -> Result<(), HandlerFault> {
        match &self.then {
            Then::Take => {}
            Then::Refuse => return Err(HandlerFault::Refused { path: String::new(), expected: "" }),
            Then::Fail(cause) => return Err(HandlerFault::failed(cause.clone())),
        }
        let Some(reply) = &self.reply else { return Ok(()) };
        let sent = replies.send_after(self.delay_ms * 1000, reply);
        sent.map_err(|error| HandlerFault::failed(alloc::format!("{error}")))
    }

    fn figures(&self) -> Option<String> {
        self.figures.clone()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_description_is_read_and_a_bad_one_names_its_member() {
        let good =
            r#"{"name":"A","accepts":["ping","user"],"then":"take","reply":{"type":"x"},"delay_ms":20}"#;
        let described = Described::from_json(good).expect("good");
        assert_eq!(described.accepts, KindSet::of(&[Kind::Ping, Kind::UserMessage]));
        for (bad, says) in [
            ("5", "JSON object"),
            ("\"print\"", "JSON object"),
            ("{}", "`name`"),
            (r#"{"name":"A","then":"take"}"#, "`accepts`"),
            (r#"{"name":"A","accepts":"*"}"#, "`then`"),
            (r#"{"name":"A","accepts":5,"then":"take"}"#, "`accepts`"),
            (r#"{"name":"A","accepts":["pling"],"then":"take"}"#, "`accepts`"),
            (r#"{"name":"A","accepts":"*","then":7}"#, "`then`"),
            (r#"{"name":"A","accepts":"*","then":"take","reply":[]}"#, "`reply`"),
            (r#"{"name":"A","accepts":"*","then":"take","delay_ms":60001}"#, "`delay_ms`"),
        ] {
            let error = Described::from_json(bad).expect_err(bad).to_string();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
