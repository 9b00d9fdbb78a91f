//! Makes a failing seed small: what is not needed to break the rule is left out.

use super::{FaultKind, Settings, play};

/// The smallest settings found under which the seed still breaks `rule`: first without kinds of fault, then with fewer users and
/// messages, until nothing more can go. The same answer whenever it is asked. As they were, if the seed does not break it.
pub fn shrink(settings: &Settings, seed: u64, rule: &str) -> Settings {
    let breaks = |settings: &Settings| play(settings, seed).breaches.iter().any(|breach| breach.rule == rule);
    let mut small = settings.clone();
    if !breaks(&small) {
        return small;
    }
    loop {
        let played = play(&small, seed);
        // Some strike in the wake of others, whether they are drawn or not.
        let struck = FaultKind::ALL
            .into_iter()
            .filter(|kind| played.faults[*kind as usize] > 0 && !small.without.contains(kind));
        let spared = struck.map(|kind| {
            let without = small.without.iter().copied().chain([kind]).collect();
            Settings { without, ..small.clone() }
        });
        let fewer = (1..small.users).map(|users| Settings { users, ..small.clone() });
        let less = (1..small.messages).map(|messages| Settings { messages, ..small.clone() });
        match spared.chain(fewer).chain(less).find(&breaks) {
            Some(smaller) => small = smaller,
            None => return small,
        }
    }
}
