//! The same judge for real nodes: what a user's tabs saw over sockets, and whether it is what was promised.

use super::{judge, person::Person};

pub use super::person::News;

/// One user of several nodes, over real sockets: nothing here knows which node said what.
#[derive(Debug)]
pub struct Watched(Person);

impl Watched {
    /// A user with so many tabs, who sends at most so many messages.
    pub fn new(id: &str, tabs: usize, messages: u32) -> Self {
        Self(Person { has_signed_bodies: false, ..Person::new(id.to_owned(), tabs, messages) })
    }

    /// A frame arrived at a tab.
    pub fn receive(&mut self, tab: usize, text: &str) -> News {
        self.0.receive(tab, text, 0)
    }

    /// A tab connects. Answers the cursor that it comes back with; `None` the first time.
    pub fn connects(&mut self, tab: usize) -> Option<u64> {
        self.0.tabs.get_mut(tab)?.connects()
    }

    /// The id of a message.
    pub fn message_id(&self, message: usize) -> Option<&str> {
        self.0.messages.get(message).map(|message| message.id.as_str())
    }

    /// A message is sent, for the first time or again.
    pub fn sends(&mut self, message: usize) {
        if let Some(message) = self.0.messages.get_mut(message) {
            message.sent = true;
        }
    }

    /// Whether a server is known to have accepted the message: an event of it arrived, or the word that it came before.
    pub fn is_accepted(&self, message: usize) -> bool {
        self.0.messages.get(message).is_some_and(|message| message.is_accepted)
    }

    /// Whether it was, and no tab has seen its end.
    pub fn is_open(&self, message: usize) -> bool {
        self.0.messages.get(message).is_some_and(|message| message.is_accepted && !message.is_over())
    }

    /// Messages that were accepted.
    pub fn accepted(&self) -> usize {
        self.0.messages.iter().filter(|message| message.is_accepted).count()
    }

    /// Those of them whose end no tab has seen.
    pub fn open(&self) -> usize {
        (0..self.0.messages.len()).filter(|message| self.is_open(*message)).count()
    }

    /// Whether every message sent has ended, and every tab has what the others have.
    pub fn is_at_rest(&self) -> bool {
        let newest = self.0.tabs.iter().map(|tab| tab.cursor).max().flatten();
        self.0.tabs.iter().all(|tab| tab.cursor == newest)
            && self.0.messages.iter().all(|message| message.is_over() || !message.sent)
    }

    /// Frames that the cursor rule dropped, on all tabs.
    pub fn repeats(&self) -> u64 {
        self.0.tabs.iter().map(|tab| tab.repeats).sum()
    }

    /// Messages whose run ended with that error code.
    pub fn ended_with(&self, code: &str) -> usize {
        let has = |message: usize| {
            let mut seen = self.0.tabs.iter().flat_map(|tab| tab.seen.values());
            seen.any(|seen| seen.message == message && seen.code == code)
        };
        (0..self.0.messages.len()).filter(|message| has(*message)).count()
    }

    /// What was promised and does not hold, now that all is over: rule and detail.
    pub fn breaches(&self) -> Vec<(&'static str, String)> {
        let mut breaches = Vec::new();
        judge::judge(&self.0, &mut breaches);
        breaches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, seq: u64, cursor: u64) -> String {
        format!(
            r#"{{"type":"{kind}","user_id":"ada","run_id":"r","request_id":"ada-m0","seq":{seq},"cursor":{cursor}}}"#
        )
    }

    #[test]
    fn a_message_is_lost_when_it_was_accepted_and_its_end_never_came() {
        let mut ada = Watched::new("ada", 2, 4);
        for tab in 0..2 {
            let welcome = r#"{"type":"connection_established","data":{"cursor":0}}"#;
            assert_eq!(ada.receive(tab, welcome), News::Nothing);
        }
        ada.sends(0);
        assert_eq!(ada.receive(0, &event("agent_started", 1, 1)), News::Event(1));
        assert_eq!((ada.accepted(), ada.open(), ada.is_at_rest()), (1, 1, false));
        let rules = |ada: &Watched| ada.breaches().into_iter().map(|(rule, _)| rule).collect::<Vec<_>>();
        assert_eq!(rules(&ada), ["deliver.I2", "golden.incomplete"], "the other tab has not had it yet");
        ada.receive(0, &event("agent_completed", 2, 2));
        ada.receive(1, &event("agent_started", 1, 1));
        assert_eq!((rules(&ada), ada.is_at_rest()), (vec!["deliver.I2"], false));
        ada.receive(1, &event("agent_completed", 2, 2));
        assert_eq!(ada.receive(1, &event("agent_completed", 2, 2)), News::Nothing);
        assert_eq!((rules(&ada), ada.is_at_rest(), ada.repeats()), (vec![], true, 1));
        assert!(matches!(ada.receive(0, &event("agent_started", 3, 4)), News::Breach("deliver.I4", _)));
    }
}
