//! The broadcast service: an event for a user through the manager, and a result about it.
//!
//! | switch | on | off |
//! |---|---|---|
//! | B1 | an event for nobody counts as one send | as none |
//! | B2 | with some sockets failed, all count | those that took it count |
//! | B3 | with all sockets failed, all count | none counts |
//! | B4 | members such as `sender_id` are overwritten, too | only `user_id` and `target_user_id` are |
//!
//! B5 and B6 are about whoever makes a service: [`super::event_router`], [`super::scoped_router`].

use std::cell::RefCell;

use serde_json::{Value, json};

use super::{
    plain::{self, Raised},
    sink::{Message, Sink, Written},
    user_id::user_id,
    {Hazard, Hazards},
};

/// Members that name a user.
const NAMING: [&str; 7] =
    ["user_id", "userId", "recipient_id", "sender_id", "owner_id", "creator_id", "target_user_id"];
/// Those of them that name the addressee.
const ADDRESSEE: [&str; 2] = ["user_id", "target_user_id"];
const DETECTION: &str = "enable_contamination_detection";

/// The service.
#[derive(Debug)]
pub struct Service {
    hazards: Hazards,
    flags: RefCell<Vec<(&'static str, Value)>>,
    counts: RefCell<Counts>,
}

/// What the service counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events with a valid user.
    pub total: u64,
    /// Of those, events that the manager took without an error.
    pub successful: u64,
    /// And those that it did not.
    pub failed: u64,
    /// Events with an overwritten member.
    pub contaminated: u64,
    /// Connections that were tried.
    pub attempted: u64,
    /// Sends that count as successful.
    pub sends: u64,
}

/// The result of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The addressee, without white space around it.
    pub user: String,
    /// Connections that were tried.
    pub attempted: usize,
    /// Sends that count as successful.
    pub sends: usize,
    /// `type` of the event.
    pub event_type: Value,
    /// What went wrong, or was put right.
    pub errors: Vec<String>,
    /// What really became of it.
    pub written: Written,
}

impl Outcome {
    /// Share of sends that were successful, in percent.
    pub fn success_rate(&self) -> f64 {
        if self.attempted == 0 { 0.0 } else { self.sends as f64 / self.attempted as f64 * 100.0 }
    }

    /// Whether anything counts as sent.
    pub const fn is_successful(&self) -> bool {
        self.sends > 0
    }
}

impl Service {
    /// A service that has counted nothing.
    pub fn new(hazards: Hazards) -> Self {
        let flags = [DETECTION, "enable_performance_monitoring", "enable_comprehensive_logging"];
        Self {
            hazards,
            flags: RefCell::new(flags.map(|flag| (flag, true.into())).to_vec()),
            counts: RefCell::default(),
        }
    }

    /// Sends an event to a user.
    ///
    /// # Errors
    /// `ValueError`: not the id of a user. `AttributeError`: the event is no map. Other errors are in the result.
    pub async fn broadcast_to_user(
        &self,
        sink: &dyn Sink,
        user: &Value,
        event: &Value,
    ) -> Result<Outcome, Raised> {
        let user = user_id(user)?;
        let Value::Object(event) = event else { return Err(Raised::no_attribute(event, "get")) };
        self.counts.borrow_mut().total += 1;
        let event_type = event.get("type").cloned().unwrap_or_else(|| "unknown".into());
        let (event, mut errors) = self.sanitised(user, event);
        let attempted = match sink.connections_of(user) {
            Ok(attempted) => {
                self.counts.borrow_mut().attempted += attempted as u64;
                attempted
            }
            Err(_) => 1,
        };
        let (sends, written) = match sink.send_to_user(user, &event).await {
            Ok(written) => {
                let sends = self.counted(attempted, written);
                let mut counts = self.counts.borrow_mut();
                counts.successful += u64::from(sends > 0);
                counts.sends += sends as u64;
                (sends, written)
            }
            Err(raised) => {
                errors.push(format!("WebSocketManager delegation failed: {}", raised.text));
                self.counts.borrow_mut().failed += 1;
                (0, Written::default())
            }
        };
        Ok(Outcome { user: user.to_owned(), attempted, sends, event_type, errors, written })
    }

    /// How many sends a call counts.
    fn counted(&self, attempted: usize, written: Written) -> usize {
        let blind = if written.tried == 0 {
            Hazard::B1
        } else if written.written == 0 {
            Hazard::B3
        } else {
            Hazard::B2
        };
        if self.hazards.has(blind) { attempted.max(1) } else { written.written }
    }

    /// The event without other users' ids, and what was wrong with it.
    fn sanitised(&self, user: &str, event: &Message) -> (Message, Vec<String>) {
        let mut errors = Vec::new();
        let mut event = event.clone();
        if !plain::is_truthy(&self.flag(DETECTION)) {
            return (event, errors);
        }
        let fields: &[&str] = if self.hazards.has(Hazard::B4) { &NAMING } else { &ADDRESSEE };
        for field in fields {
            let Some(value) = event.get_mut(*field) else { continue };
            if plain::is_truthy(value) && plain::str(value) != user {
                errors.push(format!("Cross-user contamination in field '{field}': {}", plain::str(value)));
                *value = user.into();
            }
        }
        self.counts.borrow_mut().contaminated += u64::from(!errors.is_empty());
        (event, errors)
    }

    fn flag(&self, name: &str) -> Value {
        let flags = self.flags.borrow();
        flags.iter().find(|(flag, _)| *flag == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// Sets a flag to whatever is given; an unknown name changes nothing.
    pub fn update_feature_flag(&self, name: &str, value: Value) {
        if let Some(flag) = self.flags.borrow_mut().iter_mut().find(|(flag, _)| *flag == name) {
            flag.1 = value;
        }
    }

    /// The flags and what they are set to.
    pub fn flags(&self) -> Vec<(&'static str, Value)> {
        self.flags.borrow().clone()
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Averages over what was counted: success rate in percent, connections per event, sends per successful event.
    pub fn performance(&self) -> [Value; 3] {
        let counts = self.counts();
        let all = counts.total.max(1) as f64;
        let sends = match counts.successful {
            0 => json!(0),
            successful => json!(counts.sends as f64 / successful as f64),
        };
        [json!(counts.successful as f64 / all * 100.0), json!(counts.attempted as f64 / all), sends]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legacy::{event_loop::EventLoop, sink::Answer};

    /// A manager with so many connections, of which so many take what is sent.
    struct Taking(usize, usize);

    impl Sink for Taking {
        fn send_to_connection<'a>(
            &'a self,
            _: &'a Value,
            _: &'a Message,
            _: &'a dyn Fn() -> bool,
        ) -> Option<Answer<'a, Value>> {
            None
        }

        fn send_message_to_thread<'a>(&'a self, _: &'a Value, _: &'a Message) -> Option<Answer<'a, Value>> {
            None
        }

        fn connections_of(&self, _: &str) -> Result<usize, Raised> {
            Ok(self.0)
        }

        fn send_to_user<'a>(&'a self, _: &'a str, _: &'a Message) -> Answer<'a, Written> {
            Box::pin(async { Ok(Written { tried: self.0, written: self.1 }) })
        }
    }

    fn sends(hazards: Hazards, tried: usize, written: usize) -> usize {
        let call = async move {
            let service = Service::new(hazards);
            service.broadcast_to_user(&Taking(tried, written), &json!("user_1"), &json!({})).await
        };
        EventLoop::new().block_on(call).expect("ends").expect("a valid call").sends
    }

    #[test]
    fn each_kind_of_failure_counts_as_success_with_its_switch() {
        // For nobody, one of three failed, all failed; and what really went well.
        for (hazard, tried, written, counted) in
            [(Hazard::B1, 0, 0, 1), (Hazard::B2, 3, 2, 3), (Hazard::B3, 3, 0, 3), (Hazard::B2, 3, 3, 3)]
        {
            assert_eq!(sends(Hazards::of([hazard]), tried, written), counted, "{hazard:?}");
            assert_eq!(sends(Hazards::NONE, tried, written), written, "{hazard:?}");
        }
    }

    #[test]
    fn who_sent_it_is_overwritten_with_the_switch() {
        for hazards in [Hazards::of([Hazard::B4]), Hazards::NONE] {
            let event = json!({"sender_id": "user_2", "user_id": "user_3"});
            let service = Service::new(hazards);
            let (event, errors) = service.sanitised("user_1", event.as_object().expect("a map"));
            let sender = if hazards.has(Hazard::B4) { "user_1" } else { "user_2" };
            assert_eq!((&event["sender_id"], &event["user_id"]), (&json!(sender), &json!("user_1")));
            assert_eq!(errors.len(), if hazards.has(Hazard::B4) { 2 } else { 1 });
        }
    }
}
