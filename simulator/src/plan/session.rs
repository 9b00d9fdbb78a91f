//! Drafts one user's session.

use super::headroom::Headroom;
use super::outcome::{Run, delay_us, quiet_margin_us, set_up_us, settle_us};
use super::{Action, ActionKind, Malformed, MessageKind, Plan, Question, Say, UserPlan, frames, identity};
use crate::prng::{Domain, Prng};
use crate::scenario::Scenario;
use crate::script::{Script, filler, script};

/// Everything user `index` does, and the script of each of its runs.
pub(super) fn user(plan: &Plan, index: u32) -> (UserPlan, Vec<Script>) {
    let scenario = plan.scenario();
    let mut prng = Prng::stream(plan.seed(), Domain::User, u64::from(index));
    let tier = scenario.users.tier.draw(&mut prng);
    let tabs = scenario.users.tabs.draw(&mut prng).clamp(1, 255) as u8;
    let connect_at_us = scenario.users.arrival.at_us(index, &mut prng);
    let mut draft = Draft::new(plan, index, tabs, prng);
    draft.connect(connect_at_us);
    draft.talk();
    draft.stall();
    let leave_at_us = draft.leave();
    let Draft { id, canary, mut actions, scripts, .. } = draft;
    actions.sort_by_key(|action| action.at_us);
    (UserPlan { index, id, canary, tier, tabs, connect_at_us, leave_at_us, actions }, scripts)
}

struct Draft<'a> {
    plan: &'a Plan,
    prng: Prng,
    index: u32,
    id: String,
    canary: String,
    tabs: u8,
    threads: u32,
    /// When all tabs are connected and set up.
    ready_at_us: u64,
    /// When the last of what was drafted is over.
    over_at_us: u64,
    messages: u32,
    questions: u32,
    headroom: Headroom,
    outages: Vec<Outage>,
    actions: Vec<Action>,
    scripts: Vec<Script>,
}

/// A time during which a tab does nothing: from shortly before its disconnect until it is connected and set
/// up again.
struct Outage {
    tab: u8,
    from_us: u64,
    to_us: u64,
}

/// The kinds of the mix, in the order of its weights.
#[derive(Clone, Copy)]
enum Sort {
    Say(MessageKind),
    Ping,
    Heartbeat,
    Typing,
    Unknown,
    Malformed,
    Foreign,
    Quality,
}

const SORTS: [Sort; 11] = [
    Sort::Say(MessageKind::UserMessage),
    Sort::Say(MessageKind::StartAgent),
    Sort::Say(MessageKind::Chat),
    Sort::Ping,
    Sort::Heartbeat,
    Sort::Typing,
    Sort::Unknown,
    Sort::Malformed,
    Sort::Say(MessageKind::ChatMessage),
    Sort::Foreign,
    Sort::Quality,
];

impl<'a> Draft<'a> {
    fn new(plan: &'a Plan, index: u32, tabs: u8, mut prng: Prng) -> Self {
        Self {
            plan,
            index,
            id: plan.user_id(index),
            canary: plan.canary(index),
            tabs,
            threads: plan.scenario().session.threads.draw(&mut prng),
            ready_at_us: 0,
            over_at_us: 0,
            messages: 0,
            questions: 0,
            headroom: Headroom::new(&plan.scenario().limits),
            outages: Vec::new(),
            actions: Vec::new(),
            scripts: Vec::new(),
            prng,
        }
    }

    fn act(&mut self, at_us: u64, tab: u8, kind: ActionKind) {
        self.over_at_us = self.over_at_us.max(at_us);
        self.actions.push(Action { at_us, tab, kind });
    }

    fn connect(&mut self, connect_at_us: u64) {
        let mut at_us = connect_at_us;
        for tab in 0..self.tabs {
            if tab > 0 {
                at_us += self.plan.scenario().session.tab_gap.draw(&mut self.prng);
            }
            self.act(at_us, tab, ActionKind::Connect);
        }
        self.ready_at_us = at_us + set_up_us(self.plan.scenario());
    }

    /// All messages of the mix, with the stops and disconnects that come with their runs.
    fn talk(&mut self) {
        let session = &self.plan.scenario().session;
        let weights = session.mix.weights();
        let at_once = self.prng.chance(session.during_setup.get());
        let last_connect_us = self.over_at_us;
        let mut at_us = self.ready_at_us;
        let messages = session.messages.draw(&mut self.prng);
        // Each tab leaves in the end, too.
        self.actions.reserve_exact(messages as usize + usize::from(self.tabs) + 1);
        for number in 0..messages {
            let sort = SORTS[self.prng.weighted(&weights)];
            let think_us = session.think_time.draw(&mut self.prng);
            if at_once && number == 0 {
                self.send(last_connect_us, self.tabs - 1, sort);
                continue;
            }
            let tab;
            (at_us, tab) = self.place(at_us + think_us, sort);
            self.send(at_us, tab, sort);
        }
    }

    /// The earliest time from `at_us` on at which the limits allow the message and a tab can send it.
    fn place(&mut self, mut at_us: u64, sort: Sort) -> (u64, u8) {
        loop {
            let mut later_us = self.headroom.frame_at(at_us);
            later_us = match sort {
                Sort::Say(_) => self.headroom.run_at(later_us),
                Sort::Malformed | Sort::Foreign => self.headroom.bad_frame_at(later_us),
                Sort::Ping | Sort::Heartbeat | Sort::Typing | Sort::Unknown | Sort::Quality => later_us,
            };
            let first = self.prng.below(u64::from(self.tabs)) as u8;
            let tabs = (0..self.tabs)
                .map(|step| ((u32::from(first) + u32::from(step)) % u32::from(self.tabs)) as u8);
            match tabs.into_iter().find(|&tab| self.away_until_us(tab, later_us).is_none()) {
                Some(tab) if later_us == at_us => return (at_us, tab),
                Some(_) => at_us = later_us,
                None => {
                    let back = (0..self.tabs).filter_map(|tab| self.away_until_us(tab, later_us)).min();
                    at_us = back.unwrap_or(later_us);
                }
            }
        }
    }

    fn away_until_us(&self, tab: u8, at_us: u64) -> Option<u64> {
        let covers = |outage: &&Outage| outage.tab == tab && (outage.from_us..outage.to_us).contains(&at_us);
        self.outages.iter().find(covers).map(|outage| outage.to_us)
    }

    fn send(&mut self, at_us: u64, tab: u8, sort: Sort) {
        self.headroom.take_frame(at_us);
        let kind = match sort {
            Sort::Say(kind) => return self.say(at_us, tab, kind),
            Sort::Ping => ActionKind::Ping,
            Sort::Heartbeat => ActionKind::Heartbeat,
            Sort::Typing => ActionKind::Typing { thread: self.draw_thread().into() },
            Sort::Unknown => ActionKind::Unknown { type_name: frames::unknown_type(&mut self.prng) },
            Sort::Malformed => {
                self.headroom.take_bad_frame(at_us);
                let limit = self.plan.scenario().limits.frame_bytes();
                let (frame, expected_code) = frames::bad_frame(frames::malformed(&mut self.prng), limit);
                ActionKind::Malformed(Box::new(Malformed { frame: frame.into_owned(), expected_code }))
            }
            Sort::Foreign => {
                self.headroom.take_bad_frame(at_us);
                // Somebody else, even if nobody else comes.
                let other = self.plan.user_id((self.index + 1) % self.plan.count().max(2));
                let (frame, expected_code) = frames::foreign(&other, &self.draw_thread(), &self.canary);
                ActionKind::Malformed(Box::new(Malformed { frame, expected_code }))
            }
            Sort::Quality => {
                self.questions += 1;
                ActionKind::Quality(Box::new(Question {
                    type_name: frames::quality_type(&mut self.prng),
                    message_id: identity::question_id(self.questions),
                    thread: self.draw_thread(),
                }))
            }
        };
        self.act(at_us, tab, kind);
    }

    fn draw_thread(&mut self) -> String {
        let number = self.prng.below(u64::from(self.threads)) as u32;
        identity::thread(self.plan.seed(), self.index, number)
    }

    /// A message that starts a run, and what the user or the network does in the middle of the run.
    fn say(&mut self, at_us: u64, tab: u8, kind: MessageKind) {
        let Scenario { session, network, .. } = self.plan.scenario();
        let message_id = identity::message_id(self.messages);
        self.messages += 1;
        let thread = self.draw_thread();
        let bytes = session.text_bytes.draw(&mut self.prng);
        let mut text = String::with_capacity((bytes as usize).max(self.canary.len()));
        filler(&self.canary, bytes, self.prng.next_u64(), &mut text);
        let script = script(self.plan.profile(), self.plan.seed(), &self.id, &message_id);
        let (lost, stopped) =
            (self.prng.chance(network.disconnect_share.get()), self.prng.chance(session.stop_share.get()));
        let quiet = self.quiet_spot(at_us, &script);
        let delay_us = delay_us(self.plan.scenario(), at_us, self.ready_at_us);
        let mut run = Run { at_us, latest_us: at_us + delay_us, stopped_us: None };
        let expected = run.expected(&script);
        self.act(at_us, tab, ActionKind::Say(Box::new(Say { kind, message_id, thread, text, expected })));
        let say = self.actions.len() - 1;
        if let Some(quiet_us) = quiet {
            if lost {
                self.disconnect(quiet_us, tab);
            } else if stopped && self.stop(quiet_us, say) {
                run.stopped_us = Some(quiet_us);
            }
        }
        let expected = run.expected(&script);
        if let Some(Action { kind: ActionKind::Say(say), .. }) = self.actions.get_mut(say) {
            say.expected = expected;
        }
        self.over_at_us = self.over_at_us.max(expected.ends_at_us);
        self.headroom.take_run(at_us, expected.ends_at_us + settle_us(self.plan.scenario()));
        self.scripts.push(script);
    }

    /// The middle between two events of the run that are far enough apart for both worlds to agree what came
    /// before it; after all tabs are ready.
    fn quiet_spot(&mut self, at_us: u64, script: &Script) -> Option<u64> {
        let margin_us = quiet_margin_us(self.plan.scenario());
        let delay_us = delay_us(self.plan.scenario(), at_us, self.ready_at_us);
        let shift_us = at_us + delay_us / 2;
        let ends = script.beats.iter().map(|beat| beat.at_us).chain([script.end_us]).collect::<Vec<_>>();
        let spots: Vec<u64> = ends
            .windows(2)
            .filter(|pair| pair[1] - pair[0] >= 2 * margin_us + delay_us)
            .map(|pair| shift_us + pair[0].midpoint(pair[1]))
            .filter(|&spot_us| spot_us >= self.ready_at_us)
            .collect();
        let drawn = self.prng.below(spots.len() as u64) as usize;
        spots.get(drawn).copied()
    }

    /// Loses the tab's connection, unless the tab has something to do before it could be back.
    fn disconnect(&mut self, at_us: u64, tab: u8) {
        let network = &self.plan.scenario().network;
        let outage_us = network.reconnect_outage.draw(&mut self.prng);
        let back_us = at_us + network.reconnect.first_success_us(outage_us);
        let from_us = at_us.saturating_sub(settle_us(self.plan.scenario()));
        let to_us = back_us + set_up_us(self.plan.scenario());
        let busy = |action: &Action| action.tab == tab && (from_us..to_us).contains(&action.at_us);
        if self.actions.iter().any(busy) || self.away_between(tab, from_us, to_us) {
            return;
        }
        self.act(at_us, tab, ActionKind::Disconnect);
        self.act(back_us, tab, ActionKind::Reconnect);
        self.over_at_us = self.over_at_us.max(to_us);
        self.outages.push(Outage { tab, from_us, to_us });
    }

    fn away_between(&self, tab: u8, from_us: u64, to_us: u64) -> bool {
        self.outages
            .iter()
            .any(|outage| outage.tab == tab && outage.from_us < to_us && from_us < outage.to_us)
    }

    /// Stops the run of the message that is action `say`; false if no tab is there to do it.
    fn stop(&mut self, at_us: u64, say: usize) -> bool {
        let (tab, message_id) = match &self.actions[say] {
            Action { tab, kind: ActionKind::Say(say), .. } => (*tab, say.message_id.clone()),
            Action { .. } => return false,
        };
        let others = (0..self.tabs).filter(|&other| other != tab);
        let free = [tab].into_iter().chain(others).find(|&tab| self.away_until_us(tab, at_us).is_none());
        if let Some(tab) = free {
            self.headroom.take_frame(at_us);
            self.act(at_us, tab, ActionKind::Stop { message_id: message_id.into() });
        }
        free.is_some()
    }

    /// If the user is a slow reader, a tab stops reading now and then, while it is connected.
    fn stall(&mut self) {
        let slow = self.plan.scenario().slow_reader;
        if !self.prng.chance(slow.share.get()) {
            return;
        }
        let (from_us, to_us) = (self.ready_at_us, self.over_at_us);
        for _ in 0..slow.stalls.draw(&mut self.prng) {
            let (at_us, for_us) = (self.prng.range(from_us..=to_us), slow.stall.draw(&mut self.prng));
            let tab = self.prng.below(u64::from(self.tabs)) as u8;
            let end_us = at_us + for_us;
            if !self.away_between(tab, at_us, end_us) {
                self.act(at_us, tab, ActionKind::StallReading { for_us });
                self.outages.push(Outage { tab, from_us: at_us, to_us: end_us });
                self.over_at_us = self.over_at_us.max(end_us);
            }
        }
    }

    fn leave(&mut self) -> u64 {
        let scenario = self.plan.scenario();
        let at_us =
            self.over_at_us.max(self.ready_at_us) + settle_us(scenario) + scenario.session.linger.us();
        for tab in 0..self.tabs {
            self.act(at_us, tab, ActionKind::Leave);
        }
        at_us
    }
}
