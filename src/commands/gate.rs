//! `goldenpath gate`.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use benches::gate::{
    self, Event, GateError, Options,
    build::Orders,
    calibrate::{Ended, Runs},
    record::Outcome,
};
use indicatif::ProgressBar;
use reports::{Report, Verdict};

use crate::{
    arguments::{
        AcceptOptions, BisectOptions, CalibrateKind, CalibrateOptions, GateCommand, GateHow, GateOptions,
        GateRunOptions, GateTier, RecordOptions,
    },
    failure::Failure,
    output,
};

pub(crate) fn run(options: &GateOptions) -> Result<Verdict, Failure> {
    match &options.command {
        None => measure(&options.run),
        Some(GateCommand::Verify { file }) => verify(file),
        Some(GateCommand::Calibrate(options)) => calibrate(options),
        Some(GateCommand::Bisect(options)) => bisect(options),
        Some(GateCommand::Accept(options)) => accept(options),
        Some(GateCommand::Record(options)) => record(options),
        Some(GateCommand::Drift(options)) => drift(options),
    }
}

fn measure(options: &GateRunOptions) -> Result<Verdict, Failure> {
    let mut gate = how(&options.how)?;
    gate.base = options.base.clone();
    gate.head = options.head.clone();
    judge(&gate, options)
}

fn judge(gate: &Options, options: &GateRunOptions) -> Result<Verdict, Failure> {
    let bar = output::progress(1, "measuring");
    let report = gate::run(gate, &mut listener(&bar))?;
    bar.finish_and_clear();
    annotate(&report);
    output::report(&report, &options.report)
}

fn verify(file: &Path) -> Result<Verdict, Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure::unreadable(file, &error))?;
    let report = reports::json::from_str(&text).map_err(|error| Failure::unreadable(file, &error))?;
    let wrong = gate::verify::verify(&report);
    if wrong.is_empty() {
        output::data(&format!(
            "{}: every number follows from the raw values; the verdict is {}\n",
            file.display(),
            report.verdict
        ))?;
        return Ok(Verdict::Pass);
    }
    let lines: Vec<String> = wrong.iter().map(|line| format!("{}: {line}\n", file.display())).collect();
    output::data(&lines.concat())?;
    Ok(Verdict::Findings)
}

fn drift(options: &GateRunOptions) -> Result<Verdict, Failure> {
    let mut gate = how(&options.how)?;
    gate.head = options.head.clone();
    gate.base = Some(match &options.base {
        Some(base) => base.clone(),
        None => gate::last_release(&gate)?,
    });
    judge(&gate, options)
}

fn calibrate(options: &CalibrateOptions) -> Result<Verdict, Failure> {
    let mut gate = how(&options.how)?;
    gate.head = options.head.clone();
    let mut runs = if options.full { Runs::FULL } else { Runs::few(options.runs) };
    if !options.kinds.is_empty() {
        let name = |kind: &CalibrateKind| match kind {
            CalibrateKind::Itself => gate::calibrate::ITSELF,
            CalibrateKind::LinkOrders => gate::calibrate::LINK_ORDERS,
            CalibrateKind::Tenth => gate::calibrate::TENTH,
            CalibrateKind::Seven => gate::calibrate::SEVEN,
        };
        runs = runs.only(&options.kinds.iter().map(name).collect::<Vec<_>>());
    }
    let mut log = options.log.as_ref().map(|path| Log::create(path)).transpose()?;
    let mut ended = |ended: &Ended| match &mut log {
        Some(log) => log.line(ended),
        None => Ok(()),
    };
    let bar = output::progress(1, "calibrating");
    let report = gate::calibrate::run(&gate, runs, &mut ended, &mut listener(&bar))?;
    bar.finish_and_clear();
    output::report(&report, &options.report)
}

/// A line per gate, written as it ends.
struct Log {
    file: fs::File,
    path: PathBuf,
}

impl Log {
    fn create(path: &Path) -> Result<Self, Failure> {
        let made = fs::File::create(path);
        let file = made.map_err(|error| Failure::Internal(format!("{}: {error}", path.display())))?;
        Ok(Self { file, path: path.to_owned() })
    }

    fn line(&mut self, ended: &Ended) -> Result<(), GateError> {
        let contest = &ended.contest;
        let line = format!(
            "{} {} {} {:+.4} {} {:.3}",
            ended.key,
            ended.run,
            contest.decision,
            contest.estimate,
            contest.epochs.len(),
            contest.seconds
        );
        writeln!(self.file, "{line}")
            .map_err(|error| GateError::Infrastructure(format!("{}: {error}", self.path.display())))
    }
}

fn bisect(options: &BisectOptions) -> Result<Verdict, Failure> {
    let gate = how(&options.how)?;
    let bar = output::progress(1, "bisecting");
    let found = gate::bisect::run(&gate, &options.good, &options.bad, &mut listener(&bar))?;
    bar.finish_and_clear();
    let mut text = format!("{}\n{}\n", found.commit, found.subject);
    for commit in &found.skipped {
        text.push_str(&format!("or an earlier one that could not be judged: {commit}\n"));
    }
    output::data(&text)?;
    Ok(Verdict::Regression)
}

fn accept(options: &AcceptOptions) -> Result<Verdict, Failure> {
    let defaults = Options::new(own_folder()?, cache(options.cache.as_ref()), 1);
    let gate = Options { base: options.base.clone(), ..defaults };
    if options.limit.is_some_and(|limit| !(1.0..=100.0).contains(&limit)) {
        return Err(Failure::Usage("--limit: expected a ratio from 1 to 100, for example 1.12".to_owned()));
    }
    let bar = output::progress(1, "counting");
    let entries = gate::accept(&gate, &options.what, &options.reason, options.limit, &mut listener(&bar))?;
    bar.finish_and_clear();
    for entry in entries {
        output::data(&format!("accepted: {} at {}\n", entry.what, entry.value))?;
    }
    output::talk(&format!("commit {} with the change", gate::accepted::PATH));
    Ok(Verdict::Pass)
}

fn record(options: &RecordOptions) -> Result<Verdict, Failure> {
    let bar = output::progress(1, "counting");
    let cache = cache(options.cache.as_ref());
    let outcome = gate::record::record(&own_folder()?, &cache, options.check, &mut listener(&bar))?;
    bar.finish_and_clear();
    let (text, verdict) = match outcome {
        Outcome::Same => ("the recorded numbers are those of the present files".to_owned(), Verdict::Pass),
        Outcome::Written(path) => (format!("{}: written; commit it", path.display()), Verdict::Pass),
        Outcome::Differs(why) => (why, Verdict::Findings),
    };
    output::data(&format!("{text}\n"))?;
    Ok(verdict)
}

fn own_folder() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| Failure::Internal(format!("own folder: {error}")))
}

/// What the arguments say, as the gate wants it.
fn how(how: &GateHow) -> Result<Options, Failure> {
    let folder = own_folder()?;
    let drawn = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(1, |since| since.as_micros() as u64 % 1_000_000_007)
    };
    let mut options = Options::new(folder, cache(how.cache.as_ref()), how.seed.unwrap_or_else(drawn));
    if !(how.slot_ms > 0.0 && how.slot_ms <= 1_000.0) {
        return Err(Failure::Usage("--slot-ms: expected more than 0 and at most 1000".to_owned()));
    }
    options.benchmarks.clone_from(&how.benchmarks);
    options.has_exact = how.only != Some(GateTier::Wall);
    options.has_wall = how.only != Some(GateTier::Exact);
    options.has_instructions = how.only.is_none();
    options.rules.slot_ms = how.slot_ms;
    options.rules.epochs_max = how.max_epochs.max(1);
    options.rules.seconds_max = how.max_seconds;
    options.orders = Orders { first: how.link_seed, count: how.link_orders.max(1) };
    options.head_link_seed = how.head_link_seed;
    options.inject_ppm = how.inject_ppm;
    Ok(options)
}

/// Where executables are kept: as told, else in the user's cache, else beside other temporary things.
fn cache(told: Option<&PathBuf>) -> PathBuf {
    let under = |name: &str, below: &str| {
        std::env::var_os(name).filter(|value| !value.is_empty()).map(|value| PathBuf::from(value).join(below))
    };
    told.cloned()
        .or_else(|| under("XDG_CACHE_HOME", "goldenpath/gate"))
        .or_else(|| under("HOME", ".cache/goldenpath/gate"))
        .unwrap_or_else(|| std::env::temp_dir().join("goldenpath-gate"))
}

/// Shows how far a gate is: a bar on a terminal, lines elsewhere.
fn listener(bar: &ProgressBar) -> impl FnMut(Event<'_>) {
    let mut said = usize::MAX;
    move |event| match event {
        Event::Stage(text) => {
            if bar.is_hidden() {
                output::talk(text);
            }
            bar.set_message(text.to_owned());
        }
        Event::Measuring(at) => {
            bar.set_length(at.total as u64);
            bar.set_position(at.done as u64);
            bar.set_message(format!("{}, epoch {}", at.now, at.epochs + 1));
            if bar.is_hidden() && said != at.done {
                output::talk(&format!("measuring: {} of {} decided", at.done, at.total));
                said = at.done;
            }
        }
    }
}

/// In GitHub Actions, every reason of a bad verdict becomes an annotation, and every note a quiet one.
fn annotate(report: &Report) {
    if std::env::var_os("GITHUB_ACTIONS").is_none() {
        return;
    }
    let level = match report.verdict {
        Verdict::Pass => "notice",
        Verdict::Inconclusive | Verdict::NotComparable => "warning",
        Verdict::Findings
        | Verdict::IsolationBreach
        | Verdict::Regression
        | Verdict::ReplayDiverged
        | Verdict::TraceAltered
        | Verdict::Unreached
        | Verdict::Error => "error",
    };
    for reason in &report.reasons {
        let is_note = report.gate.as_ref().is_some_and(|gate| gate.notes.contains(reason));
        let level = if is_note { "notice" } else { level };
        let text = reason.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        output::talk(&format!("::{level} title=goldenpath gate::{text}"));
    }
}
