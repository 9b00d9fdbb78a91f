//! Whether a machine is fit to gate: gates whose right answer is known, counted.

use gate_worker::protocol::Listed;
use reports::{Case, Contest, Decision, Fact, Kind, Report, Role, Tool, Unit, Verdict};

use super::{
    Copies, Event, GateError, Listener, Options,
    build::{Builder, Timed, Wanted},
    conditions,
    contests::{self, Entry},
    epoch::Side,
    evidence::median,
    repository::Repository,
};

/// How many gates of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// A revision against itself.
    pub itself: u32,
    /// Against itself in other link orders.
    pub link_orders: u32,
    /// With a tenth more work.
    pub tenth: u32,
    /// With seven percent more work.
    pub seven: u32,
}

impl Runs {
    /// As many as a claim needs: no false failure among 300 bounds their share by 1 %, with 95 % confidence.
    pub const FULL: Runs = Runs { itself: 300, link_orders: 40, tenth: 300, seven: 60 };

    /// The same few of each.
    pub const fn few(runs: u32) -> Self {
        Runs { itself: runs, link_orders: runs, tenth: runs, seven: runs }
    }

    /// Those of some kinds, as the log calls them; none of the others.
    #[must_use]
    pub fn only(self, kinds: &[&str]) -> Self {
        let of = |name, runs| if kinds.contains(&name) { runs } else { 0 };
        Runs {
            itself: of(ITSELF, self.itself),
            link_orders: of(LINK_ORDERS, self.link_orders),
            tenth: of(TENTH, self.tenth),
            seven: of(SEVEN, self.seven),
        }
    }
}

/// The names of the kinds, in the log and in the report.
pub const ITSELF: &str = "itself";
/// In other link orders.
pub const LINK_ORDERS: &str = "link_orders";
/// With a tenth more work.
pub const TENTH: &str = "tenth";
/// With seven percent more.
pub const SEVEN: &str = "seven";

/// A kind of gate whose right answer is known.
struct Known {
    key: &'static str,
    label: &'static str,
    runs: u32,
    inject_ppm: u64,
    /// Whether the head has other link orders: never, always, or every second time.
    other_orders: fn(u32) -> bool,
    /// Whether it must fail; otherwise it must not.
    must_fail: bool,
}

/// One gate that ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its kind.
    pub key: &'static str,
    /// Its number among its kind.
    pub run: u32,
    /// Its evidence.
    pub contest: Contest,
}

/// Runs them all; `ended` hears of each.
///
/// # Errors
/// [`GateError`]
pub fn run(
    options: &Options,
    runs: Runs,
    ended: &mut dyn FnMut(&Ended) -> Result<(), GateError>,
    listener: Listener<'_>,
) -> Result<Report, GateError> {
    let before = conditions::before();
    let repository = Repository::find(&options.folder)?;
    let builder = Builder::new(&options.cache, &repository)?;
    let head = match &options.head {
        Some(name) => repository.commit(name)?,
        None => repository.working_tree(builder.sources())?,
    };
    let name = options.benchmarks.first().map_or(super::CONTROL, String::as_str);
    let mut sets = Vec::new();
    for orders in [options.orders, options.orders.others()] {
        let wanted = Wanted::timed(name, orders);
        sets.push(builder.build(&head, &wanted, &mut |text| listener(Event::Stage(text)))?);
    }
    let found: Vec<(&Timed, &Listed)> = sets.iter().filter_map(|set| set.find(name)).collect();
    let [(one, listed), (other, _)] = found[..] else {
        return Err(GateError::Usage(format!(
            "no benchmark is called `{name}`: give one of {}",
            sets[0].names().join(", ")
        )));
    };
    let copies = Copies::new(&options.cache)?;
    let mut report = Report::new(Tool::new("goldenpath", env!("CARGO_PKG_VERSION")), Kind::Gate);
    report.seed = Some(options.rules.seed);
    report.facts.push(Fact::text("benchmark", "benchmark", name));
    report.facts.push(Fact::text("commit", "commit", head.commit.clone()));
    for known in kinds(runs).into_iter().filter(|known| known.runs > 0) {
        let mut contests = Vec::new();
        for run in 0..known.runs {
            listener(Event::Stage(&format!("{}: {} of {}", known.label, run + 1, known.runs)));
            let contest = gate(options, listed, &known, run, [one, other], copies.folder())?;
            ended(&Ended { key: known.key, run, contest: contest.clone() })?;
            contests.push(contest);
        }
        judge(&known, &contests, &mut report);
    }
    let mut host = before.host();
    host.note = format!("{}, {}", host.note, builder.toolchain.version);
    report.host = Some(host);
    if report.verdict == Verdict::Pass {
        report.reasons.push("this machine is fit to gate".to_owned());
    }
    Ok(report)
}

fn kinds(runs: Runs) -> [Known; 4] {
    let known = |key, label, runs, inject_ppm, other_orders, must_fail| Known {
        key,
        label,
        runs,
        inject_ppm,
        other_orders,
        must_fail,
    };
    [
        known(ITSELF, "against itself", runs.itself, 0, |_| false, false),
        known(LINK_ORDERS, "against itself in other link orders", runs.link_orders, 0, |_| true, false),
        known(TENTH, "with 10 % more work", runs.tenth, 100_000, |_| false, true),
        known(SEVEN, "with 7 % more work", runs.seven, 70_000, |run| run % 2 == 1, true),
    ]
}

fn gate(
    options: &Options,
    listed: &Listed,
    known: &Known,
    run: u32,
    sets: [&Timed; 2],
    folder: &std::path::Path,
) -> Result<Contest, GateError> {
    let head = sets[usize::from((known.other_orders)(run))];
    let mut rules = options.rules.clone();
    // One quantity: the least correction and so the most false failures. A seed of its own for every gate.
    rules.family = 1;
    rules.seed = options.rules.seed ^ (u64::from(run) << 32) ^ known.inject_ppm ^ known.label.len() as u64;
    let side = |timed, inject_ppm| Side { timed, inject_ppm };
    let entry = Entry::time(listed, Role::Gated, &rules, [side(sets[0], 0), side(head, known.inject_ppm)]);
    let contests = contests::run(vec![entry], &rules, folder, &mut |_| {})?;
    contests
        .into_iter()
        .next()
        .ok_or_else(|| GateError::Infrastructure("a gate without a contest".to_owned()))
}

fn judge(known: &Known, contests: &[Contest], report: &mut Report) {
    let count = |decision| contests.iter().filter(|contest| contest.decision == decision).count();
    let (passed, failed) = (count(Decision::Pass), count(Decision::Fail));
    let total = contests.len();
    let of = |value: fn(&Contest) -> f64| median(&contests.iter().map(value).collect::<Vec<_>>());
    let text = format!(
        "{passed} PASS, {failed} FAIL, {} INCONCLUSIVE of {total}; median {:+.2} %, {:.0} epochs, {:.2} s",
        total - passed - failed,
        of(|contest| contest.estimate) * 100.0,
        of(|contest| contest.epochs.len() as f64),
        of(|contest| contest.seconds)
    );
    let key = |name: &str| format!("{}_{name}", known.key);
    report.facts.push(Fact::count(key("fail"), format!("{}: FAIL", known.label), failed as u64));
    report.facts.push(Fact::count(key("runs"), format!("{}: gates", known.label), total as u64));
    report.facts.push(Fact::float(
        key("seconds"),
        format!("{}: median time", known.label),
        of(|contest| contest.seconds) * 1_000.0,
        Unit::Milliseconds,
    ));
    let holds = if known.must_fail { failed == total } else { failed == 0 };
    if holds {
        report.cases.push(Case { detail: text, ..Case::passed("gate/calibrate", known.label) });
    } else {
        report.cases.push(Case::failed("gate/calibrate", known.label, text.clone()));
        // A gate that accuses wrongly is broken here; one that notices nothing only decides nothing.
        let verdict = if known.must_fail { Verdict::Inconclusive } else { Verdict::Error };
        report.judge(verdict, format!("this machine is not fit to gate: {}: {text}", known.label));
    }
}
