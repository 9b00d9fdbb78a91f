//! Laws over random inputs: never a panic, same inputs same effects, nobody named but the owner, sums that hold.

use proptest::prelude::*;
use router::{AgentEvent, Config, ConnId, Connect, Effect, Effects, Input, Instant, Router, RunRef, Ticket};

#[derive(Clone, Debug)]
enum Op {
    Connect { user: u8, resume: Option<u64> },
    Text { conn: u8, text: String },
    Binary { conn: u8 },
    Written { conn: u8, frames: u32 },
    Closed { conn: u8 },
    Agent { run: u8, event: u8 },
    Wait { micros: u64 },
    Drain,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0u8..9, 0u8..4).prop_map(|(kind, n)| {
            let kinds = ["user_message", "ping", "stop_agent", "chat", "resume", "confirmation", "subscribe", "typing", "zz"];
            format!(
                r#"{{"type":"{}","message_id":"m{n}","cursor":{n},"topic":"thread:t{n}","payload":{{"content":"c","cursor":{n},"topic":"thread:t{n}"}}}}"#,
                kinds[kind as usize]
            )
        }),
        1 => "\\PC{0,40}",
        1 => Just(r#"{"user_id":"user-9"}"#.to_owned()),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (0u8..3, prop::option::of(0u64..20)).prop_map(|(user, resume)| Op::Connect { user, resume }),
        8 => (any::<u8>(), text()).prop_map(|(conn, text)| Op::Text { conn, text }),
        1 => any::<u8>().prop_map(|conn| Op::Binary { conn }),
        6 => (any::<u8>(), 0u32..9).prop_map(|(conn, frames)| Op::Written { conn, frames }),
        1 => any::<u8>().prop_map(|conn| Op::Closed { conn }),
        10 => (any::<u8>(), 0u8..4).prop_map(|(run, event)| Op::Agent { run, event }),
        3 => (0u64..30_000_000).prop_map(|micros| Op::Wait { micros }),
        1 => Just(Op::Drain),
    ]
}

/// Plays the operations; answers every effect as text, and fails when a law breaks.
fn play(ops: &[Op]) -> Result<Vec<String>, TestCaseError> {
    let config = Config {
        socket_window_frames: 3,
        outbound_frames_max: 4,
        recovery_frames_max: 6,
        ready_after_us: 1000,
        ..Config::default()
    };
    let mut router = Router::new(config).expect("valid");
    let (mut out, mut log) = (Effects::new(), Vec::new());
    let mut now = Instant::from_micros(1_700_000_000_000_000);
    let mut conns: Vec<(ConnId, String)> = Vec::new();
    let mut runs: Vec<RunRef> = Vec::new();
    for op in ops {
        let conn = |n: u8| conns.get(n as usize % conns.len().max(1)).map(|(conn, _)| *conn);
        let user_name;
        let input = match op {
            Op::Connect { user, resume } => {
                user_name = format!("user-{user}");
                Some(Input::Connect(Connect { resume: *resume, ..Connect::new(Ticket(1), &user_name) }))
            }
            Op::Text { conn: n, text } => conn(*n).map(|conn| Input::Text { conn, text }),
            Op::Binary { conn: n } => conn(*n).map(|conn| Input::Binary { conn }),
            Op::Written { conn: n, frames } => conn(*n).map(|conn| Input::Written { conn, frames: *frames }),
            Op::Closed { conn: n } => conn(*n).map(|conn| Input::Closed { conn }),
            Op::Agent { run, event } => runs.get(*run as usize % runs.len().max(1)).map(|run| Input::Agent {
                run: *run,
                event: match event {
                    0 => AgentEvent::Started { agent: "a", task: "" },
                    1 => AgentEvent::Thinking { reasoning: "", step: None },
                    2 => AgentEvent::Completed { response: "", execution_time_ms: None },
                    _ => AgentEvent::Failed { code: "", message: "" },
                },
            }),
            Op::Wait { micros } => {
                now = now.after(*micros);
                Some(Input::Tick)
            }
            Op::Drain => Some(Input::Drain),
        };
        let Some(input) = input else { continue };
        out.clear();
        router.handle(now, input, &mut out);
        router.verify().map_err(TestCaseError::fail)?;
        for effect in out.iter() {
            log.push(format!("{effect:?}"));
            match effect {
                Effect::Accepted { conn, .. } => {
                    let Op::Connect { user, .. } = op else {
                        return Err(TestCaseError::fail("accepted whom?"));
                    };
                    conns.push((*conn, format!("user-{user}")));
                }
                Effect::StartRun(request) => runs.push(request.run),
                Effect::Send { conn, frame } => {
                    let frame = out.frame(*frame).as_str();
                    log.push(frame.to_owned());
                    let value: serde_json::Value = serde_json::from_str(frame).expect("valid JSON");
                    let owner = conns.iter().find(|(known, _)| known == conn).map(|(_, user)| user.as_str());
                    if let Some(named) = value.get("user_id") {
                        prop_assert_eq!(named.as_str(), owner, "a frame names somebody else");
                    }
                }
                _ => {}
            }
        }
    }
    Ok(log)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn same_inputs_same_effects_and_every_sum_holds(ops in prop::collection::vec(op(), 1..120)) {
        prop_assert_eq!(play(&ops)?, play(&ops)?);
    }

    #[test]
    fn any_bytes_never_panic(text in "(\\PC|[\\x00-\\x7f]){0,200}") {
        let ops = [Op::Connect { user: 0, resume: None }, Op::Wait { micros: 1000 }, Op::Text { conn: 0, text }];
        play(&ops)?;
    }
}
