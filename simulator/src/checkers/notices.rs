//! `iso.I5`: an event of the host's, and news of quality, reach nobody but those they are for. `deliver.I2`: an event that is
//! kept for its user arrives on each of the user's tabs.

use super::{Ledger, Seen};
use crate::dialect::FrameKind;

const NAME: &str = "notices";

/// What the host sent to one user.
#[derive(Clone, Debug, Default)]
pub(super) struct Notices {
    known: Vec<Notice>,
    /// Whether the user ever asked for news of quality.
    subscribed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Notice {
    number: u64,
    /// Tabs that must get it; those of them that have, one bit each.
    owed: u64,
}

impl Notices {
    /// An event for this user is on its way, to be kept for every tab or not.
    pub(super) fn sent(&mut self, number: u64, tabs: u8, kept: bool) {
        let owed = if kept { u64::MAX >> (64 - u32::from(tabs.clamp(1, 64))) } else { 0 };
        self.known.push(Notice { number, owed });
    }

    /// The user asked for news of quality.
    pub(super) fn subscribed(&mut self) {
        self.subscribed = true;
    }

    pub(super) fn received(&mut self, seen: &Seen<'_>, ledger: &mut Ledger) {
        match seen.frame.kind {
            FrameKind::Notice { number } => {
                match self.known.iter_mut().find(|notice| notice.number == number) {
                    Some(notice) => notice.owed &= !(1 << (seen.tab & 63)),
                    None => {
                        let detail = format!("event {number} of the host is not for this user");
                        ledger.push(seen.finding("iso.I5", NAME, detail));
                    }
                }
            }
            FrameKind::Quality
                if !self.subscribed && matches!(seen.frame.type_name, "quality_alert" | "quality_update") =>
            {
                let detail = format!("{} to a user who never subscribed", seen.frame.type_name);
                ledger.push(seen.finding("iso.I5", NAME, detail));
            }
            FrameKind::Letters
            | FrameKind::Quality
            | FrameKind::Welcome { .. }
            | FrameKind::Event(_)
            | FrameKind::Pong
            | FrameKind::HeartbeatAck
            | FrameKind::Heartbeat
            | FrameKind::Ack { .. }
            | FrameKind::Error { .. }
            | FrameKind::Stopped
            | FrameKind::Gap { .. }
            | FrameKind::System
            | FrameKind::Other => {}
        }
    }

    /// Names what never arrived.
    pub(super) fn left(
        &self,
        finding: &dyn Fn(&'static str, &str) -> reports::Finding,
        connection: &dyn Fn(u8) -> String,
        ledger: &mut Ledger,
    ) {
        for notice in self.known.iter().filter(|notice| notice.owed != 0) {
            let detail = format!("event {} of the host never arrived", notice.number);
            let mut finding = finding("deliver.I2", &detail);
            finding.checker = NAME.to_owned();
            finding.connection = Some(connection(notice.owed.trailing_zeros() as u8));
            finding.event = Some(format!("notice {}", notice.number));
            ledger.push(finding);
        }
    }
}
