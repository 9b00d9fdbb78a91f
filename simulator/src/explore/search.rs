//! Breadth first over all states of a scope.
//!
//! A state is kept as its fingerprint and the choice that led to it. To go on from there the world is needed again: it is
//! still at hand if there was room to keep it, else it is played anew from the nearest state on the way that is.

use std::collections::VecDeque;

use router::{Config, ConfigError};

use super::{
    Breach, Scope,
    choice::Choice,
    nodes::Nodes,
    print::{Print, Same},
    world::World,
};

/// What a world that is kept may need, at most and with everything around it, in bytes.
const WORLD_BYTES: u64 = 24 * 1024;
/// Most bytes for worlds that are kept. Ways are played anew in order, so that neighbours share them: more worlds save no
/// time, as measured, and fall out of the processor's caches.
const KEPT_BYTES_MAX: u64 = 512 << 20;
/// States between two words on how far it is.
const STEP: u64 = 4_096;

/// What to explore, and how.
pub struct Options<'a> {
    /// How large the world is.
    pub scope: Scope,
    /// Whether states that differ in the names of users and tabs only are visited once.
    pub symmetry: bool,
    /// Bytes that states and worlds may take. Reaching it ends the search.
    pub memory_bytes: u64,
    /// The router's limits.
    pub config: Config,
    /// Told from time to time; `false` ends the search.
    pub progress: Option<&'a mut dyn FnMut(&Progress) -> bool>,
}

impl Options<'_> {
    /// The scope with symmetry, within one GiB.
    pub fn new(scope: Scope) -> Self {
        Self { scope, symmetry: true, memory_bytes: 1 << 30, config: super::world::config(), progress: None }
    }
}

/// How far a search is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// States met.
    pub states: u64,
    /// States from which everything was tried.
    pub expanded: u64,
    /// Choices that were made.
    pub transitions: u64,
    /// Choices from the beginning to the states that are being expanded.
    pub depth: u32,
    /// Bytes in use for states, and for worlds that are kept.
    pub bytes: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was explored.
    pub scope: Scope,
    /// Whether symmetry was made use of.
    pub symmetry: bool,
    /// States visited.
    pub states: u64,
    /// States that these stand for: all that differ in the names of users and tabs only are counted.
    pub labelled: u64,
    /// States in which nothing more can happen.
    pub terminal: u64,
    /// Choices that were made.
    pub transitions: u64,
    /// Choices from the beginning to the farthest state, by the shortest way.
    pub depth: u32,
    /// Most bytes in use for states and worlds.
    pub bytes: u64,
    /// How it ended.
    pub end: End,
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Everything in the scope was visited, and every rule held.
    Complete,
    /// A rule was broken.
    Broken(Box<CounterExample>),
    /// There was no room for more, or no wish. All states up to `depth` were visited, and so many of them expanded.
    Stopped {
        /// Every state that fewer choices lead to was expanded.
        depth: u32,
        /// States that were expanded.
        expanded: u64,
    },
}

/// A way to break a rule; none is shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterExample {
    /// What was broken, by the last step.
    pub breach: Breach,
    /// Each step, and what the router did.
    pub steps: Vec<(String, Vec<String>)>,
}

impl Outcome {
    /// The probability that two different states had one fingerprint is at most two to the power of minus this: for n states
    /// and 128 bits, n(n−1)/2 × 2⁻¹²⁸.
    pub fn collision_bits(&self) -> u32 {
        let pairs = u128::from(self.states) * u128::from(self.states.saturating_sub(1)) / 2;
        pairs.leading_zeros()
    }
}

/// Explores a scope.
///
/// # Errors
/// The limits make no sense to the router.
pub fn explore(options: Options<'_>) -> Result<Outcome, ConfigError> {
    let first = World::new(options.scope, options.config.clone())?;
    let same = if options.symmetry { Same::Renamed } else { Same::Fingerprint };
    let shorter = Options { config: options.config.clone(), progress: None, ..options };
    let outcome = Search::new(options, first.fork(), same, u32::MAX).run();
    let End::Broken(example) = &outcome.end else { return Ok(outcome) };
    // A defect may make a difference where there should be none, between users, or slots: what is shorter must then be looked
    // for among all states, and there are few of so few steps.
    let steps = example.steps.len() as u32;
    match Search::new(shorter, first, Same::Slots, steps - 1).run() {
        Outcome { end: End::Broken(example), depth, .. } => {
            Ok(Outcome { end: End::Broken(example), depth, ..outcome })
        }
        Outcome { end: End::Complete | End::Stopped { .. }, .. } => Ok(outcome),
    }
}

struct Search<'a> {
    options: Options<'a>,
    same: Same,
    /// States to which as many choices lead are not expanded.
    depth_max: u32,
    nodes: Nodes,
    /// States on the way to the one expanded last that was not kept, each after the one before it.
    way: Vec<(u32, World)>,
    /// Worlds of states that are still to be expanded, in order.
    kept: VecDeque<(u32, World)>,
    kept_max: usize,
    kept_peak: usize,
    labelled: u64,
    terminal: u64,
    transitions: u64,
}

impl<'a> Search<'a> {
    fn new(options: Options<'a>, first: World, same: Same, depth_max: u32) -> Self {
        let print = Print::of(&first, same);
        let kept_max = ((options.memory_bytes / 2).min(KEPT_BYTES_MAX) / WORLD_BYTES) as usize;
        Self {
            nodes: Nodes::new(print.hash),
            way: vec![(0, first)],
            kept: VecDeque::new(),
            kept_max,
            kept_peak: 0,
            labelled: print.orbit,
            terminal: 0,
            transitions: 0,
            options,
            same,
            depth_max,
        }
    }

    fn run(mut self) -> Outcome {
        let (mut depth, mut level_end, mut at) = (0, 1, 0_u32);
        while (at as usize) < self.nodes.len() {
            if at as usize == level_end {
                depth += 1;
                level_end = self.nodes.len();
            }
            if depth >= self.depth_max {
                break;
            }
            if let Err(stop) = self.expand(at) {
                let end = match stop {
                    Stop::Broken(choice, breach) => End::Broken(Box::new(self.tell(at, choice, breach))),
                    Stop::NoRoom => End::Stopped { depth, expanded: u64::from(at) },
                };
                return self.outcome(depth + 1, end);
            }
            at += 1;
            if u64::from(at) % STEP == 0 && !self.go_on(depth, u64::from(at)) {
                return self.outcome(depth + 1, End::Stopped { depth, expanded: u64::from(at) });
            }
        }
        self.outcome(depth, End::Complete)
    }

    /// Tries everything that can happen in a state.
    fn expand(&mut self, number: u32) -> Result<(), Stop> {
        let world = self.world_of(number);
        let print = (self.same == Same::Renamed).then(|| Print::of(&world, Same::Renamed));
        let mut choices = world.choices(self.options.scope.late);
        self.terminal += u64::from(choices.is_empty());
        // What a tab or user just like another one does leads to states that differ in names only.
        let repeated = |print: &Print, choice: &Choice| {
            choice.is_of_one() && print.is_repeated(choice.user.into(), choice.tab.into())
        };
        choices.retain(|choice| !print.as_ref().is_some_and(|print| repeated(print, choice)));
        let last = choices.len().saturating_sub(1);
        let mut world = Some(world);
        for (n, choice) in choices.into_iter().enumerate() {
            let next = if n == last { world.take() } else { world.as_ref().map(World::fork) };
            let Some(mut next) = next else { break };
            self.transitions += 1;
            next.perform(choice).map_err(|breach| Stop::Broken(choice, breach))?;
            if self.bytes() + self.nodes.growth() > self.options.memory_bytes {
                return Err(Stop::NoRoom);
            }
            let print = Print::of(&next, self.same);
            if let Some(new) = self.nodes.insert(print.hash, number, choice.pack()) {
                self.labelled += print.orbit;
                if self.kept.len() < self.kept_max {
                    self.kept.push_back((new, next));
                    self.kept_peak = self.kept_peak.max(self.kept.len());
                }
            }
        }
        Ok(())
    }

    /// The world of a state.
    fn world_of(&mut self, number: u32) -> World {
        if self.kept.front().is_some_and(|(kept, _)| *kept == number)
            && let Some((_, world)) = self.kept.pop_front()
        {
            return world;
        }
        let mut ahead = Vec::new();
        let mut at = number;
        let place = loop {
            if let Some(place) = self.way.iter().position(|(known, _)| *known == at) {
                break place;
            }
            let (parent, choice) = self.nodes.origin(at);
            ahead.push((at, choice));
            at = parent;
        };
        self.way.truncate(place + 1);
        while let Some((next, choice)) = ahead.pop() {
            let mut world = self.way[self.way.len() - 1].1.fork();
            // It was played before, and no rule was broken.
            _ = world.perform(Choice::unpack(choice));
            if next == number {
                return world;
            }
            self.way.push((next, world));
        }
        self.way[self.way.len() - 1].1.fork()
    }

    fn bytes(&self) -> u64 {
        self.nodes.bytes() + (self.kept.len() + self.way.len()) as u64 * WORLD_BYTES
    }

    fn go_on(&mut self, depth: u32, expanded: u64) -> bool {
        let bytes = self.bytes();
        let progress = Progress {
            states: self.nodes.len() as u64,
            expanded,
            transitions: self.transitions,
            depth,
            bytes,
        };
        self.options.progress.as_mut().is_none_or(|told| told(&progress))
    }

    /// Plays the way to a breach once more, in words.
    fn tell(&self, number: u32, last: Choice, breach: Breach) -> CounterExample {
        let mut world = self.way[0].1.fork();
        let path = self.nodes.path(number).into_iter().map(Choice::unpack).chain([last]);
        let steps = path.map(|choice| {
            world.story = Some(Vec::new());
            _ = world.perform(choice);
            (choice.to_string(), world.story.take().unwrap_or_default())
        });
        CounterExample { breach, steps: steps.collect() }
    }

    fn outcome(self, depth: u32, end: End) -> Outcome {
        Outcome {
            scope: self.options.scope,
            symmetry: self.options.symmetry,
            states: self.nodes.len() as u64,
            labelled: self.labelled,
            terminal: self.terminal,
            transitions: self.transitions,
            depth,
            bytes: self.nodes.bytes() + self.kept_peak as u64 * WORLD_BYTES,
            end,
        }
    }
}

enum Stop {
    Broken(Choice, Breach),
    NoRoom,
}
