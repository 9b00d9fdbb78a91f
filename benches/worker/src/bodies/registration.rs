//! What a process pays before it can route its first message: a router with its built-in handlers, which are part of its
//! type and ready with it, and the custom ones of the host, which are registered one by one.

use router::{Config, Handler, HandlerId, Router};

use super::{Body, Tally};
use crate::workloads::Silent;

/// Custom handlers that a unit registers.
const HANDLERS: usize = 10;

/// Routers that wait for their handlers, so that a unit finds one without any.
const ROUTERS: usize = 64;

pub(super) fn corpus() -> String {
    format!("{HANDLERS} silent handlers on a router of default limits")
}

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

/// Custom handlers, registered by the host's own call and withdrawn where no clock runs.
#[derive(Debug)]
pub(super) struct CustomHandlers {
    routers: Vec<Router>,
    made: Vec<Box<dyn Handler>>,
    registered: Vec<HandlerId>,
}

impl CustomHandlers {
    pub(super) fn new() -> Self {
        let router = || Router::new(Config::default()).expect("the defaults are valid");
        let routers = std::iter::repeat_with(router).take(ROUTERS).collect();
        Self { routers, made: Vec::new(), registered: Vec::new() }
    }
}

impl Body for CustomHandlers {
    fn batch(&self) -> usize {
        ROUTERS
    }

    fn prepare(&mut self, units: usize) {
        self.made.resize_with(units * HANDLERS, || Box::new(Silent::elsewhere()));
        self.registered.reserve(units * HANDLERS);
    }

    fn step(&mut self, unit: usize) {
        let made = self.made.len() - HANDLERS;
        for handler in self.made.drain(made..) {
            let id = self.routers[unit].add_handler(handler).expect("there is room for ten");
            self.registered.push(id);
        }
    }

    fn settle(&mut self, units: usize, tally: &mut Tally) {
        assert_eq!(self.registered.len(), units * HANDLERS, "each was registered");
        for (router, ids) in self.routers.iter_mut().zip(self.registered.chunks(HANDLERS)) {
            assert_eq!(router.sizes().handlers, HANDLERS, "and is listed");
            for id in ids {
                assert!(router.remove_handler(*id), "it was there");
            }
        }
        self.registered.clear();
        tally.units += units as u64;
        // What is counted as an effect tells a router that registers nothing from one that does.
        tally.effects += (units * HANDLERS) as u64;
    }
}
