//! The swarm: each seed plays a scenario of its own.
//!
//! A seed first draws what exists at all: which kinds of message, whether there are tabs, tools, stops, lost connections,
//! slow readers, tight limits, faults and of which kind. Only then come rates, counts and lengths. What is left out
//! matters: a run of one operation alone goes deeper than a little of everything, and a fault that is absent hides
//! nothing. There is one profile for everything that is to be found.
//!
//! [`scenario()`] is a pure function of the seed; [`play()`] plays it, or any other scenario, and says what it was.
//!
//! Three seeds in ten have no fault: there everything that happens was planned, and every run must end as its plan says.
//! Limits are tight only where a fault concerns everybody from the beginning: elsewhere what the plan promises must not
//! run into one.

mod agents;
mod dice;
mod faults;
mod ingredient;
mod limits;
mod people;
mod play;
mod room;
#[cfg(test)]
mod tests;

pub use ingredient::{Ingredient, Operation};
pub use play::{Plays, play};

use crate::prng::{Domain, Prng};
use crate::scenario::{Expect, Scenario, Share};
use dice::Dice;

/// The name of the profile in reports.
pub const NAME: &str = "swarm";

/// What the profile is, in a sentence.
pub const ABOUT: &str = "each seed draws which operations and faults exist at all, then their rates";

/// Seeds over whose scenarios [`hash`] goes.
const HASHED: u64 = 64;

/// The scenario of a seed; played with the same seed.
pub fn scenario(seed: u64) -> Scenario {
    let size = Size::draw(&mut section(seed, Section::Size));
    let mut shape = section(seed, Section::Shape);
    let strict = shape.chance(0.3);
    let tight = shape.chance(0.6) && !strict;
    let mut scenario = Scenario {
        name: format!("swarm-{seed}"),
        about: format!("what seed {seed} draws"),
        seed,
        ..Scenario::default()
    };
    let scale = Scale { size, tight };
    scenario.users = people::users(scale, &mut section(seed, Section::Users));
    scenario.session = people::session(scale, scenario.users.count, &mut section(seed, Section::Session));
    scenario.agent = agents::agent(scale, &scenario.users, &mut section(seed, Section::Agent));
    scenario.host = agents::host(&mut section(seed, Section::Host));
    scenario.network = people::network(&mut section(seed, Section::Network));
    scenario.slow_reader = people::slow_reader(&mut section(seed, Section::SlowReader));
    scenario.limits = limits::limits(scale, &scenario, &mut section(seed, Section::Limits));
    if !tight {
        room::leave(&mut scenario);
    }
    if !strict {
        scenario.faults = faults::faults(&scenario, tight, &mut section(seed, Section::Faults));
        // A run that a fault struck does not end as its plan says.
        scenario.expect = Expect { golden_path: Share::new(0.0), ..Expect::default() };
    }
    scenario
}

/// The same without some of what a seed may draw, to see which conditions need it.
pub fn scenario_without(seed: u64, parts: &[Ingredient]) -> Scenario {
    let mut scenario = scenario(seed);
    parts.iter().for_each(|part| part.leave_out(&mut scenario));
    scenario
}

/// The scenario of a seed as the text of a file, every value written out.
pub fn text(seed: u64) -> String {
    toml::to_string(&scenario(seed)).unwrap_or_default()
}

/// Names the profile: another profile draws other scenarios from the same seeds. 32 hexadecimal digits.
pub fn hash() -> String {
    let shapes: Vec<String> = (0..HASHED).map(|seed| scenario(seed).hash()).collect();
    crate::scenario::hash_of(shapes.concat().as_bytes())
}

/// How much a seed plays: many small worlds, few large ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Tiny,
    Small,
    Medium,
    Large,
}

impl Size {
    fn draw(dice: &mut Dice) -> Self {
        [Size::Tiny, Size::Small, Size::Medium, Size::Large][dice.weighted(&[34, 34, 22, 10])]
    }

    /// One value for each size.
    fn of<T>(self, tiny: T, small: T, medium: T, large: T) -> T {
        match self {
            Size::Tiny => tiny,
            Size::Small => small,
            Size::Medium => medium,
            Size::Large => large,
        }
    }
}

/// What all sections have in common.
#[derive(Clone, Copy, Debug)]
struct Scale {
    size: Size,
    /// Limits may refuse and lose what the plan promises: a fault concerns everybody from the beginning.
    tight: bool,
}

/// Each section rolls dice of its own: a knob more in one shifts no other. Part of every stored seed, so never
/// renumber.
#[derive(Clone, Copy, Debug)]
enum Section {
    Size = 0,
    Shape = 1,
    Users = 2,
    Session = 3,
    Agent = 4,
    Network = 5,
    SlowReader = 6,
    Limits = 7,
    Faults = 8,
    Host = 9,
}

fn section(seed: u64, section: Section) -> Dice {
    Dice::new(Prng::stream(seed, Domain::Swarm, section as u64))
}
