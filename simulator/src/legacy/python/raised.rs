//! Exceptions.

use std::fmt;

/// An exception: its class and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Name of its class.
    pub class: String,
    /// What `str(exception)` gave.
    pub text: String,
}

impl Raised {
    /// An exception of any class.
    pub fn new(class: impl Into<String>, text: impl Into<String>) -> Self {
        Self { class: class.into(), text: text.into() }
    }

    /// A wrong value.
    pub fn value(text: impl Into<String>) -> Self {
        Self::new("ValueError", text)
    }

    /// A value of a wrong type.
    pub fn kind(text: impl Into<String>) -> Self {
        Self::new("TypeError", text)
    }

    /// A typed model refused its members. The text was the library's own and is not repeated.
    pub fn invalid() -> Self {
        Self::new("ValidationError", "")
    }

    /// A member that a value does not have.
    pub fn no_attribute(type_name: &str, attribute: &str) -> Self {
        Self::new("AttributeError", format!("'{type_name}' object has no attribute '{attribute}'"))
    }

    /// Something that is no key of a table.
    pub fn unhashable(type_name: &str) -> Self {
        Self::kind(format!("unhashable type: '{type_name}'"))
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.text)
    }
}

impl std::error::Error for Raised {}
