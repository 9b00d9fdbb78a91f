//! The figures of performance. Those with a goal do not depend on the machine, as far as that goes: most are ratios of
//! two things measured in one process, in turns. Medians of [`ROUNDS`] rounds; smallest and largest stand beside them.
//!
//! Memory is measured first and in this process, after its peak was reset, so run it in a process of its own.

mod fanout;
mod mix;
mod process;
mod queue;
mod replay;
mod rounds;
mod routing;
mod simulation;
mod store;

use reports::{Case, Fact, Kind, Outcome, Report, Tool, Unit, Verdict};

pub use self::process::cpu_time;
pub use self::queue::{Overload, overload};
pub use self::replay::Recording;
pub use self::rounds::{ROUNDS, Rounds, Spread};
pub use self::store::{StorePrograms, store};

/// What is measured, each against its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Routing a message, against parsing it with serde.
    Routing,
    /// Routing with a million users, against ten.
    Scaling,
    /// Ten kinds of messages in turn, and what custom handlers cost.
    Mix,
    /// Fan-out per recipient, against pushing a handle into a ring.
    FanOut,
    /// The simulator against the router alone, and its speed.
    Simulation,
    /// Memory of the simulator per user.
    Memory,
    /// The queue: its speed, and what many users and a long backlog cost.
    Queue,
    /// Memory of a queue that is offered ten times what is done.
    Overload,
}

impl Figure {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Figure; 8] = [
        Figure::Overload,
        Figure::Memory,
        Figure::Routing,
        Figure::Scaling,
        Figure::Mix,
        Figure::FanOut,
        Figure::Queue,
        Figure::Simulation,
    ];
}

/// A measured value and what it must not pass.
#[derive(Clone, Debug)]
pub struct Row {
    /// Stable name, `snake_case`.
    pub key: &'static str,
    /// What a person reads.
    pub label: String,
    /// The median.
    pub value: f64,
    /// The unit of value and goal.
    pub unit: Unit,
    /// What the value must keep to.
    pub goal: Goal,
    /// Smallest and largest, what was measured in absolute terms, anything else worth a word.
    pub detail: String,
}

/// What a value must keep to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Nothing: it is told, and depends on the machine.
    Fact,
}

impl Goal {
    /// Whether a value keeps to it.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Goal::AtMost(bound) => value <= bound,
            Goal::AtLeast(bound) => value >= bound,
            Goal::Fact => true,
        }
    }

    fn told(self) -> String {
        match self {
            Goal::AtMost(bound) => format!("at most {bound}"),
            Goal::AtLeast(bound) => format!("at least {bound}"),
            Goal::Fact => "none".to_owned(),
        }
    }
}

/// Measures everything; takes about two minutes and 2 GB.
pub fn run() -> Report {
    report(&measure(&Figure::ALL))
}

/// Measures some figures.
pub fn measure(figures: &[Figure]) -> Vec<Row> {
    let rows = figures.iter().map(|figure| match figure {
        Figure::Routing => routing::against_serde(),
        Figure::Scaling => routing::scaling(),
        Figure::Mix => mix::rows(),
        Figure::FanOut => fanout::rows(),
        Figure::Simulation => simulation::speed(),
        Figure::Memory => simulation::memory(),
        Figure::Queue => queue::rows(),
        Figure::Overload => queue::memory(),
    });
    rows.flatten().collect()
}

/// A report of rows: one case and one fact each.
pub fn report(rows: &[Row]) -> Report {
    let mut report = Report::new(Tool::new("goldenpath", env!("CARGO_PKG_VERSION")), Kind::Release);
    report.host = Some(crate::load::host());
    for row in rows {
        report.facts.push(Fact::float(row.key, &row.label, row.value, row.unit));
        let met = row.goal.is_met(row.value);
        let outcome = if met { Outcome::Passed } else { Outcome::Failed };
        let detail = format!("{} (goal: {}); {}", row.unit.amount(row.value), row.goal.told(), row.detail);
        report.cases.push(Case::new("figures", row.key, outcome, detail));
        if !met {
            let reason = format!("{}: {:.2}, goal {}", row.label, row.value, row.goal.told());
            report.judge(Verdict::Regression, reason);
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_above_its_goal_is_a_failed_case() {
        let row = |value| Row {
            key: "routing",
            label: "routing".to_owned(),
            value,
            unit: Unit::Ratio,
            goal: Goal::AtMost(2.2),
            detail: String::new(),
        };
        assert_eq!(report(&[row(2.2)]).verdict, Verdict::Pass);
        let failed = report(&[row(2.0), row(2.3)]);
        assert_eq!((failed.verdict, failed.cases.len()), (Verdict::Regression, 2));
        assert!(failed.cases[1].outcome.is_bad());
    }
}
