//! What the sockets heard, beside the tape.

use serde_json::Value;
use simulator::conform::Tape;

/// Members that hold a reading of the router's clock.
const TIMES: &[&str] = &["timestamp"];

/// Every difference, each with its place.
pub(crate) fn differences(tape: &Tape, heard: &[Vec<Value>]) -> Vec<String> {
    let mut out = Vec::new();
    if tape.frames.len() != heard.len() {
        out.push(format!("{} sockets on the tape, {} real ones", tape.frames.len(), heard.len()));
    }
    for (socket, (taped, heard)) in tape.frames.iter().zip(heard).enumerate() {
        for (n, (taped, heard)) in taped.iter().zip(heard).enumerate() {
            values(&format!("socket {socket}, frame {n}: "), "", taped, heard, &mut out);
        }
        let (more, less) = (heard.get(taped.len()..), taped.get(heard.len()..));
        for frame in more.into_iter().flatten() {
            out.push(format!("socket {socket}: a frame that the tape has not: {frame}"));
        }
        for frame in less.into_iter().flatten() {
            out.push(format!("socket {socket}: a frame is missing: {frame}"));
        }
    }
    out
}

fn values(at: &str, key: &str, taped: &Value, heard: &Value, out: &mut Vec<String>) {
    match (taped, heard) {
        (Value::Object(taped), Value::Object(heard)) => {
            for (key, value) in taped {
                let at = format!("{at}.{key}");
                match heard.get(key) {
                    Some(heard) => values(&at, key, value, heard, out),
                    None => out.push(format!("{at} is missing")),
                }
            }
            for key in heard.keys().filter(|key| !taped.contains_key(*key)) {
                out.push(format!("{at}.{key} is not on the tape"));
            }
        }
        (Value::Array(taped), Value::Array(heard)) if taped.len() == heard.len() => {
            for (n, (taped, heard)) in taped.iter().zip(heard).enumerate() {
                values(&format!("{at}[{n}]"), key, taped, heard, out);
            }
        }
        (taped, heard) if taped == heard => {}
        (taped, heard) if TIMES.contains(&key) && is_time(taped) && is_time(heard) => {}
        (Value::String(taped), Value::String(heard))
            if key == "report" && undated(taped) == undated(heard) => {}
        _ => out.push(format!("{at}: on the tape {taped}, over sockets {heard}")),
    }
}

/// A quality report without the time at which it was generated.
fn undated(report: &str) -> Option<(&str, &str)> {
    let (head, rest) = report.split_once("\n**Generated:** ")?;
    let (time, rest) = rest.split_once('\n')?;
    is_time(&Value::from(time)).then_some((head, rest))
}

/// Unix seconds since the stage's clock began, or RFC 3339.
fn is_time(value: &Value) -> bool {
    let seconds = value.as_f64().is_some_and(|seconds| (1.7e9..1e10).contains(&seconds));
    let text = value.as_str().is_some_and(|text| {
        text.len() == "2026-01-01T00:00:00.000000Z".len()
            && text.ends_with('Z')
            && text.as_bytes()[10] == b'T'
    });
    seconds || text
}
