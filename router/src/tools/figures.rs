//! Limits and counts of a toolbox.

/// Limits of a toolbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolLimits {
    /// Dispatchers of one user; a further one is refused.
    pub dispatchers_per_user_max: u32,
    /// Calls of one user in flight, over all tools.
    pub calls_in_flight_per_user_max: u32,
    /// Calls of one user within a minute, over all tools.
    pub calls_per_user_per_min: u32,
    /// Tools that one dispatcher may have of its own.
    pub own_tools_max: u32,
    /// Parameters of a call, and a result, in bytes.
    pub value_bytes_max: u32,
    /// A call is given up after this time.
    pub deadline_us: u64,
    /// More active dispatchers than this are reported as degraded.
    pub healthy_dispatchers_max: u32,
}

/// Counts of a toolbox over all its dispatchers. `created = closed + active`;
/// `executed = completed + failed + timed_out + cancelled + in_flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolStats {
    /// Dispatchers made.
    pub created: u64,
    /// Dispatchers not made: too many, or no admin.
    pub failed_creations: u64,
    /// Dispatchers closed.
    pub closed: u64,
    /// Dispatchers that are not closed (a level).
    pub active: u64,
    /// Calls that reached their tool.
    pub executed: u64,
    /// Ended with a result.
    pub completed: u64,
    /// Ended with the tool's own error.
    pub failed: u64,
    /// Given up at their deadline.
    pub timed_out: u64,
    /// Ended with their run.
    pub cancelled: u64,
    /// Tools at work (a level).
    pub in_flight: u64,
    /// Calls refused before their tool was run.
    pub refused: u64,
    /// Reports of tools whose call had ended before, or had never been.
    pub late: u64,
    /// Microseconds of all calls that ended.
    pub total_us: u64,
}

impl ToolStats {
    /// Share of creations that succeeded; 0 before the first.
    pub fn creation_rate(&self) -> f64 {
        self.created as f64 / (self.created + self.failed_creations).max(1) as f64
    }
}

/// How a toolbox fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// All well.
    Healthy,
    /// A dispatcher takes more than a second to make, or there are very many.
    Degraded,
    /// No dispatcher can be made.
    Unhealthy,
}

/// Why a dispatcher was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The user has as many as one may have.
    Limit(u32),
    /// The admin capability needs the admin flag.
    AdminRequired,
}

impl core::fmt::Display for OpenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            OpenError::Limit(max) => write!(f, "Dispatcher limit per user exceeded ({max})"),
            OpenError::AdminRequired => f.write_str("Admin user required"),
        }
    }
}

impl core::error::Error for OpenError {}
