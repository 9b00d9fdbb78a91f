//! What clients report: about conversations, which is taken and counted, and about errors.

use alloc::{borrow::Cow, boxed::Box};

use super::{ErrorFigures, Message};
use crate::{
    contract::{Effects, Instant},
    router::Router,
    stats::Outcome,
    wire::{self, ServerData},
};

/// Longest error code of a client, in bytes; the rest is cut.
const CODE_BYTES_MAX: usize = 64;

impl ErrorFigures {
    fn count(&mut self, code: &str, now: Instant, codes_max: u32) {
        self.total += 1;
        self.last_at = Some(now);
        if let Some(count) = self.by_code.get_mut(code) {
            *count += 1;
        } else if self.by_code.len() < codes_max as usize {
            self.by_code.insert(Box::from(code), 1);
        } else {
            self.other_codes += 1;
        }
    }
}

impl Router {
    /// Taken without an answer; content that is neither a text nor a list is refused.
    pub(super) fn user_message(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let figures = &mut self.handlers.user_message;
        figures.processed += 1;
        figures.last_at = Some(self.now);
        match message.payload().find("content") {
            Some(content) if !content.json().starts_with(['"', '[']) => {
                figures.errors += 1;
                self.bad_field(message, "payload.content", "a text or a list", out)
            }
            Some(_) | None => Outcome::Handled,
        }
    }

    /// Counted by code, in a map that a client cannot grow without end, and acknowledged.
    pub(super) fn error_report(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let code = message.payload().find("error_code");
        if code.is_some_and(|code| code.is_container()) {
            let figures = &mut self.handlers.errors;
            (figures.total, figures.last_at) = (figures.total + 1, Some(self.now));
            // Reported without a code that could be counted.
            figures.other_codes += 1;
            return self.bad_field(message, "payload.error_code", "a text or a number", out);
        }
        let text = code.map_or(Cow::Borrowed("UNKNOWN"), |code| code.text().unwrap_or(code.json().into()));
        let key = wire::cut(&text, CODE_BYTES_MAX);
        self.handlers.errors.count(key, self.now, self.config.error_codes_max);
        let plain = code.filter(|code| code.text().is_none()).map(|code| code.json());
        let frame = self.encode(ServerData::ErrorReceived { code: key, json: plain });
        self.reply(message.conn, frame, out);
        Outcome::Handled
    }
}
