//! What a unit writes down while it compares: translations used, decisions applied, defects seen to be gone.

use std::collections::BTreeMap;

/// A rule that translates between the recording's world and ours before the two are compared. Each stands in code in
/// one place, and each use is counted: one that is never used says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Translation {
    /// An internal enumeration's text stands for the wire name.
    N1,
    /// A returned true, null or false stands for an outcome class.
    N2,
    /// Members that the canonical form adds are passed over where the recording lacks them.
    N3,
    /// A recording from above the wire passes through a named encoder.
    N4,
    /// Texts after a documented prefix compare by the prefix, or by the code.
    N5,
    /// Handler lists are those of the profile `legacy-9`.
    N6,
    /// Every state of a socket but connected is closed.
    N7,
    /// A silent refusal became an error frame or an acknowledgement.
    N8,
    /// State of the old process that no router has is left to the models.
    N9,
}

impl Translation {
    /// All of them.
    pub const ALL: [Translation; 9] = [
        Translation::N1,
        Translation::N2,
        Translation::N3,
        Translation::N4,
        Translation::N5,
        Translation::N6,
        Translation::N7,
        Translation::N8,
        Translation::N9,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Translation::N1 => "N1",
            Translation::N2 => "N2",
            Translation::N3 => "N3",
            Translation::N4 => "N4",
            Translation::N5 => "N5",
            Translation::N6 => "N6",
            Translation::N7 => "N7",
            Translation::N8 => "N8",
            Translation::N9 => "N9",
        }
    }

    /// What it does, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Translation::N1 => "`MessageType.X` is the wire name x",
            Translation::N2 => {
                "true, null, false are handled or unhandled, no answer, error or not delivered"
            }
            Translation::N3 => "members that the canonical form adds are passed over",
            Translation::N4 => "recordings above the wire pass through a named encoder",
            Translation::N5 => "texts of the old runtime compare by prefix or code",
            Translation::N6 => "handler lists are those of the profile legacy-9",
            Translation::N7 => "every socket state but connected is closed",
            Translation::N8 => "a silent refusal became an error frame or an acknowledgement",
            Translation::N9 => "state of the old process is compared for models only",
        }
    }
}

/// A decision that a case contradicts: the outcome that the router has instead is checked, never skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decision {
    /// Short stable name, as in `docs/conformance.md`.
    pub name: &'static str,
    /// The outcome it demands.
    pub demands: &'static str,
    /// It was taken while building the conformance proof, after the contract; these are bounded to 3 % of a unit.
    pub added: bool,
}

/// What was noted while one case was compared.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    pub(super) translations: BTreeMap<Translation, u64>,
    pub(super) decisions: BTreeMap<Decision, u64>,
    pub(super) cures: Vec<&'static str>,
    pub(super) sound: Option<&'static str>,
}

impl Notes {
    /// A translation was applied.
    pub fn translated(&mut self, by: Translation) {
        *self.translations.entry(by).or_default() += 1;
    }

    /// A decision demanded another outcome than the recorded one, and the router has it. When it has not, say a
    /// difference instead.
    pub fn decided(&mut self, by: Decision) {
        *self.decisions.entry(by).or_default() += 1;
    }

    /// What was seen is what the hazard's row demands of a router without that defect. To be said only where the
    /// recording shows the defect.
    pub fn cured(&mut self, hazard: &'static str) {
        self.cures.push(hazard);
    }

    /// The recording is labelled as a defect, but what was recorded here is what the rules demand. Without any other
    /// difference the case is listed with this reason, never counted as one that differs.
    pub const fn sound(&mut self, reason: &'static str) {
        self.sound = Some(reason);
    }

    /// How often each decision was applied.
    pub const fn decisions(&self) -> &BTreeMap<Decision, u64> {
        &self.decisions
    }
}
