//! News for subscribers, one recipient at a time.

use serde_json::{Value, json};

use super::{Host, QualityRouter};
use crate::legacy::{
    Hazard,
    plain::{self, Raised},
};

/// Something that subscribers hear of.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// An update; anything.
    Update(Value),
    /// An alert: a map, with a severity or `info`.
    Alert(Value),
}

/// Whose subscribers a broadcast asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribers {
    /// Those of the service that the router was made with.
    OfRouter,
    /// Those of a service made for this call. Q10: it has none; else there is one set, whoever asks.
    OfNewService,
}

/// A broadcast under way.
#[derive(Debug)]
pub struct Broadcast {
    news: News,
    /// Who is told when nobody comes or goes meanwhile.
    recipients: Vec<Value>,
    told: Vec<Value>,
    /// The number of subscribers when it began.
    subscribers: usize,
}

impl QualityRouter {
    /// Tells every subscriber, one after the other.
    ///
    /// # Errors
    /// Q3: somebody came or went meanwhile; who was not told yet is not.
    pub fn broadcast(&mut self, news: News, host: &mut dyn Host) -> Result<(), Raised> {
        let mut broadcast = self.begin_broadcast(news, Subscribers::OfRouter);
        while self.tell_next(&mut broadcast, host)?.is_some() {}
        Ok(())
    }

    /// Begins to tell subscribers.
    pub fn begin_broadcast(&self, news: News, of: Subscribers) -> Broadcast {
        let nobody = of == Subscribers::OfNewService && self.hazards.has(Hazard::Q10);
        let recipients = if nobody { Vec::new() } else { self.subscribers().to_vec() };
        Broadcast { news, subscribers: self.subscribers().len(), recipients, told: Vec::new() }
    }

    /// Tells the next one, and says who that was; others may call in between. One who cannot be told is passed over and
    /// stays subscribed.
    ///
    /// # Errors
    /// Q3: the number of subscribers has changed since the broadcast began.
    pub fn tell_next(
        &mut self,
        broadcast: &mut Broadcast,
        host: &mut dyn Host,
    ) -> Result<Option<Value>, Raised> {
        if self.hazards.has(Hazard::Q3) && !broadcast.recipients.is_empty() {
            // It goes through the set itself.
            if self.subscribers().len() != broadcast.subscribers {
                return Err(Raised::new("RuntimeError", "Set changed size during iteration"));
            }
            broadcast.recipients = self.subscribers().to_vec();
        }
        let left = |user: &Value| !broadcast.told.contains(user) && self.subscribers().contains(user);
        let Some(user) = broadcast.recipients.iter().find(|user| left(user)).cloned() else {
            return Ok(None);
        };
        broadcast.told.push(user.clone());
        let sent = broadcast.news.message().and_then(|message| self.send(&user, &message, host));
        if let Err(error) = sent {
            let alert = if matches!(broadcast.news, News::Alert(_)) { "alert " } else { "" };
            self.log(format!("Error broadcasting {alert}to {}: {error}", plain::str(&user)));
        }
        Ok(Some(user))
    }
}

impl News {
    /// The message, or the text of why there is none.
    fn message(&self) -> Result<Value, String> {
        match self {
            News::Update(update) => Ok(json!({"type": "quality_update", "payload": update})),
            News::Alert(Value::Object(alert)) => {
                let mut alert = alert.clone();
                alert.entry("severity").or_insert_with(|| "info".into());
                Ok(json!({"type": "quality_alert", "payload": alert}))
            }
            News::Alert(other) => Err(format!("'{}' object is not a mapping", plain::type_name(other))),
        }
    }
}
