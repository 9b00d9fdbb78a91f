//! A recorded value as the text of a frame.

use serde_json::Value;

/// The frame's text. What JSON cannot hold stands in recordings as an object with one marked member; here it
/// becomes what a client would have to write.
pub(super) fn frame_text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            if let Some(marked) = marked(value) {
                out.push_str(&marked);
                return;
            }
            out.push('{');
            for (n, (key, value)) in members.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            for (n, value) in list.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(value, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string())
        }
    }
}

/// The token behind a marked member.
fn marked(value: &Value) -> Option<String> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    let (key, text) = members.iter().next()?;
    let text = text.as_str()?;
    match key.as_str() {
        "$float" => Some(match text {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            _ => "NaN".to_owned(),
        }),
        "$int" => Some(text.to_owned()),
        "$enum" => Some(Value::String(text.to_owned()).to_string()),
        _ => None,
    }
}
