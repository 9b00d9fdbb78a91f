//! `goldenpath queue`: what waits at a running node, and what ended undelivered there.

use std::{fmt::Write as _, fs, time::Duration};

use reports::Verdict;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    arguments::{QueueCommand, QueueOptions},
    failure::Failure,
    output,
};

/// A node that does not answer within this time is not there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Letters asked for at once.
const PAGE: u64 = 500;

pub(crate) fn run(options: &QueueOptions) -> Result<Verdict, Failure> {
    let node = Node::new(options)?;
    match &options.command {
        QueueCommand::Stats => {
            let stats = node.ask("queue", &[])?;
            output::data(&if options.json { pretty(&stats) } else { table(&stats) })?;
        }
        QueueCommand::DeadLetters { user, limit } => {
            let letters = node.letters(user.as_deref(), *limit)?;
            output::data(&if options.json { pretty(&Value::Array(letters)) } else { listed(&letters)? })?;
        }
        QueueCommand::Redrive { user, letter, all } => {
            let letters: Vec<u64> = match letter {
                Some(letter) => vec![*letter],
                None if *all => {
                    let known = node.letters(Some(user), None)?;
                    read(&known)?
                        .into_iter()
                        .filter(|letter| letter.redrivable)
                        .map(|letter| letter.letter)
                        .collect()
                }
                None => return Err(Failure::Usage("expected the number of a letter, or --all".to_owned())),
            };
            let (mut text, mut refused) = (String::new(), 0);
            for letter in letters {
                let outcome = node.redrive(user, letter)?;
                refused += u32::from(outcome.is_some());
                let said = outcome.as_deref().unwrap_or("worked on again");
                // Writing into a String cannot fail.
                _ = writeln!(text, "{letter}  {said}");
            }
            output::data(&text)?;
            if refused > 0 {
                return Err(Failure::Internal(format!("{refused} of the letters stay where they are")));
            }
        }
    }
    Ok(Verdict::Pass)
}

/// A running node, and the right to ask it.
struct Node {
    url: String,
    token: String,
    agent: ureq::Agent,
}

/// A dead letter, as far as the table says it.
#[derive(Deserialize)]
struct Letter {
    letter: u64,
    user_id: String,
    outlet: String,
    reason: String,
    offered_at_us: u64,
    dead_at_us: u64,
    request_id: Option<String>,
    redrivable: bool,
}

impl Node {
    fn new(options: &QueueOptions) -> Result<Self, Failure> {
        let path = &options.admin_token_file;
        let token = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
        let config =
            ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
        let url = options.url.trim_end_matches('/').to_owned();
        Ok(Self { url, token: token.trim().to_owned(), agent: config.into() })
    }

    fn ask(&self, what: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let mut request =
            self.agent.get(format!("{}/admin/{what}", self.url)).query_pairs(query.iter().copied());
        request = request.header("Authorization", format!("Bearer {}", self.token));
        self.answer(request.call()).and_then(|(status, body)| match status {
            200 => Ok(body),
            _ => Err(self.failure(status, &body)),
        })
    }

    /// Up to so many letters, or all.
    fn letters(&self, user: Option<&str>, limit: Option<u64>) -> Result<Vec<Value>, Failure> {
        let (mut letters, mut from) = (Vec::new(), Some(0));
        while let Some(next) = from {
            let left = limit.map_or(PAGE, |limit| (limit - letters.len() as u64).min(PAGE));
            if left == 0 {
                break;
            }
            let (next, left) = (next.to_string(), left.to_string());
            let mut query = vec![("from", next.as_str()), ("limit", left.as_str())];
            query.extend(user.map(|user| ("user_id", user)));
            let mut page = self.ask("dead-letters", &query)?;
            let Some(Value::Array(found)) = page.get_mut("letters").map(Value::take) else {
                return Err(self.stranger("an answer without letters"));
            };
            letters.extend(found);
            from = page["next"].as_u64();
        }
        Ok(letters)
    }

    /// `None`: it is worked on again. Else why not.
    fn redrive(&self, user: &str, letter: u64) -> Result<Option<String>, Failure> {
        let request = self.agent.post(format!("{}/admin/redrive", self.url));
        let request = request.query_pairs([("user_id", user), ("letter", letter.to_string().as_str())]);
        let request = request.header("Authorization", format!("Bearer {}", self.token));
        let (status, body) = self.answer(request.send_empty())?;
        match (status, body["refusal"].as_str()) {
            (202, _) => Ok(None),
            (_, Some(refusal)) => Ok(Some(refusal.to_owned())),
            (status, None) => Err(self.failure(status, &body)),
        }
    }

    /// Status and body; a body that is no JSON as a text.
    fn answer(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(u16, Value), Failure> {
        let unheard = |error: ureq::Error| Failure::Internal(format!("{}: {error}", self.url));
        let mut answer = answer.map_err(unheard)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().map_err(unheard)?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    fn failure(&self, status: u16, body: &Value) -> Failure {
        let text = body.as_str().map_or_else(|| body.to_string(), |text| text.trim().to_owned());
        match status {
            400 | 401 => Failure::Usage(text),
            _ => Failure::Internal(format!("{}: {status} {text}", self.url)),
        }
    }

    fn stranger(&self, what: &str) -> Failure {
        Failure::Internal(format!("{}: {what}; is it a goldenpath server?", self.url))
    }
}

fn read(letters: &[Value]) -> Result<Vec<Letter>, Failure> {
    let read = letters.iter().map(Letter::deserialize);
    read.collect::<Result<_, _>>().map_err(|error| Failure::Internal(format!("a letter: {error}")))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// One line per figure.
fn table(stats: &Value) -> String {
    let mut text = String::new();
    for (name, value) in stats.as_object().into_iter().flatten() {
        match value {
            Value::Object(members) => {
                for (member, value) in members {
                    _ = writeln!(text, "{:<18} {}", format!("{name}.{member}"), plain(value));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                _ = writeln!(text, "{name:<18} {}", plain(value));
            }
        }
    }
    text
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// One line per letter.
fn listed(letters: &[Value]) -> Result<String, Failure> {
    let mut text =
        "  letter  user                     outlet     reason                  waited  request\n".to_owned();
    for letter in read(letters)? {
        let waited_s = letter.dead_at_us.saturating_sub(letter.offered_at_us) as f64 / 1e6;
        let request = letter.request_id.as_deref().unwrap_or("-");
        let (number, user, outlet, reason) = (letter.letter, &letter.user_id, &letter.outlet, &letter.reason);
        _ = writeln!(text, "{number:>8}  {user:<24} {outlet:<10} {reason:<20} {waited_s:>8.1}s  {request}");
    }
    Ok(text)
}
