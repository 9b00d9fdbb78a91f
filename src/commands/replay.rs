//! `goldenpath replay`.

use reports::Verdict;
use simulator::{
    plan::Plan,
    scenario::{Micros, Scenario},
    trace::{Form, Header, Lens, Look},
};

use crate::{
    arguments::{ReplayForm, ReplayOptions},
    failure::Failure,
    output,
    trace::Lines,
};

/// Shown lines that are printed at once.
const PAGE_BYTES: usize = 1 << 16;

pub(crate) fn run(options: ReplayOptions) -> Result<Verdict, Failure> {
    let path = &options.trace;
    let unreadable = |error: &dyn std::fmt::Display| Failure::unreadable(path, error);
    let mut look = look(&options)?;
    if let Some(number) = look.as_ref().and_then(|look| look.user.as_ref()?.parse().ok())
        && let Some(look) = &mut look
    {
        look.user = Some(user_of(number, &options)?);
    }
    let mut lines = Lines::open(path).map_err(|error| unreadable(&error))?;
    let mut shown = look.map(Shown::new);
    let outcome = match &mut shown {
        None => simulator::replay(&mut lines, None),
        Some(shown) => simulator::replay(&mut lines, Some(&mut |number, line| shown.line(number, line))),
    };
    if let Some(error) = lines.broken {
        return Err(unreadable(&error));
    }
    let replay = outcome.map_err(|error| unreadable(&error))?;
    match shown {
        None => output::report(&replay.report, &options.report),
        Some(shown) => {
            let shown = shown.end();
            let verdict = output::report_files(&replay.report, &options.report)?;
            for reason in &replay.report.reasons {
                output::talk(reason);
            }
            shown.map(|()| verdict)
        }
    }
}

/// What is to be looked at, if anything.
fn look(options: &ReplayOptions) -> Result<Option<Look>, Failure> {
    let ReplayOptions { until, user, run, show, .. } = options;
    if until.is_none() && user.is_none() && run.is_none() && show.is_none() {
        return Ok(None);
    }
    let until_us = match until {
        Some(text) => {
            let until: Micros = text.parse().map_err(|error| Failure::Usage(format!("--until: {error}")))?;
            Some(until.us())
        }
        None => None,
    };
    let form = match show {
        Some(ReplayForm::Full) => Form::Full,
        Some(ReplayForm::Short) | None => Form::Short,
    };
    Ok(Some(Look { until_us, user: user.clone(), run: run.clone(), form }))
}

/// The id of the user of that number, of the trace's scenario.
fn user_of(number: u32, options: &ReplayOptions) -> Result<String, Failure> {
    let path = &options.trace;
    let lines = Lines::open(path).map_err(|error| Failure::unreadable(path, &error))?;
    let opened = simulator::trace::Recorded::open(lines);
    let (_, header, scenario): (_, Header, Scenario) =
        opened.map_err(|error| Failure::unreadable(path, &error))?;
    Ok(Plan::new(scenario, header.seed).user_id(number))
}

/// Lines on their way to stdout.
struct Shown {
    lens: Lens,
    text: String,
    printed: Result<(), Failure>,
}

impl Shown {
    fn new(look: Look) -> Self {
        let lens = Lens::new(look);
        Self { text: lens.heading(), lens, printed: Ok(()) }
    }

    /// False once there is nothing more to show, or nobody to show it to.
    fn line(&mut self, number: u64, line: &str) -> bool {
        let goes_on = self.lens.line(number, line, &mut self.text);
        if self.text.len() >= PAGE_BYTES {
            self.printed = output::data(&self.text);
            self.text.clear();
        }
        goes_on && self.printed.is_ok()
    }

    fn end(self) -> Result<(), Failure> {
        self.printed.and_then(|()| output::data(&self.text))
    }
}
