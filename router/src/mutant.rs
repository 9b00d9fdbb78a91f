//! Planted defects, to see that tests and checkers find them. Only with the feature `mutants`, which no release has.
//!
//! A defect is one line at the place where it would be made: `if mutant!(self.config, SkipOwnerCheck) { … }`. Without
//! the feature that is `if false { … }`, and neither the enumeration nor its field in [`Config`](crate::Config) exists.

/// A defect that can be planted. One router has at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// One kind of outcome is counted nowhere: messages that nobody handled.
    ForgetAccount,
    /// What was kept for a user is replayed newest first.
    ReverseReplay,
    /// A delivery to one connection does not ask whose it is.
    SkipOwnerCheck,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 3] = [Mutant::ForgetAccount, Mutant::ReverseReplay, Mutant::SkipOwnerCheck];

    /// The name in set-ups and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Mutant::ForgetAccount => "ForgetAccount",
            Mutant::ReverseReplay => "ReverseReplay",
            Mutant::SkipOwnerCheck => "SkipOwnerCheck",
        }
    }

    /// The defect of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.name() == name)
    }
}
