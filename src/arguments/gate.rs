//! Arguments of `goldenpath gate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ReportOptions;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct GateOptions {
    #[command(subcommand)]
    pub(crate) command: Option<GateCommand>,
    #[command(flatten)]
    pub(crate) run: GateRunOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GateCommand {
    /// Compute every verdict of a saved report again from the raw values in it
    Verify {
        /// A report written with `gate --out`
        file: PathBuf,
    },
    /// Say whether this machine is fit to gate: false failures and power, measured
    Calibrate(CalibrateOptions),
    /// Find the commit that made something slower
    Bisect(BisectOptions),
    /// Declare a cost of the present change as accepted, in a file that is part of the change
    Accept(AcceptOptions),
    /// Write the exact numbers of the present files into the repository, or check those that are there
    Record(RecordOptions),
    /// Compare with the last release, so that many small steps are seen
    Drift(GateRunOptions),
}

/// What to compare and how.
#[derive(Args, Debug)]
pub(crate) struct GateRunOptions {
    /// What to compare with [default: where the head branched off the main branch]
    #[arg(long, value_name = "REV")]
    pub(crate) base: Option<String>,
    /// What to judge [default: the files as they are]
    #[arg(long, value_name = "REV")]
    pub(crate) head: Option<String>,
    #[command(flatten)]
    pub(crate) how: GateHow,
    #[command(flatten)]
    pub(crate) report: ReportOptions,
}

/// How to measure.
#[derive(Args, Debug)]
pub(crate) struct GateHow {
    /// Only this benchmark; repeat for more
    #[arg(long = "benchmark", value_name = "NAME")]
    pub(crate) benchmarks: Vec<String>,
    /// Only this tier
    #[arg(long, value_name = "TIER")]
    pub(crate) only: Option<GateTier>,
    /// Seed of every random choice; drawn from the clock if not given
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How long a slot lasts, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 2.0)]
    pub(crate) slot_ms: f64,
    /// Epochs after which a benchmark is undecided
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub(crate) max_epochs: u32,
    /// Seconds after which it is
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) max_seconds: f64,
    /// First seed of the link orders
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) link_seed: u32,
    /// Link orders per side; fewer build sooner, and a small change of a short benchmark may then hide behind their luck
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(crate) link_orders: u32,
    /// First seed of the head's link orders, if they are to differ
    #[arg(long, value_name = "SEED")]
    pub(crate) head_link_seed: Option<u32>,
    /// Make the head do this much more work, in millionths: to see the gate speak up
    #[arg(long, value_name = "PPM", default_value_t = 0)]
    pub(crate) inject_ppm: u64,
    /// Where executables are kept [default: the user's cache directory]
    #[arg(long, value_name = "DIR", env = "GOLDENPATH_GATE_CACHE")]
    pub(crate) cache: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum GateTier {
    /// Numbers that need no clock
    Exact,
    /// The wall clock
    Wall,
}

#[derive(Args, Debug)]
pub(crate) struct CalibrateOptions {
    /// As many runs as a claim needs: 300 against itself, 40 with other link orders, 300 at +10 %, 60 at +7 %
    #[arg(long)]
    pub(crate) full: bool,
    /// Runs of each kind of the short form
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "full")]
    pub(crate) runs: u32,
    /// Only runs of this kind; repeat for more
    #[arg(long = "kind", value_name = "KIND")]
    pub(crate) kinds: Vec<CalibrateKind>,
    /// The revision to measure [default: the files as they are]
    #[arg(long, value_name = "REV")]
    pub(crate) head: Option<String>,
    /// Write a line per run here as they end
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: GateHow,
    #[command(flatten)]
    pub(crate) report: ReportOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CalibrateKind {
    /// Against itself: must not fail
    Itself,
    /// Against itself in other link orders: must not fail
    LinkOrders,
    /// With 10 % more work: must fail
    Tenth,
    /// With 7 % more work: must fail
    Seven,
}

#[derive(Args, Debug)]
pub(crate) struct BisectOptions {
    /// A revision that was fast enough
    #[arg(long, value_name = "REV")]
    pub(crate) good: String,
    /// A later one that is not
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub(crate) bad: String,
    #[command(flatten)]
    pub(crate) how: GateHow,
}

#[derive(Args, Debug)]
pub(crate) struct AcceptOptions {
    /// What: `BENCHMARK NUMBER` as the report names it, `exact` for all of those, or a benchmark together with --limit
    #[arg(required = true, value_name = "WHAT")]
    pub(crate) what: Vec<String>,
    /// Why the cost is worth it
    #[arg(long)]
    pub(crate) reason: String,
    /// Largest ratio of head to base of a benchmark's time, for example 1.12
    #[arg(long, value_name = "RATIO")]
    pub(crate) limit: Option<f64>,
    /// What to compare with [default: where the head branched off the main branch]
    #[arg(long, value_name = "REV")]
    pub(crate) base: Option<String>,
    /// Where executables are kept [default: the user's cache directory]
    #[arg(long, value_name = "DIR", env = "GOLDENPATH_GATE_CACHE")]
    pub(crate) cache: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct RecordOptions {
    /// Change nothing; say whether the file is what the present files give
    #[arg(long)]
    pub(crate) check: bool,
    /// Where executables are kept [default: the user's cache directory]
    #[arg(long, value_name = "DIR", env = "GOLDENPATH_GATE_CACHE")]
    pub(crate) cache: Option<PathBuf>,
}
