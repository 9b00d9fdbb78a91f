//! The commit that made something slower: halving, with the gate as the judge.

use gate_worker::protocol::Listed;
use reports::{Contest, Decision, Quantity, Role, Weight};

use super::{
    Copies, Event, GateError, Listener, Options,
    build::{self, Builder, Executables, Wanted},
    contests::{self, Entry},
    epoch::Side,
    exact,
    repository::{Repository, Tree},
};

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The first commit that is too slow.
    pub commit: String,
    /// Its subject line.
    pub subject: String,
    /// Commits before it that could not be judged: it may be one of them.
    pub skipped: Vec<String>,
    /// What was judged, in order.
    pub steps: Vec<Step>,
}

/// One commit that was judged against the good one.
#[derive(Clone, Debug)]
pub struct Step {
    /// The commit.
    pub commit: String,
    /// What was seen, in words.
    pub seen: String,
    /// Whether it is too slow; `None` if it could not be judged.
    pub is_bad: Option<bool>,
}

struct Search<'a> {
    options: &'a Options,
    /// A benchmark, its 99th percentile (`NAME p99`), or one of its exact numbers (`NAME hops`).
    what: &'a str,
    /// What of a revision it takes to judge that.
    wanted: Wanted,
    builder: Builder,
    good: Executables,
    copies: Copies,
}

/// Finds the first commit after `good`, up to `bad`, that the gate fails against `good`.
///
/// # Errors
/// [`GateError`]; that the bad commit is none is [`GateError::Usage`].
pub fn run(options: &Options, good: &str, bad: &str, listener: Listener<'_>) -> Result<Found, GateError> {
    let [what] = options.benchmarks.as_slice() else {
        return Err(GateError::Usage("bisect follows one benchmark: give --benchmark once".to_owned()));
    };
    let repository = Repository::find(&options.folder)?;
    let builder = Builder::new(&options.cache, &repository)?;
    let (good, bad) = (repository.commit(good)?, repository.commit(bad)?);
    let commits = repository.between(&good.commit, &bad.commit)?;
    if commits.is_empty() {
        return Err(GateError::Usage("the good revision is no ancestor of the bad one".to_owned()));
    }
    let mut talk = |text: &str| listener(Event::Stage(text));
    let mut wanted = Wanted::timed(what, options.orders);
    let mut executables = builder.build(&good, &wanted, &mut talk)?;
    if executables.find(of(what).0).is_none() {
        // What is not timed is counted.
        wanted = Wanted::exact();
        executables = builder.build(&good, &wanted, &mut talk)?;
    }
    let copies = Copies::new(&options.cache)?;
    let search = Search { options, what, wanted, builder, good: executables, copies };
    let mut steps = Vec::new();
    let mut judge = |commit: &str, listener: Listener<'_>| -> Result<Option<bool>, GateError> {
        let tree = repository.commit(commit)?;
        listener(Event::Stage(&format!("judging {} {}", build::short(commit), repository.subject(commit))));
        let step = search.judge(&tree, listener)?;
        listener(Event::Stage(&format!("  {}", step.seen)));
        let is_bad = step.is_bad;
        steps.push(step);
        Ok(is_bad)
    };
    if judge(&bad.commit, listener)? != Some(true) {
        return Err(GateError::Usage(format!(
            "{} does not fail against {}: there is no commit to find ({})",
            build::short(&bad.commit),
            build::short(&good.commit),
            steps.last().map_or("", |step| step.seen.as_str())
        )));
    }
    // Good before `low`, bad from `high` on.
    let (mut low, mut high) = (0, commits.len() - 1);
    let mut unknown = vec![false; commits.len()];
    while let Some(at) = middle(low, high, &unknown) {
        match judge(&commits[at], listener)? {
            Some(true) => high = at,
            Some(false) => low = at + 1,
            None => unknown[at] = true,
        }
    }
    let skipped = (low..high).filter(|at| unknown[*at]).map(|at| commits[at].clone()).collect();
    let commit = commits[high].clone();
    Ok(Found { subject: repository.subject(&commit), commit, skipped, steps })
}

/// A benchmark's name and what of it is followed.
fn of(what: &str) -> (&str, Quantity) {
    match what.strip_suffix(" p99") {
        Some(name) => (name, Quantity::P99),
        None => (what, Quantity::Time),
    }
}

/// The commit between `low` and `high`, the latter left out, that is nearest to their middle and can be judged.
fn middle(low: usize, high: usize, unknown: &[bool]) -> Option<usize> {
    let half = low.midpoint(high);
    (low..high).filter(|at| !unknown[*at]).min_by_key(|at| at.abs_diff(half))
}

impl Search<'_> {
    fn judge(&self, tree: &Tree, listener: Listener<'_>) -> Result<Step, GateError> {
        let step = |seen: String, is_bad| Step { commit: tree.commit.clone(), seen, is_bad };
        let mut talk = |text: &str| listener(Event::Stage(text));
        let head = match self.builder.build(tree, &self.wanted, &mut talk) {
            Ok(head) => head,
            // A commit that does not build is nobody's fault here: another one is judged.
            Err(GateError::NotComparable(why) | GateError::Infrastructure(why)) => {
                return Ok(step(why, None));
            }
            Err(error @ GateError::Usage(_)) => return Err(error),
        };
        let (name, quantity) = of(self.what);
        match (self.good.find(name), head.find(name)) {
            (Some((good, listed)), Some((timed, other))) if listed.corpus == other.corpus => {
                let side = |timed| Side { timed, inject_ppm: 0 };
                let contest = self.contest(listed, quantity, [side(good), side(timed)])?;
                let seen =
                    format!("{}: {}, {} epochs", contest.decision, contest.estimated(), contest.epochs.len());
                Ok(step(
                    seen,
                    match contest.decision {
                        Decision::Fail => Some(true),
                        Decision::Pass => Some(false),
                        Decision::Inconclusive => None,
                    },
                ))
            }
            (Some(_), _) => Ok(step("the benchmark is not the same".to_owned(), None)),
            (None, _) => self.exact(tree, &head),
        }
    }

    fn contest(
        &self,
        listed: &Listed,
        quantity: Quantity,
        sides: [Side<'_>; 2],
    ) -> Result<Contest, GateError> {
        let mut rules = self.options.rules.clone();
        rules.family = 1;
        let entry = Entry { quantity, ..Entry::time(listed, Role::Gated, &rules, sides) };
        let contests = contests::run(vec![entry], &rules, self.copies.folder(), &mut |_| {})?;
        contests
            .into_iter()
            .next()
            .ok_or_else(|| GateError::Infrastructure("a gate without a contest".to_owned()))
    }

    fn exact(&self, tree: &Tree, head: &Executables) -> Result<Step, GateError> {
        let good = exact::count(self.good.exact()?, "the good revision")?;
        let head = exact::count(head.exact()?, "the other revision")?;
        let is_known = good
            .exact
            .benchmarks
            .keys()
            .chain(good.exact.scenarios.keys())
            .any(|name| self.what.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(' ')));
        if !is_known {
            let names: Vec<&str> = good.exact.benchmarks.keys().map(String::as_str).collect();
            return Err(GateError::Usage(format!(
                "nothing is called `{}`: give one of {}",
                self.what,
                names.join(", ")
            )));
        }
        let compared = exact::compare(&good.exact, &head.exact, &[]);
        let found = compared.differences.iter().find(|difference| difference.what == self.what);
        let seen = found.map_or("the same number".to_owned(), |difference| {
            format!("{} instead of {}, {}", difference.head, difference.base, difference.detail)
        });
        let is_bad = found.is_some_and(|difference| difference.weight == Weight::Regression);
        Ok(Step { commit: tree.commit.clone(), seen, is_bad: Some(is_bad) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_goes_around_what_cannot_be_judged() {
        assert_eq!(middle(0, 8, &[false; 9]), Some(4));
        let mut unknown = [false; 9];
        unknown[4] = true;
        assert_eq!(middle(0, 8, &unknown), Some(3));
        assert_eq!(middle(4, 5, &unknown), None);
        assert_eq!(middle(3, 3, &unknown), None);
    }
}
