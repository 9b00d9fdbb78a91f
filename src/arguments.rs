//! Arguments. Nothing below this module knows clap.

mod gate;
mod nodes;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use reports::sweep::SeedRange;
use simulator::{scenario::Micros, swarm::Ingredient};

pub(crate) use self::{
    gate::{
        AcceptOptions, BisectOptions, CalibrateKind, CalibrateOptions, GateCommand, GateHow, GateOptions,
        GateRunOptions, GateTier, RecordOptions,
    },
    nodes::{DrillOptions, NodesOptions, QueueCommand, QueueOptions, ServeOptions},
};

/// One canonical WebSocket router, its simulator and its load test.
#[derive(Debug, Parser)]
#[command(
    name = "goldenpath",
    version,
    after_help = "Exit codes: 0 all well, 1 internal, 2 usage, 3 regression, \
4 inconclusive, 5 not comparable, 6 findings, 7 isolation breach, 8 replay diverged, 9 trace altered, \
10 unreached."
)]
pub(crate) struct Arguments {
    /// More talk on stderr; repeat for still more
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play a scenario in virtual time against the router core and check every rule
    Sim(SimOptions),
    /// Make a scenario that breaks a rule small enough to read, and keep it as a scenario of its own
    Shrink(ShrinkOptions),
    /// Play a recorded trace again and compare it byte by byte
    Replay(ReplayOptions),
    /// Play a scenario in real time over real sockets and check the same rules
    Load(LoadOptions),
    /// Break nodes and Redis under load, in real processes, and check that nothing accepted is lost
    Drill(DrillOptions),
    /// Serve WebSockets with the router
    Serve(ServeOptions),
    /// Look at the queue of a running node: what waits, what ended undelivered; and have that worked on again
    Queue(QueueOptions),
    /// Check, list or describe scenario files
    Scenario(ScenarioOptions),
    /// Play the recorded cases of what this router replaces against it, and say where it differs
    Conform(ConformOptions),
    /// List what went wrong in the parts that this router replaces, and the rule that names each of them
    Hazards(HazardsOptions),
    /// Find what is still written against the names that this router replaces
    Migrate(MigrateOptions),
    /// Compare the speed of two revisions, measured in turns on this machine
    Gate(Box<GateOptions>),
    /// Render a saved report, or compare two
    Report(ReportCommandOptions),
    /// Measure the speed goals: ratios of two things timed in one run
    Figures(FiguresOptions),
    /// Print a completion script for a shell
    Completions(CompletionsOptions),
}

/// Where a report goes beside stdout.
#[derive(Args, Debug)]
pub(crate) struct ReportOptions {
    /// Print the report as JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write the report as one self-contained HTML page
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the report as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Write the report as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct SimOptions {
    /// A scenario by name or file; `golden-path` by default, or with --seeds the swarm
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) scenario: Option<String>,
    /// Play the scenario that the seed draws
    #[arg(long, conflicts_with = "scenario")]
    pub(crate) swarm: bool,
    /// Seed; the scenario's own by default
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) sweep: SweepOptions,
    #[command(flatten)]
    pub(crate) nodes: NodesOptions,
    /// What is played: `router`, `legacy` (a server made of the models of what it replaces), or `legacy-PART` with all
    /// hazards of a part on
    #[arg(long, default_value = "router", value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// A hazard of the legacy server to switch on, such as G2 or emitter.G13; repeat for more; `all`, or `list` to see
    /// them
    #[arg(long = "hazard", value_name = "ID")]
    pub(crate) hazards: Vec<String>,
    /// Write a trace that `replay` can play again; packed if the name ends in `.gz`
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Play everything twice and compare the two
    #[arg(long)]
    pub(crate) check_determinism: bool,
    /// Visit every interleaving of a small world instead of playing a scenario: a scope by name (one-tab, two-users,
    /// intruder, one-user, full) or by keys, such as users=2,tabs=1,runs=2,disconnects=1
    #[arg(long, value_name = "SCOPE", num_args = 0..=1, default_missing_value = "two-users",
        conflicts_with_all = ["scenario", "seed", "subject", "hazards", "trace", "check_determinism"])]
    pub(crate) explore: Option<String>,
    /// Most memory for the states of an exploration
    #[arg(long, value_name = "SIZE", default_value = "8GiB", value_parser = memory, requires = "explore")]
    pub(crate) memory: u64,
    /// Explore without taking users and tabs for interchangeable
    #[arg(long, requires = "explore")]
    pub(crate) no_symmetry: bool,
    #[command(flatten)]
    pub(crate) report: ReportOptions,
}

/// Failing seeds that a sweep keeps of each rule, if nobody says how many.
pub(crate) const KEPT: u32 = 3;

/// Many seeds instead of one.
#[derive(Args, Debug, Default)]
pub(crate) struct SweepOptions {
    /// Play many seeds, from A to before B
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with_all = ["seed", "trace", "check_determinism"])]
    pub(crate) seeds: Option<SeedRange>,
    /// Threads [default: one per processor]
    #[arg(long, requires = "seeds", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) jobs: Option<u32>,
    /// Only part I of N of the seeds, from 1; `report merge` joins the reports of all parts
    #[arg(long, requires = "seeds", value_name = "I/N", value_parser = shard)]
    pub(crate) shard: Option<(u32, u32)>,
    /// End after this time, such as 10m, wherever that is
    #[arg(long, requires = "seeds", value_name = "TIME")]
    pub(crate) budget: Option<Micros>,
    /// End when so many seeds met no condition and no triple that was not met before
    #[arg(long, requires = "seeds", value_name = "SEEDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) plateau: Option<u64>,
    /// Failing seeds to keep of each rule, the fastest first
    #[arg(long, requires = "seeds", default_value_t = KEPT, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) keep: u32,
    /// Fail if a condition was never met in so many seeds, or `never` [default: 2000 for the swarm on the router]
    #[arg(long, requires = "seeds", value_name = "SEEDS", value_parser = demand)]
    pub(crate) demand: Option<Demand>,
    /// Leave this out of every scenario of the swarm, to see which conditions need it: a kind of fault or an operation,
    /// several with commas
    #[arg(long, value_name = "INGREDIENT", value_parser = ingredient, value_delimiter = ',', conflicts_with = "scenario")]
    pub(crate) without: Vec<Ingredient>,
    /// Write the hash of each seed, a line each
    #[arg(long, requires = "seeds", value_name = "FILE")]
    pub(crate) hashes: Option<PathBuf>,
}

/// From how many seeds on every condition must have been met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    From(u64),
    Never,
}

#[derive(Args, Debug)]
pub(crate) struct ShrinkOptions {
    /// A scenario by name or file
    #[arg(long, value_name = "NAME|FILE", required_unless_present = "swarm", conflicts_with = "swarm")]
    pub(crate) scenario: Option<String>,
    /// What the seed draws from the swarm, as in `sim --swarm`
    #[arg(long, requires = "seed")]
    pub(crate) swarm: bool,
    /// Seed; the scenario's own by default
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// What breaks the rule, as in `sim`
    #[arg(long, default_value = "router", value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// A hazard of the legacy server to switch on, as in `sim`; repeat for more
    #[arg(long = "hazard", value_name = "ID")]
    pub(crate) hazards: Vec<String>,
    /// The rule to keep, such as iso.I1; by default the worst that is found first
    #[arg(long)]
    pub(crate) rule: Option<String>,
    /// Write the small scenario here
    #[arg(long, value_name = "FILE")]
    pub(crate) into: PathBuf,
    /// Time, such as 30s or 5m, after which the smallest scenario so far is taken
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) budget: Micros,
    #[command(flatten)]
    pub(crate) report: ReportOptions,
}

#[derive(Args, Debug)]
pub(crate) struct HazardsOptions {
    /// Play each of them and print the page about them as Markdown
    #[arg(long)]
    pub(crate) page: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayOptions {
    /// A trace written by `sim --trace`
    pub(crate) trace: PathBuf,
    /// Look around: print what happened up to this virtual time, such as `12s`, and stop there
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Look around: print what concerns this user, by id or by number from 0
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// Look around: print what concerns this run, by id, or by handle as the short form shows it
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// How it is printed: one state transition per line, or every input and effect in full [default: short]
    #[arg(long, value_name = "FORM")]
    pub(crate) show: Option<ReplayForm>,
    #[command(flatten)]
    pub(crate) report: ReportOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ReplayForm {
    /// One state transition per line, in fixed columns
    Short,
    /// Every input and every effect, frames and payloads included
    Full,
}

#[derive(Args, Debug)]
pub(crate) struct LoadOptions {
    /// A scenario by name or file
    #[arg(long, default_value = "load", value_name = "NAME|FILE")]
    pub(crate) scenario: String,
    /// Seed; the scenario's own by default
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// A server to load, e.g. `ws://127.0.0.1:8000/ws`; by default a server is started in a child process
    #[arg(long, value_name = "URL")]
    pub(crate) target: Option<String>,
    /// File with the HS256 key that signs the users' tokens at the target
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(crate) jwt_key_file: Option<PathBuf>,
    /// PEM file with the certificates that a `wss` target is checked against; by default those of the system
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(crate) authorities: Option<PathBuf>,
    /// Threads that generate load
    #[arg(long)]
    pub(crate) workers: Option<usize>,
    #[command(flatten)]
    pub(crate) report: ReportOptions,
}

#[derive(Args, Debug)]
pub(crate) struct ScenarioOptions {
    #[command(subcommand)]
    pub(crate) command: ScenarioCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioCommand {
    /// Check scenario files
    Check {
        /// Files or names
        #[arg(required = true, value_name = "NAME|FILE")]
        scenarios: Vec<String>,
    },
    /// List the embedded scenarios
    List,
    /// Print a scenario with its plan written out, row by row
    WriteOut {
        /// A scenario by name or file
        #[arg(value_name = "NAME|FILE")]
        scenario: String,
        /// Seed; the scenario's own by default
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Print the JSON schema of scenario files, for editors
    Schema,
    /// Print the scenario that a seed of the swarm draws
    Swarm {
        /// The seed
        seed: u64,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ConformOptions {
    /// Files of recorded cases (.jsonl or .jsonl.gz) or directories of them; by default the project's own
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// What the cases are played on
    #[arg(long, value_enum, default_value_t = ConformSubject::Router)]
    pub(crate) subject: ConformSubject,
    /// Only the cases of one unit
    #[arg(long)]
    pub(crate) unit: Option<String>,
    /// Print one case side by side with what the router did
    #[arg(long, value_name = "ID")]
    pub(crate) show: Option<String>,
    /// Say how recordings are translated before they are compared
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) report: ReportOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ConformSubject {
    /// The canonical router: it must keep what was promised
    Router,
    /// The executable models of what it replaces: they must repeat what was recorded
    Legacy,
}

#[derive(Args, Debug)]
pub(crate) struct MigrateOptions {
    #[command(subcommand)]
    pub(crate) command: MigrateCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateCommand {
    /// List imports and uses of replaced names in Python and Rust sources; exit code 6 when there are too many
    Scan {
        /// A source file or a tree
        path: PathBuf,
        /// Share of files that must be free of them, percent
        #[arg(long, value_name = "PERCENT", default_value_t = 100.0, value_parser = percent)]
        at_least: f64,
        /// Print the hits as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ReportCommandOptions {
    #[command(subcommand)]
    pub(crate) command: ReportCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Render a saved JSON report
    Show {
        /// A report written with `--out`
        file: PathBuf,
        #[command(flatten)]
        report: ReportOptions,
    },
    /// Compare two saved JSON reports
    Compare {
        /// The older one
        a: PathBuf,
        /// The newer one
        b: PathBuf,
        /// Print Markdown instead of text
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
        /// Write the comparison as JSON
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Write the comparison as one self-contained HTML page
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Write the comparison as JUnit XML
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
    /// Join the reports of a sweep's parts into that of the sweep that was never divided
    Merge {
        /// Reports written with `sim --seeds A..B --shard I/N --out FILE`
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        report: ReportOptions,
    },
    /// Join everything that a release rests on into one report; what is not given is run
    Release(Box<ReleaseOptions>),
}

#[derive(Args, Debug)]
pub(crate) struct ReleaseOptions {
    /// The last release: a tag, or any revision
    #[arg(long, value_name = "TAG")]
    pub(crate) since: String,
    /// Saved report of a simulation, instead of playing the built-in scenarios; repeat for more
    #[arg(long, value_name = "FILE")]
    pub(crate) sim: Vec<PathBuf>,
    /// Saved report of a load test, instead of a short one against a server of its own; repeat for more
    #[arg(long, value_name = "FILE")]
    pub(crate) load: Vec<PathBuf>,
    /// Saved report of a sweep, or of the merged parts of one, instead of playing two thousand seeds of the swarm
    #[arg(long, value_name = "FILE")]
    pub(crate) sweep: Option<PathBuf>,
    /// Saved report of the conformance cases, instead of playing them
    #[arg(long, value_name = "FILE")]
    pub(crate) conform: Option<PathBuf>,
    /// Saved report of a gate, instead of running one against TAG
    #[arg(long, value_name = "FILE")]
    pub(crate) gate: Option<PathBuf>,
    /// Also play the scenarios that take a minute and more
    #[arg(long)]
    pub(crate) all: bool,
    /// Where reports of earlier releases lie, as TAG.json and TAG-*.json
    #[arg(long, value_name = "DIR", default_value = "reports/history")]
    pub(crate) history: PathBuf,
    /// Write release.html, .md, .xml and .json into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) report: ReportOptions,
}

#[derive(Args, Debug)]
pub(crate) struct FiguresOptions {
    /// Measure a node on a Redis instead: events logged and delivered, against the append script alone
    #[arg(long)]
    pub(crate) redis: bool,
    /// The `redis-server` to start, 7.0 or later
    #[arg(long, value_name = "PATH", env = "REDIS_SERVER", default_value = "redis-server")]
    pub(crate) redis_server: PathBuf,
    /// The `redis-benchmark` to measure it with
    #[arg(long, value_name = "PATH", env = "REDIS_BENCHMARK", default_value = "redis-benchmark")]
    pub(crate) redis_benchmark: PathBuf,
    #[command(flatten)]
    pub(crate) report: ReportOptions,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionsOptions {
    /// Which shell
    pub(crate) shell: Shell,
}

/// `A..B`, without B.
fn seeds(text: &str) -> Result<SeedRange, String> {
    let (from, to) = text.split_once("..").ok_or("expected A..B, for example 0..1000")?;
    let number = |part: &str| part.parse().map_err(|_| format!("`{part}` is not the number of a seed"));
    let range = SeedRange { from: number(from)?, to: number(to)? };
    if range.is_empty() {
        return Err(format!("no seed is in {range}: B comes after the last one"));
    }
    Ok(range)
}

/// `I/N`, from 1.
fn shard(text: &str) -> Result<(u32, u32), String> {
    let numbers = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    let fits = |(part, of): &(u32, u32)| (1..=*of).contains(part);
    numbers.filter(fits).ok_or_else(|| "expected I/N with I from 1 to N, for example 1/4".to_owned())
}

/// A number of seeds, or `never`.
fn demand(text: &str) -> Result<Demand, String> {
    if text == "never" {
        return Ok(Demand::Never);
    }
    text.parse().map(Demand::From).map_err(|_| "expected a number of seeds, or `never`".to_owned())
}

/// Something that a seed of the swarm may draw.
fn ingredient(text: &str) -> Result<Ingredient, String> {
    let names = || Ingredient::all().map(Ingredient::name).collect::<Vec<_>>().join(", ");
    Ingredient::named(text).ok_or_else(|| format!("expected one of {}", names()))
}

/// A size with its unit, in bytes.
fn memory(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let found = units.into_iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)));
    let size = found.and_then(|(number, shift)| number.trim().parse::<u64>().ok()?.checked_mul(1 << shift));
    size.filter(|size| *size > 0)
        .ok_or_else(|| "expected a whole number and KiB, MiB or GiB, such as 8GiB".to_owned())
}

/// A share, 0 to 100.
fn percent(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=100.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 100".to_owned())
}
