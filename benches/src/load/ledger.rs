//! What a worker counts beside the checkers: the generator's own deeds, and latencies from the intended instant
//! that need several tabs to be seen together.

use reports::{Distribution, Domain, Metric, Unit};

use super::pacing::Lateness;

/// Counts and times of one worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) lateness: Lateness,
    pub(super) frames_sent: u64,
    pub(super) bytes_sent: u64,
    pub(super) frames_received: u64,
    /// Attempts to connect that failed.
    pub(super) connects_failed: u64,
    /// What the first of them failed with.
    pub(super) first_failure: Option<String>,
    /// Connections that the server closed or the network lost.
    pub(super) lost: u64,
    /// Planned messages that could not be sent: no connection, or nothing to stop any more.
    pub(super) unmet: u64,
    /// Messages that the dialect cannot say.
    pub(super) unsaid: u64,
    /// Users who left before everything had arrived, after the grace time.
    pub(super) impatient: u64,
    pub(super) runs_ended: u64,
    /// Intended instant of a message to its `agent_started` on the first tab that has it.
    started_first: Distribution,
    /// The same on the last tab.
    started_last: Distribution,
    /// From the actual sending to `agent_started` on the sending tab; beside the one from the intended instant.
    started_raw: Distribution,
    /// From the actual sending to the end of the run on the sending tab.
    answer_raw: Distribution,
}

/// A message on its way through all tabs of its user.
#[derive(Clone, Debug)]
struct Asked {
    request: Box<str>,
    tab: u8,
    intended_us: u64,
    sent_us: u64,
    started: u8,
    ended: Vec<bool>,
}

/// What one user still waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    asked: Vec<Asked>,
    /// Answers that are due, per tab.
    answers: Vec<u32>,
}

impl Waiting {
    pub(super) fn new(tabs: u8) -> Self {
        Self { asked: Vec::new(), answers: vec![0; usize::from(tabs)] }
    }

    pub(super) fn said(&mut self, request: &str, tab: u8, intended_us: u64, sent_us: u64) {
        let ended = vec![false; self.answers.len()];
        self.asked.push(Asked { request: request.into(), tab, intended_us, sent_us, started: 0, ended });
    }

    pub(super) fn expects_answer(&mut self, tab: u8) {
        self.answers[usize::from(tab)] += 1;
    }

    pub(super) fn answered(&mut self, tab: u8) {
        let answers = &mut self.answers[usize::from(tab)];
        *answers = answers.saturating_sub(1);
    }

    /// Answers on their way are lost with their connection.
    pub(super) fn disconnected(&mut self, tab: u8) {
        self.answers[usize::from(tab)] = 0;
    }

    pub(super) fn started(&mut self, request: &str, tab: u8, now_us: u64, ledger: &mut Ledger) {
        let tabs = self.answers.len();
        let Some(asked) = self.asked.iter_mut().find(|asked| *asked.request == *request) else { return };
        asked.started = asked.started.saturating_add(1);
        let since_us = now_us.saturating_sub(asked.intended_us);
        if asked.started == 1 {
            ledger.started_first.record(since_us);
        }
        if usize::from(asked.started) == tabs {
            ledger.started_last.record(since_us);
        }
        if asked.tab == tab {
            ledger.started_raw.record(now_us.saturating_sub(asked.sent_us));
        }
    }

    pub(super) fn ended(&mut self, request: &str, tab: u8, now_us: u64, ledger: &mut Ledger) {
        let Some(index) = self.asked.iter().position(|asked| *asked.request == *request) else { return };
        let asked = &mut self.asked[index];
        if asked.tab == tab {
            ledger.answer_raw.record(now_us.saturating_sub(asked.sent_us));
        }
        asked.ended[usize::from(tab)] = true;
        if asked.ended.iter().all(|ended| *ended) {
            ledger.runs_ended += 1;
            self.asked.swap_remove(index);
        }
    }

    /// Whether nothing is due on this tab any more.
    pub(super) fn is_over(&self, tab: u8) -> bool {
        let tab = usize::from(tab);
        self.answers[tab] == 0 && self.asked.iter().all(|asked| asked.ended[tab])
    }
}

impl Ledger {
    pub(super) fn failed_to_connect(&mut self, error: String) {
        self.connects_failed += 1;
        self.first_failure.get_or_insert(error);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.lateness.merge(&other.lateness);
        self.frames_sent += other.frames_sent;
        self.bytes_sent += other.bytes_sent;
        self.frames_received += other.frames_received;
        self.connects_failed += other.connects_failed;
        self.first_failure = self.first_failure.take().or_else(|| other.first_failure.clone());
        self.lost += other.lost;
        self.unmet += other.unmet;
        self.unsaid += other.unsaid;
        self.impatient += other.impatient;
        self.runs_ended += other.runs_ended;
        self.started_first.merge(&other.started_first);
        self.started_last.merge(&other.started_last);
        self.started_raw.merge(&other.started_raw);
        self.answer_raw.merge(&other.answer_raw);
    }

    /// The times as metrics; those without a sample are left out.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let rows = [
            ("started_first_tab", "intended send to agent_started, first tab", &self.started_first),
            ("started_last_tab", "intended send to agent_started, last tab", &self.started_last),
            ("first_event_raw", "actual send to first event", &self.started_raw),
            ("answer_raw", "actual send to end of run", &self.answer_raw),
            ("generator_late", "how late the generator sent", &self.lateness.late),
        ];
        rows.into_iter()
            .filter(|(.., times)| !times.is_empty())
            .map(|(key, label, times)| times.to_metric(key, label, Unit::Microseconds, Domain::Wall))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_tab_are_timed_from_the_intended_instant() {
        let (mut waiting, mut ledger) = (Waiting::new(3), Ledger::default());
        waiting.said("m1", 1, 1_000, 1_400);
        for (tab, now_us) in [(2, 2_000), (1, 2_100), (0, 2_500)] {
            waiting.started("m1", tab, now_us, &mut ledger);
        }
        let of = |times: &Distribution| (times.count(), times.quantile(1.0));
        assert_eq!(of(&ledger.started_first), (1, 1_000));
        assert_eq!(of(&ledger.started_last), (1, 1_500));
        assert_eq!(of(&ledger.started_raw), (1, 700));

        waiting.expects_answer(0);
        waiting.ended("m1", 0, 3_000, &mut ledger);
        assert!(!waiting.is_over(0) && !waiting.is_over(1));
        waiting.answered(0);
        assert!(waiting.is_over(0));
        waiting.ended("m1", 1, 3_000, &mut ledger);
        waiting.ended("m1", 2, 3_000, &mut ledger);
        assert_eq!((ledger.runs_ended, waiting.is_over(2)), (1, true));
    }
}
