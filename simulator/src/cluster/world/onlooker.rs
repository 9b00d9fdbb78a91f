//! An onlooker at the store: what it answers, and what must not be.

use std::collections::{BTreeMap, BTreeSet};

use router::store::{
    Admitted, Answer, Append, Appended, Node as Name, Op, OpId, Renew, Renewed, Request, RunId, Standing,
    TakenRun,
};

use super::World;
use crate::cluster::{Condition, fault::FaultKind};

/// Two takers are those who ask so shortly after each other.
const TAKERS_US: u64 = 6_000_000;

/// What an onlooker knows of the store.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Until when each run is leased, milliseconds, and by which takeover.
    leases: BTreeMap<RunId, (u64, Option<(Name, OpId)>)>,
    /// Who took runs of a user last, and when.
    takers: BTreeMap<String, (Name, u64)>,
    /// When each event of a user got into the log, while nothing was wrong.
    logged: BTreeMap<(usize, u64), u64>,
    /// Scripts that the store has forgotten.
    pub(super) forgotten: BTreeSet<&'static str>,
}

impl World<'_> {
    /// What an answer tells.
    pub(super) fn look_on(&mut self, request: &Request, answer: &Answer) {
        let lease_ms = self.now().as_micros() / 1_000 + self.limits.bounds.lease_ms;
        match (&request.op, answer) {
            (Op::Admit(admit), Answer::Admitted(Admitted::New)) => {
                self.watch.leases.insert(admit.run.clone(), (lease_ms, None));
            }
            (Op::Admit(admit), Answer::Admitted(Admitted::Known { run, mine: true, .. }))
                if *run == admit.run =>
            {
                self.meet(Condition::AdmitKnown);
            }
            (Op::Append(append), Answer::Appended(appended)) => self.saw_appended(append, *appended),
            (Op::Renew(renew), Answer::Renewed(renewed)) => self.saw_renewed(renew, renewed, lease_ms),
            (Op::TakeOver { user, node }, Answer::TakenOver(runs)) => {
                self.saw_taken(&(node.clone(), request.id), runs, lease_ms);
                self.saw_taker(user, node, !runs.is_empty());
            }
            (Op::Raise { .. }, Answer::Raised { raised: true, .. }) => self.meet(Condition::Raised),
            _ => {}
        }
    }

    fn saw_appended(&mut self, append: &Append, appended: Appended) {
        match appended {
            Appended::Logged { first } => {
                let Some(user) = user_of(&append.user) else { return };
                if self.people[user].is_ambiguous(first) {
                    self.meet(Condition::Overtaken);
                }
                if self.now_us >= self.calm_from_us {
                    let (last, now_us) = (first + append.frames.len() as u64, self.now_us);
                    self.watch.logged.extend((first..last).map(|cursor| ((user, cursor), now_us)));
                }
            }
            Appended::Known { first: Some(_), .. } => self.meet(Condition::AppendKnown),
            Appended::Known { first: None, .. } => self.meet(Condition::AppendUnplaced),
            Appended::Gap { .. } => self.meet(Condition::AppendGap),
            Appended::NoRun => self.meet(Condition::AppendNoRun),
            Appended::Fenced => self.meet(Condition::Fenced),
            Appended::Refused(_) => {}
        }
    }

    fn saw_renewed(&mut self, renew: &Renew, renewed: &Renewed, lease_ms: u64) {
        for ((run, _), standing) in renew.runs.iter().zip(&renewed.runs) {
            if *standing == Standing::Held
                && let Some((until_ms, _)) = self.watch.leases.get_mut(run)
            {
                *until_ms = lease_ms;
            }
        }
    }

    /// A run may be taken over when its lease has run out, and not before.
    fn saw_taken(&mut self, taker: &(Name, OpId), runs: &[TakenRun], lease_ms: u64) {
        let now_ms = lease_ms - self.limits.bounds.lease_ms;
        for run in runs {
            let lease = self.watch.leases.insert(run.run.clone(), (lease_ms, Some(taker.clone())));
            let is_held = lease.is_some_and(|(until_ms, by)| by.as_ref() != Some(taker) && until_ms > now_ms);
            if is_held {
                self.breach("run.lease", format!("{} is taken by {} while it is leased", run.run, taker.0));
            }
        }
    }

    /// Somebody asked for a user's runs, and got some or none.
    fn saw_taker(&mut self, user: &str, node: &Name, any: bool) {
        let last = self.watch.takers.get(user);
        let is_second = last.is_some_and(|(name, at_us)| name != node && at_us + TAKERS_US > self.now_us);
        self.played.faults[FaultKind::TwoTakers as usize] += u32::from(is_second);
        if any {
            self.meet(Condition::TakenOver);
            self.watch.takers.insert(user.to_owned(), (node.clone(), self.now_us));
        }
    }

    /// When that event of the user got into the log, and how long ago that is, if nothing that went wrong can have held it
    /// up.
    pub(super) fn logged(&self, user: usize, cursor: u64) -> Option<(u64, u64)> {
        let at_us = self.watch.logged.get(&(user, cursor)).copied()?;
        (at_us >= self.calm_from_us).then(|| (at_us, self.now_us - at_us))
    }

    /// The store is another process, or was told to forget its scripts.
    pub(super) fn forget_scripts(&mut self) {
        // Holds, and reads of them, are plain commands.
        self.watch.forgotten.extend([
            "admit",
            "append",
            "attach",
            "detach",
            "renew",
            "take_over",
            "acknowledge",
            "raise",
            "heartbeat",
            "release",
            "forget",
        ]);
    }

    /// The store lost its tail: what was seen of leases is not what it has.
    pub(super) fn forget_leases(&mut self) {
        self.watch.leases.clear();
    }
}

/// The number of the user of that name.
fn user_of(name: &str) -> Option<usize> {
    name.strip_prefix("user-")?.parse().ok()
}
