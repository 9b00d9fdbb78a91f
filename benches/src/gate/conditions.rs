//! The machine, before and after. On Linux; elsewhere less is known.

use std::fs;

use reports::{Conditions, Host};

/// What is noted when a run begins.
#[derive(Debug)]
pub struct Before {
    load: Option<f64>,
    steal: Option<f64>,
}

/// Notes the machine's state.
pub fn before() -> Before {
    Before { load: load(), steal: steal_seconds() }
}

impl Before {
    /// What a report says of the machine, at the end of a run.
    pub fn after(&self, toolchain: &str) -> Conditions {
        let steal_seconds = self.steal.and_then(|before| Some((steal_seconds()? - before).max(0.0)));
        Conditions {
            toolchain: toolchain.to_owned(),
            processor: processor(),
            load: [self.load, load()],
            steal_seconds,
        }
    }

    /// The machine as every report names it.
    pub fn host(&self) -> Host {
        let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32);
        Host {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            cpus,
            load_1m: self.load,
            note: processor(),
        }
    }
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or_else(String::new, |(_, name)| name.to_owned())
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn steal_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    // user, nice, system, idle, iowait, irq, softirq, steal: hundredths of a second.
    let ticks: f64 = text.lines().next()?.split_whitespace().nth(8)?.parse().ok()?;
    Some(ticks / 100.0)
}
