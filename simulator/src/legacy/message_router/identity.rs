//! Who a connection is taken for.

use crate::legacy::{Hazard, Hazards};

/// How much a connection had to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A valid token.
    Strict,
    /// A token, valid or not.
    Relaxed,
    /// Nothing: for demonstrations.
    Demo,
    /// Nothing: for emergencies.
    Emergency,
}

/// Everybody's name on the level of demonstrations.
pub const DEMO_USER: &str = "demo-user-001";
/// Names on the relaxed level.
const RELAXED_NAMES: u64 = 10_000;

/// The level of a server on which nobody set one. H21: that of demonstrations, which a production server then refuses.
pub const fn default_level(hazards: Hazards) -> Level {
    if hazards.has(Hazard::H21) { Level::Demo } else { Level::Strict }
}

/// The user of a connection: `subject` is whom its token names, if that is valid. `None` turns it away.
///
/// H21: below the strict level people share names. Without it nobody gets in without a valid token, and then under
/// its own name.
pub fn user(
    level: Level,
    token: &str,
    subject: Option<&str>,
    now_us: u64,
    hazards: Hazards,
) -> Option<String> {
    if !hazards.has(Hazard::H21) {
        return subject.map(str::to_owned);
    }
    match level {
        Level::Strict => subject.map(str::to_owned),
        Level::Relaxed => {
            let sum = token.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte));
            Some(format!("relaxed_{:04}", sum % RELAXED_NAMES))
        }
        Level::Demo => Some(DEMO_USER.to_owned()),
        Level::Emergency => Some(format!("emergency_{}", now_us / 1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h21_gives_two_people_one_name() {
        for level in [Level::Demo, Level::Emergency] {
            let of = |subject, hazards| user(level, subject, Some(subject), 5_000_000, hazards);
            assert_eq!(of("ann", Hazards::ALL), of("bob", Hazards::ALL), "{level:?}");
            let repaired = Hazards::ALL.without(Hazard::H21);
            assert_eq!(of("ann", repaired).as_deref(), Some("ann"));
            assert_eq!(user(level, "forged", None, 0, repaired), None);
        }
        assert_eq!(default_level(Hazards::ALL), Level::Demo);
        assert_eq!(default_level(Hazards::NONE), Level::Strict);
    }

    #[test]
    fn a_forged_token_gets_in_on_the_relaxed_level() {
        assert!(user(Level::Relaxed, "forged", None, 0, Hazards::ALL).is_some());
        assert_eq!(user(Level::Strict, "forged", None, 0, Hazards::ALL), None);
    }
}
