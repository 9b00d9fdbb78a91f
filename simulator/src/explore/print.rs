//! Fingerprints of small worlds, with and without symmetry.
//!
//! A state falls into parts: what is everybody's, and for each user what is the user's and what is each tab's. In a part a
//! run is called by its owner's message, the own user's name by one word, and the own connection by one number; so equal
//! parts of two users, or of two tabs, are equal in everything but whose they are.
//!
//! **Without symmetry** the parts are hashed in the order of users and tabs. **With symmetry** tabs are sorted within their
//! user and then users, by their hashes. Users are alike and so are a user's tabs: what can happen to one can happen to the
//! other, hence a state stands for all that come of it by renaming. How many these are is counted exactly: the ways to deal
//! different parts to the places. Runs need no such care: a user's messages are named in the order in which they are said.

use router::fingerprint::{Digest, Mix};

use super::{
    person::{Line, Tab},
    world::World,
};

/// Which states count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Same {
    /// Those that differ in the names of users and tabs only.
    Renamed,
    /// Those that the router's fingerprint does not tell apart.
    Fingerprint,
    /// Those whose connections and runs have the same slots, besides: for defects that mix these up.
    Slots,
}

/// A state's fingerprints.
#[derive(Clone, Debug)]
pub(super) struct Print {
    /// The same for all states that differ in names only, if that is wanted; else the state's own.
    pub(super) hash: u128,
    /// How many states without symmetry it stands for.
    pub(super) orbit: u64,
    /// Per user: its hash, and those of its tabs.
    people: Vec<(u128, Vec<u128>)>,
}

impl Print {
    pub(super) fn of(world: &World, same: Same) -> Self {
        let mut crossed = false;
        let mut people: Vec<(u128, Vec<u128>)> = Vec::with_capacity(world.people.len());
        for user in 0..world.people.len() {
            let (rest, tabs) = part_of(world, user, &mut crossed);
            people.push((rest, tabs));
        }
        let mut own = Mix::default();
        // A state in which something of one user is with another has no symmetry that we would trust.
        let renamed = same == Same::Renamed && !crossed;
        let mut orbit = 1;
        for (rest, tabs) in &mut people {
            let mut sorted = tabs.clone();
            if renamed {
                sorted.sort_unstable();
                orbit *= arrangements(&sorted);
            }
            let mut mix = Mix::default();
            mix.word(*rest);
            sorted.iter().for_each(|tab| mix.word(*tab));
            *rest = mix.finish();
        }
        let mut hashes: Vec<u128> = people.iter().map(|(hash, _)| *hash).collect();
        if renamed {
            hashes.sort_unstable();
            orbit *= arrangements(&hashes);
        }
        hashes.iter().for_each(|hash| own.word(*hash));
        if same == Same::Slots {
            slots(world, &mut own);
        }
        let left = &world.left;
        for number in [
            left.runs,
            left.tools,
            left.disconnects,
            left.retries,
            left.stalls,
            left.ticks,
            left.stops,
            left.intrusions,
        ] {
            own.number(u64::from(number));
        }
        let mut shared = Part { mix: own, user: usize::MAX, runs: &world.runs, own: None, crossed: false };
        world.router.digest_shared(&mut shared);
        Self { hash: shared.mix.finish(), orbit, people }
    }

    /// Whether an earlier tab of the user is just like that one, or an earlier user just like that user.
    pub(super) fn is_repeated(&self, user: usize, tab: usize) -> bool {
        let (hash, tabs) = &self.people[user];
        tabs[..tab].contains(&tabs[tab]) || self.people[..user].iter().any(|(other, _)| other == hash)
    }
}

/// Where connections and runs stand in the router's tables.
fn slots(world: &World, mix: &mut Mix) {
    for person in &world.people {
        for tab in &person.tabs {
            let live = match &tab.line {
                Line::Live(socket) => Some(socket.conn),
                Line::Never | Line::Away => None,
            };
            for conn in live.into_iter().chain(tab.lost.iter().map(|lost| lost.conn)) {
                mix.number(conn.index() as u64);
                mix.number(u64::from(conn.generation()));
            }
        }
        for message in &person.messages {
            mix.number(message.run.index() as u64);
            mix.number(u64::from(message.run.generation()));
        }
    }
    for (user, message) in &world.runs {
        mix.number(u64::from(*user) << 8 | u64::from(*message));
    }
}

/// In how many ways things can be dealt to as many places; equal ones, which stand together, are not told apart.
fn arrangements(sorted: &[u128]) -> u64 {
    let factorial = |n: usize| (1..=n as u64).product::<u64>();
    let same = sorted.chunk_by(|one, other| one == other);
    same.fold(factorial(sorted.len()), |ways, alike| ways / factorial(alike.len()))
}

fn part_of(world: &World, user: usize, crossed: &mut bool) -> (u128, Vec<u128>) {
    let person = &world.people[user];
    let published = person.stream.len() as u64;
    let part = || Part { mix: Mix::default(), user, runs: &world.runs, own: None, crossed: false };
    let mut rest = part();
    rest.number(person.messages.len() as u64);
    person.messages.iter().for_each(|message| rest.number(message.progress as u64));
    rest.number(published - person.written.min(published));
    // What some tab still has to get must be what was published.
    let needed = person.tabs.iter().filter(|tab| !matches!(tab.line, Line::Never)).map(Tab::at);
    let needed = needed.chain([person.written]).min().unwrap_or_default().min(published);
    for event in &person.stream[needed as usize..] {
        rest.number(u64::from(event.message));
        rest.number(event.kind as u64);
    }
    world.router.digest_user(&super::world::id(user), &mut rest);
    *crossed |= rest.crossed;
    let tabs = person.tabs.iter().map(|tab| {
        let mut own = part();
        own.number(match &tab.line {
            Line::Never => 0,
            Line::Away => 1,
            Line::Live(socket) if socket.unread.is_some() => 2,
            Line::Live(_) => 3,
        });
        own.number(published.wrapping_sub(tab.at()));
        own.number(u64::from(tab.seen == 0));
        own.number(u64::from(tab.confirm));
        if let Line::Live(socket) = &tab.line {
            own.own = None;
            world.router.digest_connection(socket.conn, &mut own);
            socket.unread.iter().flatten().for_each(|frame| world.router.digest_frame(frame, &mut own));
        }
        for lost in &tab.lost {
            own.own = None;
            own.number(4 + u64::from(lost.swallows));
            own.number(u64::from(lost.unwritten));
            world.router.digest_connection(lost.conn, &mut own);
        }
        *crossed |= own.crossed;
        own.mix.finish()
    });
    let tabs = tabs.collect();
    (rest.mix.finish(), tabs)
}

/// A part of the state, as its owner would tell it.
struct Part<'w> {
    mix: Mix,
    user: usize,
    runs: &'w [(u8, u8)],
    /// The number of the connection that is told of.
    own: Option<u64>,
    /// Something of another user's was met.
    crossed: bool,
}

impl Digest for Part<'_> {
    fn number(&mut self, number: u64) {
        self.mix.number(number);
    }

    fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find('~') {
            self.mix.text(&rest[..at]);
            let whose =
                rest.as_bytes().get(at + 1).map_or(usize::MAX, |digit| usize::from(digit.wrapping_sub(b'0')));
            let own = whose == self.user;
            self.crossed |= !own;
            self.mix.number(if own { 0 } else { 1 + whose as u64 });
            rest = rest.get(at + 2..).unwrap_or_default();
        }
        self.mix.text(rest);
    }

    fn run(&mut self, number: u64) {
        let owner = (number as usize).checked_sub(1).and_then(|at| self.runs.get(at));
        let (user, message) =
            owner.map_or((u64::MAX, number), |(user, message)| (u64::from(*user), u64::from(*message)));
        let own = user == self.user as u64;
        self.crossed |= !own;
        self.mix.number(if own { message } else { user.wrapping_add(1) << 32 | message });
    }

    fn connection(&mut self, number: u64) {
        let own = *self.own.get_or_insert(number);
        self.mix.number(if own == number { 0 } else { number });
    }

    fn message_mark(&mut self, _: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_things_are_not_told_apart() {
        assert_eq!(arrangements(&[]), 1);
        assert_eq!(arrangements(&[1, 2]), 2);
        assert_eq!(arrangements(&[7, 7]), 1);
        assert_eq!(arrangements(&[1, 7, 7, 9]), 12);
    }
}
