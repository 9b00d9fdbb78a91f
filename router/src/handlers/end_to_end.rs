//! Answers for end-to-end tests of a client, without an agent behind them. Off unless the profile asks for it.

use super::Message;
use crate::{
    contract::Effects,
    message::{Kind, Raw},
    router::Router,
    stats::Outcome,
    wire::{self, ServerData},
};

/// Time between the three answers to a task.
const STEP_US: u64 = 100_000;

impl Router {
    pub(super) fn end_to_end(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let payload = message.payload();
        if message.kind == Kind::BroadcastTest {
            return self.batch(message, out);
        }
        if message.kind == Kind::DirectMessage {
            let target = payload.find("target_client").filter(|target| is_one(*target));
            if let Some(target) = target {
                let (id, text) = (payload.find("message_id"), payload.find("message"));
                let frame = wire::direct_message(&mut self.writer, self.now, id, text, target);
                self.stats.frames.encoded += 1;
                self.reply(message.conn, frame, out);
            }
            return Outcome::Handled;
        }
        let task = payload.find("task_id").map_or("\"unknown\"", Raw::json);
        let data = if message.kind == Kind::AgentTask {
            ServerData::Task { task, step: 0 }
        } else if message.kind == Kind::AgentStatusRequest {
            ServerData::NoAgents
        } else {
            ServerData::TestAcknowledged { kind: message.kind }
        };
        let frame = self.encode(data);
        self.reply(message.conn, frame, out);
        if message.kind == Kind::AgentTask {
            for step in 1..=2 {
                let frame = self.encode(ServerData::Task { task, step });
                self.send_later(message.conn, u64::from(step) * STEP_US, frame);
            }
        }
        Outcome::Handled
    }
}

/// 1, 1.0 or true: what such tests have always sent for the first client.
fn is_one(target: Raw<'_>) -> bool {
    target.json() == "true" || target.json().parse::<f64>() == Ok(1.0)
}
