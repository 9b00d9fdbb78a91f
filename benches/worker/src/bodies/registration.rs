//! A router and its handlers. This revision's handlers are part of the router's type and ready with it: what is
//! measured is what a process pays before it can route its first message.

use router::{Config, Router};

use super::{Body, Tally};

/// Routers with default limits.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    configs: Vec<Config>,
    routers: Vec<Router>,
}

impl Body for Registrations {
    fn batch(&self) -> usize {
        64
    }

    fn prepare(&mut self, units: usize) {
        self.configs.resize_with(units, Config::default);
        self.routers.reserve(units);
    }

    fn step(&mut self, unit: usize) {
        let config = std::mem::take(&mut self.configs[unit]);
        self.routers.push(Router::new(config).expect("the defaults are valid"));
    }

    fn settle(&mut self, units: usize, tally: &mut Tally) {
        assert_eq!(self.routers.len(), units);
        self.routers.clear();
        self.configs.clear();
        tally.units += units as u64;
    }
}
