//! Questions that wait for their answer.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};

use super::Monitor;
use crate::{
    audience::UserRef,
    config::Config,
    contract::{AskRef, Instant},
    fingerprint::Walk,
};

/// The ids of a message: they live with its question and go with its answer, and nowhere else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    pub(crate) message: Option<Box<str>>,
    pub(crate) thread: Option<Box<str>>,
    pub(crate) run: Option<Box<str>>,
}

/// What a question is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// `get_quality_metrics`: the answer goes out as it is.
    Metrics,
    /// `validate_content`: the answer goes out as it is.
    Validate,
    /// `generate_quality_report`: the last of its questions.
    Report(Box<ReportWork>),
    /// The final response of a run that asked to be judged.
    Response {
        /// Number of the run.
        run: u64,
        thread: Arc<str>,
        request: Arc<str>,
        agent: Box<str>,
    },
}

/// A report under way.
#[derive(Clone, Debug)]
pub(crate) struct ReportWork {
    pub(crate) report_type: Box<str>,
    /// Hours of an agent's report, in a detailed report.
    pub(crate) detailed: Option<u32>,
    /// The agents' reports so far, JSON, in the order of [`REPORT_AGENTS`](super::REPORT_AGENTS).
    pub(crate) agents: Vec<Box<str>>,
    /// Their length together, bytes.
    pub(crate) bytes: usize,
}

/// A message whose answer is not complete. Exactly one question of it is open at any time.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) ids: Ids,
    pub(crate) work: Work,
    /// Number of the first question: the deadline was set for it and holds for all.
    pub(crate) first: u64,
    pub(crate) deadline: Instant,
}

/// All open questions, and the monitor that the router feeds.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) monitor: Monitor,
    open: BTreeMap<AskRef, Pending>,
    asked: u64,
}

impl Desk {
    pub(crate) fn new(config: &Config) -> Self {
        Self { monitor: Monitor::new(config), open: BTreeMap::new(), asked: 0 }
    }

    /// Opens a question; answers its name.
    pub(crate) fn open(&mut self, user: UserRef, make: impl FnOnce(u64) -> Pending) -> AskRef {
        self.asked += 1;
        let ask = AskRef { user, number: self.asked };
        self.open.insert(ask, make(self.asked));
        ask
    }

    /// Takes a question off the desk: its answer has come.
    pub(crate) fn take(&mut self, ask: AskRef) -> Option<Pending> {
        self.open.remove(&ask)
    }

    /// Takes off the desk whatever belongs to the message whose first question that was.
    pub(crate) fn take_late(&mut self, first: AskRef) -> Option<Pending> {
        let (ask, _) = self.of(first.user).find(|(_, pending)| pending.first == first.number)?;
        self.take(*ask)
    }

    /// The oldest open question of a user.
    pub(crate) fn first_of(&self, user: UserRef) -> Option<AskRef> {
        self.of(user).next().map(|(ask, _)| *ask)
    }

    /// Any open question.
    pub(crate) fn any(&self) -> Option<AskRef> {
        self.open.first_key_value().map(|(ask, _)| *ask)
    }

    /// A user's open questions, oldest first.
    pub(crate) fn digest_user(&self, user: UserRef, walk: &mut Walk<'_>) {
        walk.len(self.len_of(user));
        let first_number = self.of(user).next().map_or(0, |(ask, _)| ask.number);
        for (ask, pending) in self.of(user) {
            let Pending { ids, work, first, deadline } = pending;
            for id in [&ids.message, &ids.thread, &ids.run] {
                walk.optional_text(id.as_deref());
            }
            walk.number(ask.number - first_number);
            walk.number(first.wrapping_sub(first_number));
            walk.time(*deadline);
            match work {
                Work::Metrics => walk.number(0),
                Work::Validate => walk.number(1),
                Work::Report(report) => {
                    let ReportWork { report_type, detailed, agents, bytes } = &**report;
                    walk.number(2);
                    walk.text(report_type);
                    walk.number(detailed.map_or(0, |hours| u64::from(hours) + 1));
                    walk.len(*bytes);
                    walk.len(agents.len());
                    agents.iter().for_each(|agent| walk.text(agent));
                }
                Work::Response { run, thread, request, agent } => {
                    walk.number(3);
                    walk.run(*run);
                    [&**thread, &**request, &**agent].into_iter().for_each(|id| walk.text(id));
                }
            }
        }
    }

    /// How many questions of a user are open.
    pub(crate) fn len_of(&self, user: UserRef) -> usize {
        self.of(user).count()
    }

    /// How many questions are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    fn of(&self, user: UserRef) -> impl Iterator<Item = (&AskRef, &Pending)> {
        self.open.range(AskRef { user, number: 0 }..=AskRef { user, number: u64::MAX })
    }
}
