//! Recorded cases over real sockets: what the stage of `goldenpath conform` did to the router, clients and a host do
//! again to a server, and every connection gets the same frames in the same order.

#[path = "conform_sockets/compare.rs"]
mod compare;
#[path = "conform_sockets/play.rs"]
mod play;

use std::{collections::BTreeMap, fs, io::Read as _, sync::Arc, time::Duration};

use flate2::read::GzDecoder;
use simulator::conform::{self, Case, Obstacle, OracleKind, Outcome, Tape, tape::Step};
use tokio::{runtime::Runtime, sync::Semaphore, task::JoinSet, time::timeout};

/// Units that a client can see, with the number of cases that must be played at least.
const UNITS: &[(&str, usize)] =
    &[("message_router", 40), ("quality_router", 40), ("broadcast", 40), ("emitter", 40)];
/// Cases that must be played in all.
const CASES_MIN: usize = 300;
/// What keeps a positive case of these units from being played over sockets; any other reason is news.
const KNOWN: &[Obstacle] = &[
    Obstacle::Line,
    Obstacle::Clock,
    Obstacle::Handlers,
    Obstacle::Names,
    Obstacle::Flush,
    Obstacle::Routers,
    Obstacle::Silent,
];
/// Servers that run at once.
const AT_ONCE: usize = 8;
/// Ends a case that hangs.
const WATCHDOG: Duration = Duration::from_secs(20);

fn positive(unit: &str) -> Vec<Case> {
    let path = format!("{}/scenarios/vectors/{unit}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    GzDecoder::new(&fs::read(path).expect("vectors")[..]).read_to_string(&mut text).expect("UTF-8");
    let mut cases = conform::read(&text).expect("cases");
    cases.retain(|case| case.oracle.kind == OracleKind::Positive);
    cases
}

fn tapes(unit: &str) -> Vec<(String, Result<Tape, Obstacle>)> {
    let tape = |case: Case| {
        let tape = conform::tape(&case);
        // Equal to the stage is equal to the recording only if the stage is.
        let holds =
            || conform::judge(&case, &mut |_| {}).is_ok_and(|judged| judged.outcome == Outcome::Holds);
        assert!(tape.is_err() || holds(), "{} does not hold on the stage", case.id);
        (case.id, tape)
    };
    positive(unit).into_iter().map(tape).collect()
}

/// Plays tapes, a few at a time; each name with what differed.
async fn play_all(tapes: Vec<(String, Tape)>) -> BTreeMap<String, Vec<String>> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut playing = JoinSet::new();
    for (id, tape) in tapes {
        let places = Arc::clone(&places);
        playing.spawn(async move {
            let _place = places.acquire_owned().await;
            let played = timeout(WATCHDOG, play::play(&tape)).await;
            let differences = match played {
                Ok(Ok(heard)) => compare::differences(&tape, &heard),
                Ok(Err(why)) => vec![why],
                Err(_) => vec!["hangs".to_owned()],
            };
            (id, differences)
        });
    }
    let mut all = BTreeMap::new();
    while let Some(played) = playing.join_next().await {
        let (id, differences) = played.expect("no panic");
        all.insert(id, differences);
    }
    all
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

#[test]
#[expect(clippy::print_stdout, reason = "the counts, for `--nocapture`")]
fn recorded_cases_are_equal_over_real_sockets() {
    let (mut playable, mut counts) = (Vec::new(), Vec::new());
    let mut skipped: BTreeMap<(&str, Obstacle), usize> = BTreeMap::new();
    for &(unit, least) in UNITS {
        let before = playable.len();
        for (id, tape) in tapes(unit) {
            match tape {
                Ok(tape) => playable.push((id, tape)),
                Err(obstacle) => *skipped.entry((unit, obstacle)).or_default() += 1,
            }
        }
        let count = playable.len() - before;
        counts.push(format!("{unit}: {count}"));
        assert!(count >= least, "only {count} cases of {unit} can be played: {skipped:#?}");
    }
    let unknown: Vec<_> = skipped.keys().filter(|(_, obstacle)| !KNOWN.contains(obstacle)).collect();
    assert!(unknown.is_empty(), "cases are skipped for other reasons than known: {unknown:?}");
    assert!(playable.len() >= CASES_MIN, "{counts:?}");
    let sockets = || playable.iter().flat_map(|(_, tape)| &tape.frames);
    let frames: usize = sockets().map(Vec::len).sum();
    let summary =
        format!("played {counts:?}, {frames} frames on {} sockets; skipped {skipped:?}", sockets().count());
    let all = playable.len();
    let differing: Vec<_> = runtime()
        .block_on(play_all(playable))
        .into_iter()
        .filter(|(_, differences)| !differences.is_empty())
        .collect();
    let first: Vec<_> = differing.iter().take(10).collect();
    assert!(differing.is_empty(), "{} of {all} differ: {first:#?}\n{summary}", differing.len());
    println!("{summary}");
}

/// The first tape of a unit that has such a step.
fn first(unit: &str, wanted: impl Fn(&Step) -> bool) -> Tape {
    let tapes = tapes(unit).into_iter().filter_map(|(_, tape)| tape.ok());
    let mut tapes = tapes.filter(|tape| tape.steps.iter().any(&wanted));
    tapes.next().expect("a case with such a step")
}

fn bend(tape: &Tape, how: impl Fn(&mut Tape)) -> Tape {
    let mut tape = tape.clone();
    how(&mut tape);
    tape
}

/// One member of one frame, one frame more, one less, two in another order, one answer of the host's, one of its
/// receipts: each is seen.
#[test]
fn a_bent_tape_is_seen() {
    let straight = first("quality_router", |step| matches!(step, Step::Answer { answer: Some(_), .. }));
    let delivered = first("broadcast", |step| matches!(step, Step::Deliver { account: Some(_), .. }));
    let reported = first("emitter", |step| matches!(step, Step::Report { .. }));
    let socket = straight.frames.iter().position(|frames| frames.len() > 1).expect("a frame");
    let last = straight.frames[socket].len() - 1;
    let bent = [
        ("as it is", straight.clone()),
        ("a member is another", bend(&straight, |t| t.frames[socket][last]["type"] = "another".into())),
        ("a member is missing", bend(&straight, |t| t.frames[socket][last]["more"] = 1.into())),
        ("a frame is missing", bend(&straight, |t| t.frames[socket].extend_from_within(last..))),
        ("a frame too many", bend(&straight, |t| _ = t.frames[socket].pop())),
        ("another order", bend(&straight, |t| t.frames[socket].swap(0, last))),
        (
            "a socket is closed",
            bend(&straight, |t| t.steps.push(Step::Text { socket, text: "[".repeat(128 * 1024 + 1) })),
        ),
        ("another answer", bend(&straight, |t| t.steps.iter_mut().for_each(fail_answer))),
        ("another receipt", bend(&delivered, |t| t.steps.iter_mut().for_each(count_one_more))),
        ("an event refused", bend(&reported, |t| t.steps.iter_mut().for_each(turn_report))),
    ];
    let bent = bent.into_iter().map(|(name, tape)| (name.to_owned(), tape)).collect();
    for (name, differences) in runtime().block_on(play_all(bent)) {
        assert_eq!(differences.is_empty(), name == "as it is", "{name}: {differences:#?}");
    }
}

fn fail_answer(step: &mut Step) {
    if let Step::Answer { answer, .. } = step {
        *answer = None;
    }
}

fn count_one_more(step: &mut Step) {
    if let Step::Deliver { account: Some(account), .. } = step {
        account.delivered += 1;
    }
}

fn turn_report(step: &mut Step) {
    if let Step::Report { taken, .. } = step {
        *taken = !*taken;
    }
}
