//! What each hazard shows in a running server: the rule that names it, and where to see it first.
//!
//! One row per hazard. A test plays each: with the switch on there is a finding of the rule, with the switch off the
//! same scenario and seed have no finding at all. [`page`] writes `docs/hazards.md` from the same rows.

mod golden_path;
mod message_router;
mod routers_other;
mod tool_dispatch;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reports::Finding;

use super::{Catalogue, Hazard, Hazards, LegacyServer};
use crate::checkers::bounds::Bounds;
use crate::scenario::{Scenario, embedded};
use crate::world::{Options, World, router_config};

/// The scenario that has a little of everything, so that most hazards show in it.
pub const SCENARIO: &str = "hazards";

/// Where a hazard shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Which.
    pub hazard: Hazard,
    /// The checker's rule that names it.
    pub rule: &'static str,
    /// Name of an embedded scenario.
    pub scenario: &'static str,
    /// Its seed.
    pub seed: u64,
}

/// A hazard that no client and no account of a running server can show, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Which.
    pub hazard: Hazard,
    /// Why.
    pub why: &'static str,
}

impl Shown {
    /// In [`SCENARIO`], under its own seed.
    const fn new(hazard: Hazard, rule: &'static str) -> Self {
        Self { hazard, rule, scenario: SCENARIO, seed: 7 }
    }

    /// Under another seed.
    const fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// In another scenario.
    const fn within(self, scenario: &'static str) -> Self {
        Self { scenario, ..self }
    }

    /// The first finding of each rule with the switch on, in the order in which they were broken.
    pub fn findings(&self) -> Vec<Finding> {
        play(self.scenario, self.seed, Hazards::of([self.hazard]))
    }

    /// The first finding of the rule with the switch on.
    pub fn first(&self) -> Option<Finding> {
        self.findings().into_iter().find(|finding| finding.rule == self.rule)
    }

    /// All findings with the switch off: there should be none.
    pub fn silence(&self) -> Vec<Finding> {
        play(self.scenario, self.seed, Hazards::NONE)
    }
}

impl Absent {
    const fn new(hazard: Hazard, why: &'static str) -> Self {
        Self { hazard, why }
    }
}

/// All hazards that show, catalogue by catalogue.
pub fn rows() -> impl Iterator<Item = &'static Shown> {
    Catalogue::ALL.into_iter().flat_map(|catalogue| lists(catalogue).0)
}

/// All hazards that do not.
pub fn absent() -> impl Iterator<Item = &'static Absent> {
    Catalogue::ALL.into_iter().flat_map(|catalogue| lists(catalogue).1)
}

/// Whether a hazard shows in a running server.
pub fn shows(hazard: Hazard) -> bool {
    rows().any(|row| row.hazard == hazard)
}

/// Why a hazard does not show.
pub fn why_not(hazard: Hazard) -> &'static str {
    let row = absent().find(|row| row.hazard == hazard);
    row.map_or("the models of its unit have it, the server does not", |row| row.why)
}

/// The page about all hazards, in Markdown. Plays each of them.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for catalogue in Catalogue::ALL {
        let (shown, absent) = lists(catalogue);
        let crossing = catalogue.rows().iter().filter(|row| row.crosses_users).count();
        // Writing into a String cannot fail.
        _ = write!(
            page,
            "\n## {}\n\n{} hazards, {} of them shown here; {crossing} cross from one user to another (**bold**).\n\n\
             | hazard | what goes wrong | rule | scenario, seed | first seen at | by whom | in |\n\
             |---|---|---|---|---|---|---|\n",
            catalogue.name(),
            catalogue.rows().len(),
            shown.len(),
        );
        for row in shown {
            page.push_str(&line(row));
        }
        if !absent.is_empty() {
            page.push_str("\nNot shown:\n\n");
        }
        for Absent { hazard, why } in absent {
            _ = writeln!(page, "- {hazard}: {}. {why}.", hazard.row().1.about);
        }
    }
    page
}

const HEAD: &str = "# Hazards of what this router replaces\n\n\
What went wrong in the old parts, and the checker that would name it. Each row is played by a test: a small chat back end\n\
made of the old parts' models ([`simulator::legacy::server`](../simulator/src/legacy/server/mod.rs)) with that one switch on\n\
breaks the rule; with the switch off, the same scenario and seed have no finding at all. The same checkers judge the\n\
canonical router.\n\n\
```sh\n\
goldenpath hazards                                        # the table without the examples\n\
goldenpath sim --subject legacy --hazard G2 --scenario hazards   # play one; exit code 6, or 7 when it crosses users\n\
goldenpath hazards --page                                 # this page\n\
```\n";

fn line(row: &Shown) -> String {
    let (_, about) = row.hazard.row();
    let name = if about.crosses_users { format!("**{}**", row.hazard) } else { row.hazard.to_string() };
    let Some(first) = row.first() else {
        return format!(
            "| {name} | {} | {} | {}, {} | nowhere | | |\n",
            about.about, row.rule, row.scenario, row.seed
        );
    };
    let or = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let who = match (first.user, first.connection) {
        (Some(user), Some(connection)) => format!("{user} {connection}"),
        (user, connection) => or(user.or(connection)),
    };
    let what = match (first.run, first.event) {
        (Some(run), Some(event)) => format!("{run}: {event}"),
        (run, event) => or(run.or(event)),
    };
    let seconds = first.at_us as f64 / 1e6;
    format!(
        "| {name} | {} | `{}` | {}, {} | {seconds:.6} s | {who} | {what} |\n",
        about.about, row.rule, row.scenario, row.seed
    )
}

/// Plays a scenario on the server.
fn play(name: &str, seed: u64, hazards: Hazards) -> Vec<Finding> {
    let text = embedded().iter().find(|(known, _)| *known == name).map(|(_, text)| *text).unwrap_or_default();
    let Ok(scenario) = Scenario::parse(name, text) else {
        return vec![Finding::new("scenario", "world", 0, format!("no scenario is called {name}"))];
    };
    let limits = router_config(&scenario);
    let bounds = Bounds::new(limits.socket_window_frames);
    let server = LegacyServer::new(limits, hazards);
    let result = World::with_subject(scenario, seed, server, bounds, Options::default()).run();
    first_of_each(result.checkers.ledger().findings())
}

/// The first finding of each rule, in the order in which the rules were first broken.
fn first_of_each(findings: &[Finding]) -> Vec<Finding> {
    let mut seen = BTreeMap::new();
    for (at, finding) in findings.iter().enumerate() {
        seen.entry(finding.rule.clone()).or_insert(at);
    }
    let mut firsts: Vec<usize> = seen.into_values().collect();
    firsts.sort_unstable();
    firsts.into_iter().map(|at| findings[at].clone()).collect()
}

/// What shows of a catalogue, and what does not.
const fn lists(catalogue: Catalogue) -> (&'static [Shown], &'static [Absent]) {
    match catalogue {
        Catalogue::MessageRouter => (message_router::SHOWN, message_router::ABSENT),
        Catalogue::RoutersOther => (routers_other::SHOWN, routers_other::ABSENT),
        Catalogue::GoldenPath => (golden_path::SHOWN, golden_path::ABSENT),
        Catalogue::ToolDispatch => (tool_dispatch::SHOWN, tool_dispatch::ABSENT),
    }
}
