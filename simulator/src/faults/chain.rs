//! The rules about frames on their way: for each frame the first rule that matches it decides.
//!
//! A rule rolls dice of its own, one stream per connection for what it decides by frame and one per user for what lasts.
//! The streams are named by the rule's kind and its place among the rules of that kind, so that taking a rule of another
//! kind away shifts nothing.

use crate::prng::{Domain, Prng, mix};
use crate::scenario::{Fault, FaultKind, Micros, Scenario};

/// What is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cargo {
    /// A text frame.
    Text,
    /// The upgrade request of a new connection.
    Upgrade,
    /// A ping, a pong, a close, or the transport's own word that the other end is gone.
    Control,
}

/// What becomes of something on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives as ever.
    Arrives,
    /// It comes that much later, microseconds, and what is behind it not before it.
    Later(u64),
    /// It never arrives.
    Lost,
    /// It arrives twice.
    Twice,
    /// It comes that much later, microseconds; what is behind it need not wait.
    Overtaken(u64),
    /// One of its bytes is another; which, is this number modulo its length.
    Garbled(u64),
    /// It comes at that time at the earliest, and what is behind it not before it.
    NotBefore(u64),
}

/// The frame rules of a scenario under a seed.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    rules: Vec<Rule>,
    seed: u64,
}

#[derive(Clone, Debug)]
struct Rule {
    fault: Fault,
    /// Names the rule's streams.
    name: u64,
}

/// The rules as they stand for one connection.
#[derive(Debug)]
pub(crate) struct LinkFaults {
    rules: Vec<LinkRule>,
}

#[derive(Debug)]
struct LinkRule {
    kind: FaultKind,
    from_us: u64,
    to_us: u64,
    up: bool,
    down: bool,
    share: f64,
    by: crate::scenario::MicrosRange,
    dice: Prng,
}

impl Chain {
    /// The chain of these rules; those that are no verdicts on frames are left out.
    pub(crate) fn new(scenario: &Scenario, seed: u64) -> Self {
        let named = names(&scenario.faults);
        let rules = scenario.faults.iter().zip(named).filter(|(fault, _)| fault.kind.is_verdict());
        Self { rules: rules.map(|(fault, name)| Rule { fault: fault.clone(), name }).collect(), seed }
    }

    /// The rules for the `number`th connection of a tab; `None` if none concerns its user.
    pub(crate) fn on_link(&self, user: u32, tab: u8, number: u32) -> Option<Box<LinkFaults>> {
        let link = mix(u64::from(user) << 24 | u64::from(tab) << 16 | u64::from(number & 0xffff));
        let rules: Vec<LinkRule> =
            self.rules.iter().filter_map(|rule| rule.on_link(self.seed, user, link)).collect();
        (!rules.is_empty()).then(|| Box::new(LinkFaults { rules }))
    }
}

/// The name of each rule's streams: its kind, and its place among the rules of that kind.
pub(crate) fn names(faults: &[Fault]) -> impl Iterator<Item = u64> + '_ {
    let place = |at: usize| faults[..at].iter().filter(|other| other.kind == faults[at].kind).count();
    (0..faults.len()).map(move |at| mix(mix(faults[at].kind as u64 + 1) ^ place(at) as u64))
}

/// The dice of a rule for one user.
pub(crate) fn user_dice(seed: u64, name: u64, user: u32) -> Prng {
    Prng::stream(seed, Domain::Fault, mix(name ^ mix(u64::from(user) | 1 << 40)))
}

impl Rule {
    fn on_link(&self, seed: u64, user: u32, link: u64) -> Option<LinkRule> {
        let fault = &self.fault;
        if !fault.concerns(user) {
            return None;
        }
        let (mut from_us, mut to_us) = (fault.during.low.us(), fault.during.high.us());
        let mut share = fault.share.get();
        if fault.kind.lasts() {
            // Whoever it strikes, it strikes for as long as it lasts.
            let mut dice = user_dice(seed, self.name, user);
            if !dice.chance(share) {
                return None;
            }
            share = 1.0;
            if fault.kind == FaultKind::SwizzleClog {
                let ends = [dice.range(from_us..=to_us), dice.range(from_us..=to_us)];
                (from_us, to_us) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            }
        }
        Some(LinkRule {
            kind: fault.kind,
            from_us,
            to_us,
            up: fault.way.up(),
            down: fault.way.down(),
            share,
            by: fault.by(),
            dice: Prng::stream(seed, Domain::Fault, self.name ^ link),
        })
    }
}

impl LinkFaults {
    /// What becomes of something sent now, and which kind of rule decided; `None` if none did.
    pub(crate) fn fate(&mut self, now_us: u64, up: bool, cargo: Cargo) -> Option<(Fate, FaultKind)> {
        for rule in &mut self.rules {
            if (rule.from_us..rule.to_us).contains(&now_us)
                && (if up { rule.up } else { rule.down })
                && rule.kind.applies_to(cargo)
                && (rule.share >= 1.0 || rule.dice.chance(rule.share))
            {
                return Some((rule.decide(), rule.kind));
            }
        }
        None
    }
}

impl LinkRule {
    fn decide(&mut self) -> Fate {
        match self.kind {
            FaultKind::Delay => Fate::Later(self.by.draw(&mut self.dice)),
            FaultKind::Lose | FaultKind::Cut => Fate::Lost,
            FaultKind::Duplicate => Fate::Twice,
            FaultKind::Reorder => Fate::Overtaken(self.by.draw(&mut self.dice)),
            FaultKind::Corrupt => Fate::Garbled(self.dice.next_u64()),
            FaultKind::Clog | FaultKind::SwizzleClog => Fate::NotBefore(self.to_us),
            FaultKind::Pass
            | FaultKind::HalfOpen
            | FaultKind::Stall
            | FaultKind::Avalanche
            | FaultKind::Pause
            | FaultKind::Crash
            | FaultKind::Deploy
            | FaultKind::Jump
            | FaultKind::Skew
            | FaultKind::ServicesAway => Fate::Arrives,
        }
    }
}

impl Fate {
    /// Whether whoever waits for it may wait in vain, or for something else than what was sent.
    pub(crate) const fn disturbs(self) -> bool {
        match self {
            Fate::Lost | Fate::Twice | Fate::Overtaken(_) | Fate::Garbled(_) => true,
            Fate::Arrives | Fate::Later(_) | Fate::NotBefore(_) => false,
        }
    }
}

impl FaultKind {
    /// Whether a frame of that sort can meet it. An upgrade is a request of its own: it can be late or lost, no more; the
    /// transport's control frames neither.
    fn applies_to(self, cargo: Cargo) -> bool {
        cargo == Cargo::Text
            || !matches!(self, FaultKind::Duplicate | FaultKind::Reorder | FaultKind::Corrupt)
    }
}

/// Replaces a byte of a text by a control character, which no JSON text has: whoever receives it can notice. What nobody
/// could notice is not this network's to do; transport encryption is there to prevent it.
pub(crate) fn garble(text: &str, at: u64) -> String {
    const CONTROL: char = '\u{1}';
    let count = text.chars().count().max(1) as u64;
    let at = (at % count) as usize;
    text.chars().enumerate().map(|(index, letter)| if index == at { CONTROL } else { letter }).collect()
}

/// When the first rule begins to change anything for that user, microseconds; `None` if none ever does.
pub(crate) fn begins_us(faults: &[Fault], user: u32) -> Option<u64> {
    let concerns =
        |fault: &&Fault| fault.kind != FaultKind::Pass && (fault.kind.is_of_node() || fault.concerns(user));
    faults.iter().filter(concerns).map(|fault| fault.during.low).min().map(Micros::us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{MicrosRange, Share, UserRange, Way};

    fn chain(faults: Vec<Fault>) -> Chain {
        Chain::new(&Scenario { faults, ..Scenario::default() }, 7)
    }

    fn rule(kind: FaultKind) -> Fault {
        Fault::new(kind, MicrosRange::new(1_000, 2_000))
    }

    fn fates(chain: &Chain, user: u32, count: usize) -> Vec<Option<(Fate, FaultKind)>> {
        let mut link = chain.on_link(user, 0, 0).unwrap();
        (0..count).map(|_| link.fate(1_500, true, Cargo::Text)).collect()
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let chain = chain(vec![
            Fault { users: Some(UserRange { low: 3, high: 3 }), ..rule(FaultKind::Pass) },
            Fault { way: Way::Up, ..rule(FaultKind::Lose) },
            rule(FaultKind::Duplicate),
        ]);
        let fate = |user: u32, at_us, up| chain.on_link(user, 0, 0).unwrap().fate(at_us, up, Cargo::Text);
        assert_eq!(fate(0, 1_500, true), Some((Fate::Lost, FaultKind::Lose)));
        assert_eq!(fate(0, 1_500, false), Some((Fate::Twice, FaultKind::Duplicate)));
        assert_eq!(fate(3, 1_500, true), Some((Fate::Arrives, FaultKind::Pass)));
        for outside in [999, 2_000] {
            assert_eq!(fate(0, outside, true), None, "{outside}");
        }
        assert!(Chain::new(&Scenario::default(), 7).on_link(0, 0, 0).is_none());
    }

    #[test]
    fn an_upgrade_is_neither_doubled_nor_garbled() {
        let chain = chain(vec![rule(FaultKind::Corrupt), rule(FaultKind::Duplicate), rule(FaultKind::Lose)]);
        let mut link = chain.on_link(0, 0, 0).unwrap();
        for cargo in [Cargo::Upgrade, Cargo::Control] {
            assert_eq!(link.fate(1_500, true, cargo), Some((Fate::Lost, FaultKind::Lose)));
        }
        let garbled = link.fate(1_500, true, Cargo::Text);
        assert!(matches!(garbled, Some((Fate::Garbled(_), FaultKind::Corrupt))));
    }

    #[test]
    fn a_rule_shifts_nobody_elses_dice() {
        let lose = Fault { share: Share::new(0.5), ..rule(FaultKind::Lose) };
        let delay = Fault { users: Some(UserRange { low: 9, high: 9 }), ..rule(FaultKind::Delay) };
        let alone = fates(&chain(vec![lose.clone()]), 0, 64);
        assert_eq!(alone, fates(&chain(vec![delay, lose.clone()]), 0, 64));
        assert_ne!(alone, fates(&chain(vec![lose.clone()]), 1, 64));
        let lost = alone.iter().flatten().count();
        assert!((16..48).contains(&lost), "{lost} of 64");
    }

    #[test]
    fn a_swizzled_clog_has_times_of_each_users_own() {
        let clog = Fault {
            during: MicrosRange::new(0, 1_000_000),
            ..Fault::new(FaultKind::SwizzleClog, MicrosRange::new(0, 0))
        };
        let chain = chain(vec![clog]);
        let ends: std::collections::BTreeSet<u64> = (0..20)
            .map(|user| chain.on_link(user, 0, 0).unwrap().rules[0].to_us)
            .inspect(|end| assert!(*end <= 1_000_000))
            .collect();
        assert!(ends.len() > 15);
    }

    #[test]
    fn what_is_garbled_is_no_json() {
        let text = r#"{"type":"ping","ü":1}"#;
        for at in 0..40 {
            assert!(serde_json::from_str::<serde_json::Value>(&garble(text, at)).is_err(), "{at}");
        }
    }
}
