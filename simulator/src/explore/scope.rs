//! How large the small world is, and what may go wrong in it.

use std::fmt;

/// Largest number of any key: more than can be explored.
const MOST: u8 = 8;

/// A small world. `users`, `tabs` and `runs` say how much there is; the others, how often something may happen at any
/// moment. Whose it is, is part of what is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Users.
    pub users: u8,
    /// Tabs of each user.
    pub tabs: u8,
    /// Messages that start a run, of all users together.
    pub runs: u8,
    /// Tool calls, of all runs together.
    pub tools: u8,
    /// Times that a tab loses its connection, and comes back with its cursor.
    pub disconnects: u8,
    /// Times that a message is sent again with the id it had.
    pub retries: u8,
    /// Tabs that may connect after others have begun; all, if not said.
    pub late: u8,
    /// Times that a tab stops reading, and reads on later.
    pub stalls: u8,
    /// Times that nothing happens until a deadline of the router's has come.
    pub ticks: u8,
    /// Times that a user stops a run.
    pub stops: u8,
    /// Times that a user, an agent or a host reaches for what is another user's.
    pub intrusions: u8,
}

/// Scopes by name, what they are about, and their keys; the quickest first.
pub const NAMED: &[(&str, &str, &str)] = &[
    (
        "one-tab",
        "all that can happen to one tab and its run",
        "users=1,tabs=1,runs=1,tools=1,disconnects=1,retries=1,stalls=1,ticks=2,stops=1",
    ),
    ("two-users", "two users with a tab each", "users=2,tabs=1,runs=2,tools=1,disconnects=1,retries=1"),
    (
        "intruder",
        "two users, one of whom reaches for what is the other's",
        "users=2,tabs=1,runs=2,tools=1,disconnects=1,intrusions=1",
    ),
    (
        "one-user",
        "two tabs and two runs of one user",
        "users=1,tabs=2,runs=2,tools=1,disconnects=1,retries=1",
    ),
    ("full", "two users with two tabs each", "users=2,tabs=2,runs=2,tools=1,disconnects=1,retries=1"),
];

/// Why a text is no scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeError(String);

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScopeError {}

impl Scope {
    /// One user with one tab, to whom nothing happens but one run.
    pub const fn smallest() -> Self {
        Self {
            users: 1,
            tabs: 1,
            runs: 1,
            tools: 0,
            disconnects: 0,
            retries: 0,
            late: 1,
            stalls: 0,
            ticks: 0,
            stops: 0,
            intrusions: 0,
        }
    }

    /// A scope by its name, or by its keys: `users=2,tabs=2,runs=2`. What is not named is as in [`smallest`](Self::smallest),
    /// `late` all tabs.
    ///
    /// # Errors
    /// What is wrong with the text, and what was expected.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let keys = NAMED.iter().find(|(name, ..)| *name == text).map_or(text, |(_, _, keys)| keys);
        let mut scope = Self { late: u8::MAX, ..Self::smallest() };
        for pair in keys.split(',') {
            let Some((key, value)) = pair.split_once('=') else {
                let names: Vec<&str> = NAMED.iter().map(|(name, ..)| *name).collect();
                return Err(ScopeError(format!(
                    "scope `{text}`: expected one of {}, or keys such as users=2,tabs=1,runs=2",
                    names.join(", ")
                )));
            };
            let Some((name, most, slot)) = scope.slot(key.trim()) else {
                let keys: Vec<&str> = scope.rows().map(|(key, _)| key).collect();
                return Err(ScopeError(format!("scope key `{key}`: expected one of {}", keys.join(", "))));
            };
            let least = u8::from(matches!(name, "users" | "tabs"));
            let number = value.trim().parse().ok().filter(|number| (least..=most).contains(number));
            *slot = number.ok_or_else(|| {
                ScopeError(format!(
                    "scope key `{name}`: expected a number from {least} to {most}, found `{value}`"
                ))
            })?;
        }
        scope.late = scope.late.min(scope.users * scope.tabs);
        Ok(scope)
    }

    fn slot(&mut self, key: &str) -> Option<(&'static str, u8, &mut u8)> {
        Some(match key {
            "users" => ("users", 4, &mut self.users),
            "tabs" => ("tabs", 4, &mut self.tabs),
            "runs" => ("runs", MOST, &mut self.runs),
            "tools" => ("tools", MOST, &mut self.tools),
            "disconnects" => ("disconnects", MOST, &mut self.disconnects),
            "retries" => ("retries", MOST, &mut self.retries),
            "late" => ("late", 16, &mut self.late),
            "stalls" => ("stalls", MOST, &mut self.stalls),
            "ticks" => ("ticks", MOST, &mut self.ticks),
            "stops" => ("stops", MOST, &mut self.stops),
            "intrusions" => ("intrusions", MOST, &mut self.intrusions),
            _ => return None,
        })
    }

    fn rows(&self) -> impl Iterator<Item = (&'static str, u8)> {
        [
            ("users", self.users),
            ("tabs", self.tabs),
            ("runs", self.runs),
            ("tools", self.tools),
            ("disconnects", self.disconnects),
            ("retries", self.retries),
            ("late", self.late),
            ("stalls", self.stalls),
            ("ticks", self.ticks),
            ("stops", self.stops),
            ("intrusions", self.intrusions),
        ]
        .into_iter()
    }
}

impl fmt::Display for Scope {
    /// The keys that [`parse`](Self::parse) reads back; those that are nothing are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.users * self.tabs;
        let rows = self.rows().filter(|(key, number)| match *key {
            "users" | "tabs" | "runs" => true,
            "late" => *number < all,
            _ => *number > 0,
        });
        for (n, (key, number)) in rows.enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{key}={number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for (name, _, keys) in NAMED {
            let scope = Scope::parse(name).unwrap();
            assert_eq!(scope.to_string(), *keys);
            assert_eq!(Scope::parse(keys), Ok(scope));
        }
        let late = Scope::parse("users=2,tabs=2,late=1").unwrap();
        assert_eq!((late.late, late.to_string().as_str()), (1, "users=2,tabs=2,runs=1,late=1"));
        assert_eq!(Scope::parse("users=2,tabs=2").unwrap().late, 4);
    }

    #[test]
    fn what_is_wrong_with_a_scope_is_named() {
        let error = |text: &str| Scope::parse(text).unwrap_err().to_string();
        assert!(error("everything").contains("one-tab"));
        assert!(error("user=2").contains("`user`: expected one of users"));
        assert!(error("users=0").contains("from 1 to 4, found `0`"));
        assert!(error("runs=9").contains("from 0 to 8"));
        assert!(error("runs=x").contains("`x`"));
    }
}
