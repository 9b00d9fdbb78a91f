//! Operations as commands.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use redis::{Arg, Cmd};
use router::{
    Instant,
    store::{CURSOR_MAX, Node, Op, Request},
};

use super::scripts::{Script, Scripts};

/// Key of all nodes.
const NODES: &str = "gp:nodes";
/// What follows the user in their keys, in the order in which scripts take them.
const PARTS: [&str; 6] = ["st", "ev", "note", "done", "seen", "ran"];

/// The channel of a node.
pub(super) fn channel(node: &Node) -> String {
    format!("gp:n:{node}")
}

/// The user whose id is `encoded`.
pub(super) fn user_of(encoded: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

/// A request as a command.
pub(super) fn command(scripts: &Scripts, request: &Request, now: Option<Instant>) -> Cmd {
    let mut cmd = match &request.op {
        Op::Admit(admit) => {
            let mut cmd = of_user(&scripts.admit, &admit.user);
            cmd.arg(admit.node.as_str()).arg(&*admit.run);
            cmd.arg(u8::from(admit.message_id.is_some())).arg(admit.message_id.as_deref().unwrap_or(""));
            cmd.arg(&admit.note[..]);
            cmd
        }
        Op::Append(append) => {
            let mut cmd = of_user(&scripts.append, &append.user);
            cmd.arg(append.node.as_str()).arg(&*append.run).arg(append.epoch).arg(append.first_seq);
            cmd.arg(u8::from(append.ends)).arg(u8::from(append.note.is_some()));
            cmd.arg(append.note.as_deref().unwrap_or(b""));
            for frame in &append.frames {
                cmd.arg(&frame[..]);
            }
            cmd
        }
        Op::Attach { user, node, from } => {
            let mut cmd = of_user(&scripts.attach, user);
            cmd.arg(node.as_str()).arg(u8::from(from.is_some())).arg(from.unwrap_or(0).min(CURSOR_MAX));
            cmd
        }
        Op::Detach { user, node } => {
            let mut cmd = of_user(&scripts.detach, user);
            cmd.arg(node.as_str());
            cmd
        }
        Op::Renew(renew) => {
            let mut cmd = of_user(&scripts.renew, &renew.user);
            cmd.arg(renew.node.as_str()).arg(u8::from(renew.attached));
            for (run, epoch) in &renew.runs {
                cmd.arg(&**run).arg(*epoch);
            }
            cmd
        }
        Op::TakeOver { user, node } => {
            let mut cmd = of_user(&scripts.take_over, user);
            cmd.arg(node.as_str()).arg(request.id.0);
            cmd
        }
        Op::Acknowledge { user, cursor } => {
            let mut cmd = of_user(&scripts.acknowledge, user);
            cmd.arg((*cursor).min(CURSOR_MAX));
            cmd
        }
        Op::Raise { user, seen } => {
            let mut cmd = of_user(&scripts.raise, user);
            cmd.arg((*seen).min(CURSOR_MAX));
            cmd
        }
        Op::Heartbeat { node } => {
            let mut cmd = call(&scripts.heartbeat, 1);
            cmd.arg(NODES).arg(node.as_str());
            cmd
        }
        Op::Release { node, user, hold } => {
            let mut cmd = call(&scripts.release, 1);
            cmd.arg(held(node)).arg(&**user).arg(hold.0);
            cmd
        }
        Op::Forget { node } => {
            let mut cmd = call(&scripts.forget, 1);
            cmd.arg(NODES).arg(node.as_str());
            cmd
        }
        Op::Hold { node, user } => {
            let mut cmd = redis::cmd("ZADD");
            cmd.arg(held(node)).arg("GT").arg(request.id.0).arg(&**user);
            return cmd;
        }
        Op::Held { node, after } => {
            let mut cmd = redis::cmd("ZRANGEBYSCORE");
            cmd.arg(held(node)).arg(format!("({}", after.0)).arg("+inf");
            cmd.arg("WITHSCORES").arg("LIMIT").arg(0).arg(scripts.page_max);
            return cmd;
        }
    };
    if let Some(now) = now {
        cmd.arg(now.as_micros() / 1_000);
    }
    cmd
}

/// The same call with the script's text instead of its name, for a server that forgot it.
pub(super) fn with_text(cmd: &Cmd, script: &Script) -> Cmd {
    let mut whole = redis::cmd("EVAL");
    whole.arg(&script.text);
    for arg in cmd.args_iter().skip(2) {
        // The other sort of argument is for scans only.
        if let Arg::Simple(bytes) = arg {
            whole.arg(bytes);
        }
    }
    whole
}

fn held(node: &Node) -> String {
    format!("gp:held:{node}")
}

fn of_user(script: &Script, user: &str) -> Cmd {
    let mut cmd = call(script, PARTS.len());
    let mut key = format!("gp:{{{}}}:", URL_SAFE_NO_PAD.encode(user));
    let head = key.len();
    for part in PARTS {
        key.truncate(head);
        key.push_str(part);
        cmd.arg(&key);
    }
    cmd
}

fn call(script: &Script, keys: usize) -> Cmd {
    let mut cmd = redis::cmd("EVALSHA");
    cmd.arg(&script.name).arg(keys);
    cmd
}
