//! Where results go: stdout is data, stderr is talk, files on request.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use reports::{Report, Verdict};

use crate::{arguments::ReportOptions, failure::Failure};

/// Writes data to stdout.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::BrokenPipe
        } else {
            Failure::Internal(format!("stdout: {error}"))
        }
    })
}

/// Writes one line to stderr; a stderr that is gone is no reason to stop.
pub(crate) fn talk(text: &str) {
    _ = writeln!(io::stderr().lock(), "{text}");
}

/// Logs go to stderr; `RUST_LOG` overrides the level.
pub(crate) fn init_log(verbose: u8) {
    let level = match verbose {
        0 => "warn,router_server=info",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let ansi = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(ansi).init();
}

/// A progress bar on a terminal, nothing elsewhere.
pub(crate) fn progress(length: u64, what: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix:>12} [{bar:32}] {percent:>3} % {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ");
    let bar = ProgressBar::new(length).with_style(style).with_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A line that says how far something without an end in sight is, on a terminal; nothing elsewhere.
pub(crate) fn counter(what: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix:>12} {spinner} {elapsed} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Prints a report and writes the files that were asked for; answers its verdict.
pub(crate) fn report(report: &Report, options: &ReportOptions) -> Result<Verdict, Failure> {
    let shown = if options.json { reports::json::to_string(report) } else { reports::text::render(report) };
    written(data(&shown), report, options)
}

/// Writes the files that were asked for, when stdout is for something else; answers the report's verdict.
pub(crate) fn report_files(report: &Report, options: &ReportOptions) -> Result<Verdict, Failure> {
    written(Ok(()), report, options)
}

fn written(
    printed: Result<(), Failure>,
    report: &Report,
    options: &ReportOptions,
) -> Result<Verdict, Failure> {
    // Each file is tried, whatever became of the others: a result that took minutes is not thrown away.
    let mut failures = Vec::new();
    file(options.out.as_deref(), || reports::json::to_string(report), &mut failures);
    file(options.html.as_deref(), || reports::html::render(report), &mut failures);
    file(options.markdown.as_deref(), || reports::markdown::render(report), &mut failures);
    file(options.junit.as_deref(), || reports::junit::render(report), &mut failures);
    settled(printed, failures, report.verdict)
}

/// The verdict, unless something could not be printed or written.
pub(crate) fn settled(
    printed: Result<(), Failure>,
    mut failures: Vec<String>,
    verdict: Verdict,
) -> Result<Verdict, Failure> {
    match printed {
        // Whoever reads our output may stop reading; the verdict stays what it is.
        Ok(()) | Err(Failure::BrokenPipe) => {}
        Err(failure) => failures.push(failure.to_string()),
    }
    if failures.is_empty() { Ok(verdict) } else { Err(Failure::Internal(failures.join("\n"))) }
}

/// Writes a rendering to a file, if it was asked for; what went wrong is collected.
pub(crate) fn file(path: Option<&Path>, render: impl FnOnce() -> String, failures: &mut Vec<String>) {
    if let Some(path) = path
        && let Err(failure) = write_file(path, &render())
    {
        failures.push(failure.to_string());
    }
}

/// Writes a file whole, or says which and why not.
pub(crate) fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| {
        Failure::Internal(format!(
            "{}: {error}; the result is not kept there: make room or give another path, and run again",
            path.display()
        ))
    };
    let mut file = fs::File::create(path).map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_data().or_else(ignore_unsupported))
        .map_err(failed)
}

/// A pipe or a device cannot be synced; it was written all the same.
fn ignore_unsupported(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::InvalidInput { Ok(()) } else { Err(error) }
}
