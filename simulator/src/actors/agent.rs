//! Agents: each run the router starts plays its script, with texts that carry the canary of the request, and
//! reports every step back to the router.

use std::collections::BTreeMap;

use router::{AgentEvent, RunRef, RunRequest};

use crate::plan::{Plan, Ways};
use crate::script::{Beat, Lines, Script, Step, canary_in};

/// The agents at work, by the index of their run.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    runs: Vec<Option<Box<Run>>>,
    /// Whose run each is, or was last; `u32::MAX` if nobody's of the plan.
    users: Vec<u32>,
    at_work: usize,
    /// Agents that did not hear that their run was ended.
    late: BTreeMap<(u32, u32), Box<Run>>,
}

/// One agent at work.
#[derive(Debug)]
pub(crate) struct Run {
    run: RunRef,
    since_us: u64,
    agent_name: &'static str,
    canary: Box<str>,
    /// The owner of the run, if its agent is unruly.
    unruly: Option<router::UserId>,
    /// It goes on after its run was ended.
    deaf: bool,
    dispatched: bool,
    beats: std::vec::IntoIter<Beat>,
}

/// A step that is due, with its texts rendered.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) run: RunRef,
    step: Step,
    agent_name: &'static str,
    elapsed_us: u64,
    /// The owner of the run, if its agent goes on with what it must not.
    pub(crate) unruly: Option<router::UserId>,
    /// The run was ended before.
    pub(crate) late: bool,
    /// Its tools are run by the router.
    pub(crate) dispatched: bool,
}

impl Agents {
    /// Begins a run that goes by this script; when its first step is due.
    pub(crate) fn start(
        &mut self,
        now_us: u64,
        plan: &Plan,
        request: &RunRequest,
        script: Script,
    ) -> Option<u64> {
        let Script { agent_name, beats, .. } = script;
        let canary = canary_in(request.text()).unwrap_or_default().into();
        let Ways { unruly, deaf, dispatched } = plan.ways(&request.user, &request.request_id);
        let run = Run {
            run: request.run,
            since_us: now_us,
            agent_name,
            canary,
            unruly: unruly.then(|| request.user.clone()),
            deaf,
            dispatched,
            beats: beats.into_iter(),
        };
        let next_at = run.next_at();
        let index = request.run.index();
        if self.runs.len() <= index {
            self.runs.resize_with(index + 1, || None);
            self.users.resize(index + 1, u32::MAX);
        }
        let place = Plan::place_of(&request.user, &request.request_id);
        self.users[index] = place.map_or(u32::MAX, |(user, _)| user);
        self.runs[index] = Some(Box::new(run));
        self.at_work += 1;
        next_at
    }

    /// Stops a run's agent, if it hears.
    pub(crate) fn cancel(&mut self, run: RunRef) {
        if self.current(run.index(), run.generation()).is_none() {
            return;
        }
        self.at_work -= 1;
        if let Some(deaf) = self.runs[run.index()].take().filter(|run| run.deaf) {
            self.late.insert((run.index() as u32, run.generation()), deaf);
        }
    }

    /// The node dies, and with it all agents at work on it.
    pub(crate) fn die(&mut self) {
        *self = Self::default();
    }

    /// The step that is due, and when the next one is. An agent that has nothing more to say is gone.
    pub(crate) fn beat(
        &mut self,
        now_us: u64,
        index: u32,
        generation: u32,
        lines: &mut Lines,
    ) -> Option<(Report, Option<u64>)> {
        let late = self.current(index as usize, generation).is_none();
        let run = if late {
            self.late.get_mut(&(index, generation))?
        } else {
            self.current(index as usize, generation)?
        };
        let step = run.beats.next().map_or(Step::Silence, |beat| beat.step);
        let report = Report {
            run: run.run,
            agent_name: run.agent_name,
            elapsed_us: now_us.saturating_sub(run.since_us),
            step,
            unruly: run.unruly.clone().filter(|_| !late),
            late,
            dispatched: run.dispatched,
        };
        lines.write(&report.step, &run.canary);
        let next_at = run.next_at();
        if next_at.is_none() && late {
            self.late.remove(&(index, generation));
        } else if next_at.is_none() {
            self.runs[index as usize] = None;
            self.at_work -= 1;
        }
        Some((report, next_at))
    }

    /// The agent of a run, to fetch early what its next step needs.
    pub(crate) fn at(&self, index: usize) -> Option<&Run> {
        self.runs.get(index)?.as_deref()
    }

    /// Whose run it is, if it is one of the plan's users.
    pub(crate) fn user_of(&self, index: u32) -> Option<u32> {
        self.users.get(index as usize).copied().filter(|user| *user != u32::MAX)
    }

    /// How many are at work.
    pub(crate) fn at_work(&self) -> usize {
        self.at_work
    }

    fn current(&mut self, index: usize, generation: u32) -> Option<&mut Run> {
        let run = self.runs.get_mut(index)?.as_deref_mut()?;
        (run.run.generation() == generation).then_some(run)
    }
}

impl Run {
    /// Something of each line of memory that its next step needs, so many pointers away.
    pub(crate) fn lines(&self, step: u8) -> u64 {
        match step {
            0 => self.since_us ^ self.canary.len() as u64 ^ self.beats.len() as u64,
            1 => {
                self.next_at().unwrap_or_default()
                    ^ self.canary.as_bytes().first().copied().map_or(0, u64::from)
            }
            _ => 0,
        }
    }

    fn next_at(&self) -> Option<u64> {
        self.beats.as_slice().first().map(|beat| self.since_us + beat.at_us)
    }
}

impl Report {
    /// What the agent tells the router; nothing if it falls silent.
    pub(crate) fn event<'a>(&'a self, lines: &'a Lines) -> Option<AgentEvent<'a>> {
        lines.event(&self.step, self.agent_name, self.elapsed_us)
    }
}
