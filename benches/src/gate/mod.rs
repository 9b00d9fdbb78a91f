//! The performance gate: two revisions built, run in turns on this machine, and judged by evidence.
//!
//! # Map
//! | module | what it knows |
//! |---|---|
//! | [`repository`] | revisions by name; their files in a folder of our own |
//! | [`build`] | the executables of a revision, built once and kept |
//! | [`worker`] | one running worker |
//! | [`epoch`] | fresh copies, fresh processes, slots in turns: the unit of evidence |
//! | [`contests`] | all benchmarks of a run, round by round |
//! | [`evidence`] | the e-process and its decision |
//! | [`exact`] | numbers that need no clock, compared one by one |
//! | [`accepted`] | what a change declares as accepted |
//! | [`instructions`] | a warning, where valgrind is installed |
//! | [`verify`] | every verdict of a saved report, computed again |
//! | [`calibrate`] | whether a machine is fit to gate |
//! | [`bisect`] | the commit that made something slower |
//! | [`record`] | the exact tier as a file in git |

pub mod accepted;
pub mod bisect;
pub mod build;
pub mod calibrate;
pub mod conditions;
pub mod contests;
pub mod epoch;
mod error;
pub mod evidence;
pub mod exact;
pub mod instructions;
pub mod record;
mod report;
pub mod repository;
pub mod verify;
pub mod worker;

use std::{
    fs,
    path::{Path, PathBuf},
};

use gate_worker::protocol::Listed;
use reports::{Accepted, Decision, Gate, Quantity, Report, Revision, Role, Rules};

pub use self::error::GateError;
use self::{
    build::{Builder, Executables, Orders, Program, Timed, Wanted},
    contests::Entry,
    epoch::Side,
    repository::{Repository, Tree},
};

/// What the controls measure: the heart of the router, and quick to decide.
const CONTROL: &str = "route.user_message";

/// How much more the second control does: it must be noticed.
const CONTROL_PPM: u64 = 100_000;

/// What benchmarks over sockets are for. They are shown until `gate calibrate` finds on the machines of CI that +10 % is
/// noticed there every time; from then on they may be gated like the others.
const LOOPBACK_ROLE: Role = Role::Reported;

/// What to compare, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder of the repository.
    pub folder: PathBuf,
    /// Where executables are kept.
    pub cache: PathBuf,
    /// The base; the merge base with the main branch if not given.
    pub base: Option<String>,
    /// The head; the files as they are now if not given.
    pub head: Option<String>,
    /// Only these benchmarks; all if empty.
    pub benchmarks: Vec<String>,
    /// Whether to count.
    pub has_exact: bool,
    /// Whether to measure time.
    pub has_wall: bool,
    /// Whether to count instructions where that is possible.
    pub has_instructions: bool,
    /// The rules; `family` and `layouts` are found out.
    pub rules: Rules,
    /// The link orders of both sides; those of the head begin elsewhere if `head_link_seed` says so.
    pub orders: Orders,
    /// First of the seeds of the head's link orders.
    pub head_link_seed: Option<u32>,
    /// How much more the head is made to do, units per million: to see the gate speak up.
    pub inject_ppm: u64,
}

impl Options {
    /// The defaults for a folder.
    pub fn new(folder: PathBuf, cache: PathBuf, seed: u64) -> Self {
        Self {
            folder,
            cache,
            base: None,
            head: None,
            benchmarks: Vec::new(),
            has_exact: true,
            has_wall: true,
            has_instructions: true,
            rules: Rules {
                seed,
                limit: 1.05,
                alpha: 0.01,
                family: 1,
                epochs_max: 400,
                seconds_max: 60.0,
                quads: 6,
                slot_ms: 2.0,
                layouts: Orders::DEFAULT.count,
            },
            orders: Orders::DEFAULT,
            head_link_seed: None,
            inject_ppm: 0,
        }
    }
}

/// What a listener hears.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Something that takes long begins.
    Stage(&'a str),
    /// The contests go on.
    Measuring(contests::Progress<'a>),
}

/// Who listens.
pub type Listener<'a> = &'a mut dyn FnMut(Event<'_>);

/// Both sides, found and built.
#[derive(Debug)]
pub struct Sides {
    /// Where they came from.
    pub repository: Repository,
    /// What built them, and what holds the cache.
    pub builder: Builder,
    /// The base.
    pub base: (Tree, Executables),
    /// The head.
    pub head: (Tree, Executables),
}

/// Finds both sides and builds what is wanted of them.
///
/// # Errors
/// [`GateError`]
fn prepare(options: &Options, wanted: &Wanted, listener: Listener<'_>) -> Result<Sides, GateError> {
    let repository = Repository::find(&options.folder)?;
    let builder = Builder::new(&options.cache, &repository)?;
    let head = match &options.head {
        Some(name) => repository.commit(name)?,
        None => repository.working_tree(builder.sources())?,
    };
    let base = match &options.base {
        Some(name) => repository.commit(name)?,
        None => repository.merge_base(options.head.as_deref().unwrap_or("HEAD"))?,
    };
    let mut talk = |text: &str| listener(Event::Stage(text));
    let base_executables = builder.build(&base, wanted, &mut talk)?;
    let orders = Orders { first: options.head_link_seed.unwrap_or(wanted.orders.first), ..wanted.orders };
    let head_executables = builder.build(&head, &Wanted { orders, ..wanted.clone() }, &mut talk)?;
    Ok(Sides { repository, builder, base: (base, base_executables), head: (head, head_executables) })
}

/// What a run with these options needs.
fn wanted(options: &Options) -> Wanted {
    let is_wanted = |program| {
        options.benchmarks.is_empty() || options.benchmarks.iter().any(|name| Program::of(name) == program)
    };
    let mut timed = Vec::new();
    // The controls are the worker's.
    if options.has_wall || options.has_instructions {
        timed.push(Program::Worker);
    }
    if options.has_wall && is_wanted(Program::Loopback) {
        timed.push(Program::Loopback);
    }
    Wanted { exact: options.has_exact, timed, orders: options.orders }
}

/// Runs the gate.
///
/// # Errors
/// [`GateError`]: there is no verdict.
pub fn run(options: &Options, listener: Listener<'_>) -> Result<Report, GateError> {
    let before = conditions::before();
    let sides = prepare(options, &wanted(options), listener)?;
    let accepted = declared(&sides)?;
    let mut gate = Gate {
        base: revision(&sides.repository, &sides.base),
        head: revision(&sides.repository, &sides.head),
        rules: options.rules.clone(),
        contests: Vec::new(),
        controls: Vec::new(),
        exact: reports::Exact::default(),
        instructions: Vec::new(),
        not_comparable: Vec::new(),
        accepted,
        notes: Vec::new(),
        conditions: reports::Conditions::default(),
    };
    gate.rules.layouts = if sides.builder.toolchain.can_shuffle { options.orders.count } else { 1 };
    if !sides.builder.toolchain.can_shuffle {
        gate.notes.push(format!(
            "the linker cannot shuffle sections: 1 link order instead of {}, so the power at +7 % is not claimed",
            options.orders.count
        ));
    }
    if options.has_exact {
        listener(Event::Stage("counting what needs no clock"));
        count(&sides, &mut gate)?;
    }
    if options.has_wall {
        measure(options, &sides, &mut gate, listener)?;
    }
    if options.has_instructions {
        listener(Event::Stage("counting instructions"));
        count_instructions(options, &sides, &mut gate);
    }
    gate.conditions = before.after(&sides.builder.toolchain.version);
    let mut report = report::report(gate);
    report.host = Some(before.host());
    Ok(report)
}

/// The newest release that the head contains.
///
/// # Errors
/// There is none.
pub fn last_release(options: &Options) -> Result<String, GateError> {
    let repository = Repository::find(&options.folder)?;
    repository.last_tag(options.head.as_deref().unwrap_or("HEAD")).ok_or_else(|| {
        GateError::NotComparable(
            "no release tag (v1.2.3) is in this history: fetch tags (git fetch --tags --unshallow), or give --base"
                .to_owned(),
        )
    })
}

/// Declares costs of the present files as accepted; what was added.
///
/// # Errors
/// [`GateError`]; that there is no such cost is [`GateError::Usage`].
pub fn accept(
    options: &Options,
    what: &[String],
    reason: &str,
    limit: Option<f64>,
    listener: Listener<'_>,
) -> Result<Vec<Accepted>, GateError> {
    let entry = |what: &String, value| Accepted { what: what.clone(), value, reason: reason.to_owned() };
    let wanted = match limit {
        Some(_) => Wanted { exact: false, ..wanted(options) },
        None => Wanted::exact(),
    };
    let sides = prepare(options, &wanted, listener)?;
    let entries = if let Some(limit) = limit {
        let known = |what: &&String| sides.head.1.find(what.strip_suffix(" p99").unwrap_or(what)).is_some();
        if let Some(other) = what.iter().find(|what| !known(what)) {
            return Err(GateError::Usage(format!("no benchmark is called `{other}`")));
        }
        what.iter().map(|what| entry(what, limit.to_string())).collect::<Vec<_>>()
    } else {
        listener(Event::Stage("counting what needs no clock"));
        let base = exact::count(sides.base.1.exact()?, "the base")?;
        let head = exact::count(sides.head.1.exact()?, "the head")?;
        let costs: Vec<_> = exact::compare(&base.exact, &head.exact, &[])
            .differences
            .into_iter()
            .filter(|difference| difference.weight == reports::Weight::Regression)
            .collect();
        let value = |what: &String| {
            let cost = costs.iter().find(|cost| cost.what == *what);
            cost.map(|cost| entry(what, cost.head.clone())).ok_or_else(|| {
                let names: Vec<&str> = costs.iter().map(|cost| cost.what.as_str()).collect();
                GateError::Usage(format!(
                    "`{what}` is no cost of this change: those are {}",
                    names.join(", ")
                ))
            })
        };
        if what == ["exact"] {
            costs.iter().map(|cost| entry(&cost.what, cost.head.clone())).collect()
        } else {
            what.iter().map(value).collect::<Result<_, _>>()?
        }
    };
    accepted::add(sides.repository.root(), &entries)?;
    Ok(entries)
}

/// What the change declares as accepted.
fn declared(sides: &Sides) -> Result<Vec<Accepted>, GateError> {
    let file = |tree: &Tree| sides.repository.file_through(sides.builder.sources(), tree, accepted::PATH);
    accepted::declared(file(&sides.base.0).as_deref(), file(&sides.head.0).as_deref())
}

fn revision(repository: &Repository, (tree, executables): &(Tree, Executables)) -> Revision {
    Revision {
        commit: tree.commit.clone(),
        subject: repository.subject(&tree.commit),
        tree: tree.tree.clone(),
        executables: executables.digests(),
    }
}

fn count(sides: &Sides, gate: &mut Gate) -> Result<(), GateError> {
    // One side per processor: counting does not mind company.
    let (base, head) = (sides.base.1.exact()?, sides.head.1.exact()?);
    let (base, head) = std::thread::scope(|scope| {
        let base = scope.spawn(|| exact::count(base, "the base"));
        let head = exact::count(head, "the head");
        let base = base.join().unwrap_or_else(|_| Err(GateError::Infrastructure("a thread died".to_owned())));
        (base, head)
    });
    let (base, head) = (base?, head?);
    let compared = exact::compare(&base.exact, &head.exact, &gate.accepted);
    gate.not_comparable.extend(compared.not_comparable);
    gate.notes.extend(compared.notes);
    let value = |printed: &exact::Printed| serde_json::to_value(&printed.exact).unwrap_or_default();
    gate.exact = reports::Exact { base: value(&base), head: value(&head), differences: compared.differences };
    Ok(())
}

fn measure(
    options: &Options,
    sides: &Sides,
    gate: &mut Gate,
    listener: Listener<'_>,
) -> Result<(), GateError> {
    let (base, head) = (&sides.base.1, &sides.head.1);
    let pairs = comparable(options, base, head, gate)?;
    let limit = gate.rules.limit;
    let mut entries = Vec::new();
    for (listed, sides) in pairs {
        let sides = [sides[0], Side { inject_ppm: options.inject_ppm, ..sides[1] }];
        let role = match sides[1].timed.program {
            Program::Exact | Program::Worker => Role::Gated,
            Program::Loopback => LOOPBACK_ROLE,
        };
        let time = Entry::time(listed, role, &gate.rules, sides);
        let p99 = listed.has_p99.then(|| Entry { quantity: Quantity::P99, ..time.clone() });
        for entry in [Some(time), p99].into_iter().flatten() {
            let limit = accepted::limit(&gate.accepted, &entry.title()).unwrap_or(limit);
            entries.push(Entry { limit, ..entry });
        }
    }
    let gated = entries.iter().filter(|entry| entry.role == Role::Gated).count();
    gate.rules.family = gated.max(1) as u32;
    if let Some((timed, control)) = base.find(CONTROL) {
        for (role, inject_ppm) in [(Role::MustPass, 0), (Role::MustFail, CONTROL_PPM)] {
            let sides = [Side { timed, inject_ppm: 0 }, Side { timed, inject_ppm }];
            entries.push(Entry::time(control, role, &gate.rules, sides));
        }
    }
    let copies = Copies::new(&options.cache)?;
    let contests =
        contests::run(entries, &gate.rules, copies.folder(), &mut |at| listener(Event::Measuring(at)))?;
    let is_control = |contest: &reports::Contest| matches!(contest.role, Role::MustPass | Role::MustFail);
    (gate.controls, gate.contests) = contests.into_iter().partition(is_control);
    let slower = gate.contests.iter().filter(|contest| contest.role == Role::Reported);
    for contest in slower.filter(|contest| contest.decision == Decision::Fail) {
        gate.notes.push(format!(
            "{} is slower: {}; reported, not judged",
            contest.title(),
            contest.estimated()
        ));
    }
    Ok(())
}

/// The benchmarks that both sides have and feed the same, with their programs.
fn comparable<'a>(
    options: &Options,
    base: &'a Executables,
    head: &'a Executables,
    gate: &mut Gate,
) -> Result<Vec<(&'a Listed, [Side<'a>; 2])>, GateError> {
    for name in &options.benchmarks {
        if head.find(name).is_none() && base.find(name).is_none() {
            return Err(GateError::Usage(format!(
                "no benchmark is called `{name}`: give one of {}",
                head.names().join(", ")
            )));
        }
    }
    let is_wanted = |name: &String| options.benchmarks.is_empty() || options.benchmarks.contains(name);
    let note = |list: &mut Vec<String>, text: String| {
        if !list.contains(&text) {
            list.push(text);
        }
    };
    for (_, listed) in base.listed().filter(|(_, listed)| is_wanted(&listed.name)) {
        if head.find(&listed.name).is_none() {
            let gone = format!("the benchmark {} is gone from the head", listed.name);
            note(&mut gate.not_comparable, gone);
        }
    }
    let side = |timed: &'a Timed| Side { timed, inject_ppm: 0 };
    let mut pairs = Vec::new();
    for (timed, listed) in head.listed().filter(|(_, listed)| is_wanted(&listed.name)) {
        let name = &listed.name;
        match base.find(name) {
            None => note(&mut gate.notes, format!("the benchmark {name} is new: reported, not judged")),
            Some((_, other)) if other.corpus != listed.corpus => note(
                &mut gate.not_comparable,
                format!("the benchmark {name} was fed differently: its corpus changed"),
            ),
            Some((before, _)) => pairs.push((listed, [side(before), side(timed)])),
        }
    }
    Ok(pairs)
}

fn count_instructions(options: &Options, sides: &Sides, gate: &mut Gate) {
    if !instructions::is_available() {
        gate.notes
            .push("valgrind is not installed: instructions were not counted; they only warn, and apt-get install valgrind brings them".to_owned());
        return;
    }
    let (base, head) = (&sides.base.1, &sides.head.1);
    let is_wanted = |name: &String| options.benchmarks.is_empty() || options.benchmarks.contains(name);
    // Over sockets the machine's kernel does half of the work, and is not counted.
    let counted = head.listed().filter(|(timed, _)| timed.program == Program::Worker);
    for (timed, listed) in counted.filter(|(_, listed)| is_wanted(&listed.name)) {
        let Some((before, _)) = base.find(&listed.name) else { continue };
        match instructions::count(&listed.name, before, timed) {
            Some(counted) => gate.instructions.push(counted),
            None => gate.notes.push(format!("valgrind did not count {}", listed.name)),
        }
    }
}

/// The folder of an epoch's copies, gone with it.
#[derive(Debug)]
struct Copies(PathBuf);

impl Copies {
    fn new(cache: &Path) -> Result<Self, GateError> {
        let folder = cache.join("copies").join(std::process::id().to_string());
        fs::create_dir_all(&folder).map_err(|error| GateError::file(&folder, &error))?;
        Ok(Self(folder))
    }

    fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        // Whatever cannot be removed lies in a cache.
        _ = fs::remove_dir_all(&self.0);
    }
}
