//! A rolling 128-bit hash: two lanes that each take the same sixteen bytes a step, and four chains of 64 bits for long
//! texts. It guards against accidents, not against attackers.

use router::{
    AgentEvent, Deliver, Effect, Effects, Frame, FrameIx, Input, Instant, QualityAnswer, QualityNews,
    QualityQuestion, Target, ToolStep,
};

const K: [u64; 4] =
    [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03, 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

/// The rolling hash of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunHash {
    a: u64,
    b: u64,
}

impl Default for RunHash {
    fn default() -> Self {
        Self { a: K[2], b: K[3] }
    }
}

impl RunHash {
    /// Takes in one input with its effects.
    pub fn record(&mut self, now: Instant, input: &Input<'_>, effects: &Effects) {
        self.word(now.as_micros(), effects.len() as u64);
        self.input(input);
        let mut last = None;
        for effect in effects.iter() {
            self.effect(effect, effects, &mut last);
        }
    }

    /// 32 hexadecimal digits.
    pub fn hex(&self) -> String {
        format!("{:016x}{:016x}", self.a, self.b)
    }

    /// The first of two lanes, cut to 32 bits: enough to see that two runs part, and where.
    pub(crate) const fn short(&self) -> u32 {
        self.a as u32
    }

    /// Both lanes, sixteen bytes.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.a) << 64 | u128::from(self.b)).to_be_bytes()
    }

    /// Folded multiplication (the step of wyhash), once per lane: every bit of both words reaches every bit of both.
    #[inline]
    fn word(&mut self, x: u64, y: u64) {
        self.a = fold(self.a ^ x ^ K[0], y ^ K[1]);
        self.b = fold(x ^ K[2], self.b ^ y ^ K[3]);
    }

    /// Takes in plain bytes and their number.
    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (long, bytes_left) = bytes.as_chunks::<64>();
        if !long.is_empty() {
            self.long(long);
        }
        let (blocks, rest) = bytes_left.as_chunks::<16>();
        for block in blocks {
            let (x, y) = halves(block);
            self.word(x, y);
        }
        let (x, y) = ends(rest);
        self.a ^= bytes.len() as u64;
        self.word(x, y);
    }

    /// Long texts go through four chains that do not wait for one another; what comes of them is taken in like words.
    fn long(&mut self, blocks: &[[u8; 64]]) {
        let mut chains = [self.a, self.b, self.a ^ K[0], self.b ^ K[1]];
        for block in blocks {
            let (parts, _) = block.as_chunks::<16>();
            for (chain, (part, key)) in chains.iter_mut().zip(parts.iter().zip(K)) {
                let (x, y) = halves(part);
                *chain = fold(*chain ^ x, y ^ key);
            }
        }
        self.word(chains[0], chains[1]);
        self.word(chains[2], chains[3]);
    }

    fn input(&mut self, input: &Input<'_>) {
        let pair = |index: usize, generation: u32| (index as u64) << 32 | u64::from(generation);
        match input {
            Input::Connect(connect) => {
                self.word(1, connect.ticket.0);
                self.bytes(connect.user.as_bytes());
                self.word(connect.resume.map_or(0, |cursor| cursor + 1), connect.tier as u64);
                self.bytes(connect.thread.unwrap_or_default().as_bytes());
                self.bytes(connect.name.unwrap_or_default().as_bytes());
            }
            Input::AuthFailed { ticket } => self.word(2, ticket.0),
            Input::Text { conn, text } => {
                self.word(3, pair(conn.index(), conn.generation()));
                self.bytes(text.as_bytes());
            }
            Input::Binary { conn } => self.word(4, pair(conn.index(), conn.generation())),
            Input::Pong { conn } => self.word(5, pair(conn.index(), conn.generation())),
            Input::Violation { conn, kind } => {
                self.word(6 | (*kind as u64) << 8, pair(conn.index(), conn.generation()));
            }
            Input::Written { conn, frames } => {
                self.word(7 | u64::from(*frames) << 8, pair(conn.index(), conn.generation()));
            }
            Input::Closed { conn } => self.word(8, pair(conn.index(), conn.generation())),
            Input::Agent { run, event } => {
                self.word(9, pair(run.index(), run.generation()));
                self.agent(event);
            }
            Input::Deliver(deliver) => self.deliver(deliver),
            Input::Unregister { user, name } => {
                self.word(13, u64::from(user.is_some()));
                self.bytes(user.unwrap_or_default().as_bytes());
                self.bytes(name.as_bytes());
            }
            Input::Tool { run, step } => {
                self.word(40, pair(run.index(), run.generation()));
                self.tool(step);
            }
            Input::SweepIdle => self.word(14, 0),
            Input::Redrive { user, letter, .. } => {
                self.word(41, *letter);
                self.bytes(user.as_bytes());
            }
            Input::Stored(stored) => {
                self.word(15, stored.id.0);
                self.bytes(format!("{:?}", stored.answer).as_bytes());
            }
            Input::Woken(wake) => {
                self.word(16, 0);
                self.bytes(format!("{wake:?}").as_bytes());
            }
            Input::Store(way) => self.word(17, *way as u64),
            Input::Drain => self.word(11, 0),
            Input::Tick => self.word(12, 0),
            Input::Flush => self.word(20, 0),
            Input::Quality { ask, answer } => {
                self.word(21, ask.number());
                match answer {
                    QualityAnswer::Ready(value) => self.bytes(value.get().as_bytes()),
                    QualityAnswer::Failed => self.word(22, 0),
                }
            }
            Input::QualityNews { news, .. } => match news {
                QualityNews::Update(update) => {
                    self.word(23, 0);
                    self.bytes(update.get().as_bytes());
                }
                QualityNews::Alert(alert) => {
                    self.word(24, 0);
                    self.bytes(alert.get().as_bytes());
                }
            },
        }
    }

    fn tool(&mut self, step: &ToolStep<'_>) {
        match step {
            ToolStep::Register { name, description } => {
                self.word(1, 0);
                self.bytes(name.as_bytes());
                self.bytes(description.as_bytes());
            }
            ToolStep::Call { call, run_id, tool, parameters } => {
                self.word(2, u64::from(run_id.is_some()));
                for text in [call, run_id.unwrap_or_default(), tool, parameters.get()] {
                    self.bytes(text.as_bytes());
                }
            }
            ToolStep::Progress { call, tool, percentage, message } => {
                self.word(3 | u64::from(call.is_some()) << 8, percentage.to_bits());
                for text in [call.unwrap_or_default(), tool, message] {
                    self.bytes(text.as_bytes());
                }
            }
            ToolStep::Done { call, result } => {
                self.word(4, u64::from(result.is_ok()));
                self.bytes(call.as_bytes());
                match result {
                    Ok(result) => self.bytes(result.get().as_bytes()),
                    Err(failure) => {
                        self.bytes(failure.message.as_bytes());
                        self.bytes(failure.kind.as_bytes());
                    }
                }
            }
        }
    }

    fn deliver(&mut self, deliver: &Deliver<'_>) {
        self.word(10, deliver.receipt.map_or(0, |receipt| receipt.0 + 1));
        let (kind, user, conn) = match deliver.target {
            Target::Connection(user, conn) => (1, user, Some(conn)),
            Target::User(user) => (2, user, None),
            Target::Thread(user, thread) => {
                self.bytes(thread.as_bytes());
                (3, user, None)
            }
            Target::Topic(_, topic) => (4, topic, None),
            Target::All(_, exclude) => (5, "", exclude),
        };
        let conn =
            conn.map_or(0, |conn| (conn.index() as u64) << 32 | u64::from(conn.generation()) | 1 << 63);
        self.word(kind, conn);
        let router::Context { thread, run, request } = deliver.context;
        for text in [Some(user), thread, run, request] {
            self.bytes(text.unwrap_or_default().as_bytes());
        }
        self.bytes(deliver.event.get().as_bytes());
    }

    fn agent(&mut self, event: &AgentEvent<'_>) {
        match event {
            AgentEvent::Data { kind, data } => {
                self.word(8, 0);
                self.bytes(kind.as_bytes());
                self.bytes(data.get().as_bytes());
            }
            AgentEvent::Started { agent, task } => {
                self.word(1, 0);
                self.bytes(agent.as_bytes());
                self.bytes(task.as_bytes());
            }
            AgentEvent::Thinking { reasoning, step } => {
                self.word(2, step.map_or(0, |step| u64::from(step) + 1));
                self.bytes(reasoning.as_bytes());
            }
            AgentEvent::Progress { data } => {
                self.word(3, 0);
                self.bytes(data.get().as_bytes());
            }
            AgentEvent::ToolExecuting { call, tool, parameters } => {
                self.word(4, 0);
                self.bytes(call.as_bytes());
                self.bytes(tool.as_bytes());
                self.bytes(parameters.get().as_bytes());
            }
            AgentEvent::ToolCompleted { call, status, results, duration_ms } => {
                self.word(5 | (*status as u64) << 8, *duration_ms);
                self.bytes(call.as_bytes());
                self.bytes(results.get().as_bytes());
            }
            AgentEvent::Completed { response, execution_time_ms } => {
                self.word(6, execution_time_ms.map_or(0, |ms| ms + 1));
                self.bytes(response.as_bytes());
            }
            AgentEvent::Failed { code, message } => {
                self.word(7, 0);
                self.bytes(code.as_bytes());
                self.bytes(message.as_bytes());
            }
        }
    }

    fn question(&mut self, question: &QualityQuestion) {
        match question {
            QualityQuestion::Dashboard => self.word(1, 0),
            QualityQuestion::AgentReport { agent, hours } => {
                self.word(2, 0);
                self.bytes(agent.json().as_bytes());
                self.bytes(hours.json().as_bytes());
            }
            QualityQuestion::Validate { content, kind, strict } => {
                self.word(3 | (*kind as u64) << 8, u64::from(*strict));
                self.bytes(content.json().as_bytes());
            }
        }
    }

    /// The frames of a fan-out share their bytes, which are taken in once.
    fn effect(&mut self, effect: &Effect, effects: &Effects, last: &mut Option<FrameIx>) {
        let pair = |index: usize, generation: u32| (index as u64) << 32 | u64::from(generation);
        match effect {
            Effect::Accepted { ticket, conn } => {
                self.word(1 | ticket.0 << 8, pair(conn.index(), conn.generation()));
            }
            Effect::Refused { ticket, frame, close } => {
                self.word(2 | u64::from(close.code()) << 8, ticket.0);
                self.frame(effects.frame(*frame));
            }
            Effect::Send { conn, frame } => {
                self.word(3, pair(conn.index(), conn.generation()));
                if last.replace(*frame) != Some(*frame) {
                    self.frame(effects.frame(*frame));
                }
            }
            Effect::Ping { conn } => self.word(4, pair(conn.index(), conn.generation())),
            Effect::Close { conn, close } => {
                self.word(5 | (*close as u64) << 8, pair(conn.index(), conn.generation()));
            }
            Effect::StartRun(request) => {
                self.word(
                    6 | (request.kind as u64) << 8,
                    pair(request.run.index(), request.run.generation()),
                );
                for text in [&*request.user, &request.thread_id, &request.run_id(), &request.request_id] {
                    self.bytes(text.as_bytes());
                }
                self.bytes(request.payload.as_bytes());
                self.word(request.deadline.as_micros(), request.tier as u64);
            }
            Effect::CancelRun { run, reason } => {
                self.word(7 | (*reason as u64) << 8, pair(run.index(), run.generation()));
            }
            Effect::AgentRefused(refused) => {
                self.word(8 | refused.why.code() << 8, pair(refused.run.index(), refused.run.generation()));
            }
            Effect::Audit(audit) => {
                self.word(9 | audit.suppressed << 8, pair(audit.conn.index(), audit.conn.generation()));
                self.bytes(audit.user.as_bytes());
                self.bytes(audit.path.as_bytes());
            }
            Effect::RunTool(request) => {
                self.word(40, pair(request.run.index(), request.run.generation()));
                for text in [&*request.call, &request.tool, &request.parameters, &request.user] {
                    self.bytes(text.as_bytes());
                }
                self.word(request.deadline.as_micros(), 0);
            }
            Effect::CancelTool(cancelled) => {
                self.word(41, pair(cancelled.run.index(), cancelled.run.generation()));
                self.bytes(cancelled.call.as_bytes());
            }
            Effect::ToolAnswered(answer) => {
                self.word(42, pair(answer.run.index(), answer.run.generation()));
                self.bytes(answer.call.as_bytes());
                self.bytes(answer.to_json().as_bytes());
            }
            Effect::Receipt(receipt) => {
                self.word(11 | u64::from(receipt.attempted) << 8, receipt.receipt.0);
                self.word(
                    u64::from(receipt.delivered) << 32 | u64::from(receipt.queued),
                    receipt.refused.map_or(0, |refusal| refusal as u64 + 1),
                );
                for (conn, missed) in &receipt.failed {
                    self.word(*missed as u64, pair(conn.index(), conn.generation()));
                }
            }
            Effect::Store(request) => {
                self.word(14, request.id.0);
                self.bytes(format!("{:?}", request.op).as_bytes());
            }
            Effect::PauseRun { run } => self.word(15, pair(run.index(), run.generation())),
            Effect::ResumeRun { run } => self.word(16, pair(run.index(), run.generation())),
            Effect::Redriven(redriven) => {
                self.word(
                    43 | redriven.outcome.map_or_else(|why| why as u64 + 1, |()| 0) << 8,
                    redriven.letter,
                );
                self.bytes(redriven.user.as_bytes());
            }
            Effect::Swept { connections } => self.word(12, u64::from(*connections)),
            Effect::Drained => self.word(10, 0),
            Effect::AskQuality(request) => {
                self.word(13, request.ask.number());
                self.bytes(request.user.as_bytes());
                for id in [&request.thread_id, &request.run_id] {
                    self.bytes(id.as_deref().unwrap_or_default().as_bytes());
                }
                self.question(&request.question);
            }
        }
    }

    fn frame(&mut self, frame: &Frame) {
        self.bytes(frame.bytes());
    }
}

/// Fewer than sixteen bytes as two words, taken from both ends, which may overlap: with their number they say which bytes.
#[inline]
fn ends(bytes: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
    }
    (bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0)
}

#[inline]
fn halves(block: &[u8; 16]) -> (u64, u64) {
    let whole = u128::from_le_bytes(*block);
    (whole as u64, (whole >> 64) as u64)
}

#[inline]
fn fold(x: u64, y: u64) -> u64 {
    let product = u128::from(x) * u128::from(y);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_record_counts() {
        let hash = |text: &[u8]| {
            let mut hash = RunHash::default();
            hash.bytes(text);
            hash.hex()
        };
        for length in [16, 63, 64, 100, 300] {
            let mut text = vec![7_u8; length];
            let mut seen = std::collections::BTreeSet::from([hash(&text), hash(&text[..length - 1])]);
            for bit in 0..8 * length {
                text[bit / 8] ^= 1 << (bit % 8);
                assert!(seen.insert(hash(&text)), "bit {bit} of {length} bytes");
                text[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn known_answer() {
        let mut hash = RunHash::default();
        hash.record(Instant::from_micros(7), &Input::Tick, &Effects::new());
        assert_eq!(hash.hex().len(), 32);
        let mut later = RunHash::default();
        later.record(Instant::from_micros(8), &Input::Tick, &Effects::new());
        assert_ne!(hash, later);
    }
}
