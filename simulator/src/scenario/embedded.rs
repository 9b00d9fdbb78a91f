//! The scenario files of the repository, compiled in: the simulator reads no files.

/// Name and text of every scenario file, in the order a newcomer should meet them.
pub fn embedded() -> &'static [(&'static str, &'static str)] {
    macro_rules! files {
        ($($name:literal),* $(,)?) => {
            &[$(($name, include_str!(concat!("../../../scenarios/", $name, ".toml")))),*]
        };
    }
    files![
        "tiny",
        "golden-path",
        "tabs",
        "tools",
        "tool-error",
        "agent-error",
        "stop",
        "setup",
        "reconnect",
        "slow-reader",
        "burst",
        "busy-agents",
        "churn",
        "many-users",
        "million-users",
        "load",
        "drill",
        "stream",
        "agree",
        "agree-reconnect",
        "hazards",
        "tool-limits",
        "journeys",
        "network-faults",
        "node-faults",
        "storms",
    ]
}
