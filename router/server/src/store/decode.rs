//! Replies as answers, errors as troubles.

use bytes::Bytes;
use redis::{RedisError, Value};
use router::store::{
    Admitted, Answer, Appended, Attached, Away, Event, Hint, Node, Nodes, NotAdmitted, NotAppended, Op, OpId,
    Renewed, Standing, TakenRun, Trouble,
};

/// The answer that a reply to `op` is; `None` for one that no script of ours gives.
pub(super) fn answer(op: &Op, reply: Value) -> Option<Answer> {
    let mut reply = Reader(reply);
    match op {
        Op::Admit(_) => reply.list().and_then(admitted).map(Answer::Admitted),
        Op::Append(_) => reply.list().and_then(appended).map(Answer::Appended),
        Op::Attach { .. } => reply.list().and_then(attached).map(Answer::Attached),
        Op::Detach { .. } => reply.number().map(|_| Answer::Detached),
        Op::Renew(_) => reply.list().and_then(renewed).map(Answer::Renewed),
        Op::TakeOver { .. } => {
            let mut runs = reply.list()?.map(taken).collect::<Option<Vec<_>>>()?;
            runs.sort_by(|one, other| one.run.cmp(&other.run));
            Some(Answer::TakenOver(runs))
        }
        Op::Acknowledge { .. } => reply.number().map(|acked| Answer::Acknowledged { acked }),
        Op::Raise { .. } => {
            let mut list = reply.list()?;
            Some(Answer::Raised { cur: list.next()?.number()?, raised: list.next()?.number()? == 1 })
        }
        Op::Heartbeat { node } => nodes(node, reply.list()?).map(Answer::Nodes),
        Op::Hold { .. } => reply.number().map(|_| Answer::Holding),
        Op::Release { .. } => reply.number().map(|_| Answer::Released),
        Op::Held { .. } => hints(reply.list()?).map(Answer::Hints),
        Op::Forget { .. } => reply.number().map(|_| Answer::Forgotten),
    }
}

/// What an error says about the operation that it is the reply to. By its code, which is the first word of what the
/// server writes: all of these are written before anything is carried out.
pub(super) fn trouble(error: &RedisError) -> Trouble {
    let away = match error.code() {
        Some("LOADING") => Away::Loading,
        Some("BUSY") => Away::Busy,
        Some("OOM") => Away::Full,
        Some("READONLY" | "MISCONF" | "NOREPLICAS") => Away::ReadOnly,
        Some("MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN") => Away::Moved,
        Some("NOSCRIPT" | "CROSSSLOT" | "NOPERM" | "NOAUTH" | "WRONGPASS") => Away::Refused,
        // A script that broke on its way may have done a part of its work; a broken connection says nothing.
        Some(_) | None => return Trouble::InDoubt,
    };
    Trouble::Unavailable(away)
}

/// Reads a reply piece by piece; each piece once.
struct Reader(Value);

type Readers = std::iter::Map<std::vec::IntoIter<Value>, fn(Value) -> Reader>;

impl Reader {
    fn list(&mut self) -> Option<Readers> {
        let Value::Array(list) = std::mem::take(&mut self.0) else { return None };
        Some(list.into_iter().map(Reader as fn(Value) -> Reader))
    }

    fn number(&mut self) -> Option<u64> {
        if let Value::Int(number) = &self.0 {
            return u64::try_from(*number).ok();
        }
        self.text()?.parse().ok()
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let Value::BulkString(bytes) = std::mem::take(&mut self.0) else { return None };
        Some(bytes.into())
    }

    fn text(&mut self) -> Option<String> {
        let Value::BulkString(bytes) = std::mem::take(&mut self.0) else { return None };
        String::from_utf8(bytes).ok()
    }
}

fn admitted(mut list: Readers) -> Option<Admitted> {
    Some(match list.next()?.text()?.as_str() {
        "NEW" => Admitted::New,
        "KNOWN" => Admitted::Known {
            run: list.next()?.text()?.into(),
            epoch: list.next()?.number()?,
            open: list.next()?.number()? == 1,
            mine: list.next()?.number()? == 1,
        },
        "RUNS" => Admitted::Refused(NotAdmitted::Runs),
        "QUOTA" => Admitted::Refused(NotAdmitted::Quota),
        "RUN_TAKEN" => Admitted::Refused(NotAdmitted::RunTaken),
        _ => return None,
    })
}

fn appended(mut list: Readers) -> Option<Appended> {
    Some(match list.next()?.text()?.as_str() {
        "LOGGED" => Appended::Logged { first: list.next()?.number()? },
        "KNOWN" => Appended::Known {
            have: list.next()?.number()?,
            first: Some(list.next()?.number()?).filter(|first| *first > 0),
        },
        "GAP" => Appended::Gap { have: list.next()?.number()? },
        "FENCED" => Appended::Fenced,
        "NO_RUN" => Appended::NoRun,
        "TOO_LARGE" => Appended::Refused(NotAppended::TooLarge),
        "MALFORMED" => Appended::Refused(NotAppended::Malformed),
        "ENDED" => Appended::Refused(NotAppended::Ended),
        "USED_UP" => Appended::Refused(NotAppended::CursorsUsedUp),
        _ => return None,
    })
}

fn attached(mut list: Readers) -> Option<Attached> {
    Some(Attached {
        first: list.next()?.number()?,
        cur: list.next()?.number()?,
        acked: list.next()?.number()?,
        from: list.next()?.number()?,
        upto: list.next()?.number()?,
        expired_runs: u32::try_from(list.next()?.number()?).ok()?,
        events: list.next()?.list()?.map(event).collect::<Option<_>>()?,
    })
}

/// An entry of the stream: its id, then names and values in turns.
fn event(mut entry: Reader) -> Option<Event> {
    let mut entry = entry.list()?;
    let id = entry.next()?.text()?;
    let mut fields = entry.next()?.list()?;
    Some(Event {
        cursor: id.split('-').next()?.parse().ok()?,
        run: fields.nth(1)?.text()?.into(),
        seq: fields.nth(1)?.number()?,
        frame: fields.nth(1)?.bytes()?,
    })
}

fn renewed(mut list: Readers) -> Option<Renewed> {
    let cur = list.next()?.number()?;
    let expired_runs = u32::try_from(list.next()?.number()?).ok()?;
    let standing = |mut reader: Reader| {
        Some(match reader.text()?.as_str() {
            "HELD" => Standing::Held,
            "FENCED" => Standing::Fenced,
            "ENDED" => Standing::Ended,
            "NO_RUN" => Standing::NoRun,
            _ => return None,
        })
    };
    Some(Renewed { cur, expired_runs, runs: list.map(standing).collect::<Option<_>>()? })
}

fn taken(mut run: Reader) -> Option<TakenRun> {
    let mut run = run.list()?;
    Some(TakenRun {
        run: run.next()?.text()?.into(),
        epoch: run.next()?.number()?,
        seq: run.next()?.number()?,
        note: run.next()?.bytes()?,
    })
}

fn nodes(me: &Node, mut list: Readers) -> Option<Nodes> {
    let names = |mut list: Reader| {
        list.list()?.map(|mut name| Node::new(&name.text()?)).collect::<Option<Vec<Node>>>()
    };
    let (alive, dead) = (names(list.next()?)?, names(list.next()?)?);
    let rank = alive.iter().filter(|node| *node < me).count();
    Some(Nodes { alive: u32::try_from(alive.len()).ok()?, rank: u32::try_from(rank).ok()?, dead })
}

fn hints(mut list: Readers) -> Option<Vec<Hint>> {
    let mut hints = Vec::new();
    while let Some(mut user) = list.next() {
        hints.push(Hint { user: user.text()?.into(), hold: OpId(list.next()?.number()?) });
    }
    Some(hints)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> RedisError {
        let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("a reply");
        reply.extract_error().expect_err("an error")
    }

    #[test]
    fn what_the_server_refuses_ahead_of_everything_was_not_carried_out_and_of_the_rest_nobody_knows() {
        let refused = [
            ("LOADING Redis is loading the dataset in memory", Away::Loading),
            ("BUSY Redis is busy running a script.", Away::Busy),
            ("OOM command not allowed when used memory > 'maxmemory'.", Away::Full),
            ("READONLY You can't write against a read only replica.", Away::ReadOnly),
            (
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to",
                Away::ReadOnly,
            ),
            ("NOREPLICAS Not enough good replicas to write.", Away::ReadOnly),
            ("MOVED 3999 127.0.0.1:6381", Away::Moved),
            ("CLUSTERDOWN The cluster is down", Away::Moved),
            ("NOSCRIPT No matching script. Please use EVAL.", Away::Refused),
            ("NOPERM this user has no permissions", Away::Refused),
        ];
        for (line, away) in refused {
            assert_eq!(trouble(&error(line)), Trouble::Unavailable(away), "{line}");
        }
        for line in ["ERR user_script:7: attempt to index nil", "WRONGTYPE Operation against a key"] {
            assert_eq!(trouble(&error(line)), Trouble::InDoubt, "{line}");
        }
        let broken = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(trouble(&broken), Trouble::InDoubt);
    }

    #[test]
    fn a_reply_that_no_script_gives_is_no_answer() {
        let op = Op::Acknowledge { user: "ada".into(), cursor: 1 };
        assert_eq!(answer(&op, Value::Int(7)), Some(Answer::Acknowledged { acked: 7 }));
        for reply in [Value::Int(-1), Value::Nil, Value::Array(Vec::new()), Value::Okay] {
            assert_eq!(answer(&op, reply), None);
        }
    }
}
