//! Each switch: on, what the row says goes wrong; off, what was meant.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{Factory, RequestContext, ScopedRouter};
use crate::legacy::{
    Hazard, Hazards,
    event_loop::{Deadlock, EventLoop},
    plain::Raised,
    sink::{Answer, Message, Sink, Written},
};

/// A manager that takes everything, in a while.
struct Taking {
    event_loop: EventLoop,
    takes_us: u64,
}

impl Sink for Taking {
    fn send_to_connection<'a>(
        &'a self,
        _: &'a Value,
        _: &'a Message,
        _: &'a dyn Fn() -> bool,
    ) -> Option<Answer<'a, Value>> {
        Some(Box::pin(async {
            self.event_loop.sleep(self.takes_us).await;
            Ok(true.into())
        }))
    }

    fn send_message_to_thread<'a>(&'a self, _: &'a Value, _: &'a Message) -> Option<Answer<'a, Value>> {
        None
    }

    fn connections_of(&self, _: &str) -> Result<usize, Raised> {
        Ok(1)
    }

    fn send_to_user<'a>(&'a self, _: &'a str, _: &'a Message) -> Answer<'a, Written> {
        Box::pin(async { Ok(Written { tried: 1, written: 1 }) })
    }
}

struct Scene {
    event_loop: EventLoop,
    factory: Rc<Factory>,
    sink: Rc<Taking>,
}

fn scene(hazards: Hazards) -> Scene {
    let event_loop = EventLoop::new();
    let factory = Rc::new(Factory::new(hazards, &event_loop));
    let sink = Rc::new(Taking { event_loop: event_loop.clone(), takes_us: 1_000_000 });
    Scene { event_loop, factory, sink }
}

/// The same scene with the switch on, and with all off.
fn both(hazard: Hazard) -> [(bool, Scene); 2] {
    [Hazards::of([hazard]), Hazards::NONE].map(|hazards| (hazards.has(hazard), scene(hazards)))
}

fn context(request: &str) -> RequestContext {
    RequestContext { user: "user_1".to_owned(), request: request.to_owned(), thread: "t1".to_owned() }
}

impl Scene {
    fn register(&self, router: &ScopedRouter) {
        let router = router.clone();
        let call = async move { router.register_connection(&json!("c1"), &Value::Null).await };
        assert_eq!(self.event_loop.block_on(call), Ok(Ok(true)));
    }

    fn route(&self, router: &ScopedRouter) -> Result<bool, Deadlock> {
        let router = router.clone();
        let call = async move { router.route_event(&json!("c1"), &json!({})).await };
        self.event_loop.block_on(call).map(|answer| answer == Ok(true.into()))
    }

    fn sweep(&self, age_max_us: u64) -> Result<usize, Raised> {
        let factory = Rc::clone(&self.factory);
        let call = async move { factory.cleanup_expired_routers(age_max_us).await };
        self.event_loop.block_on(call).expect("ends")
    }
}

#[test]
fn s1_asking_for_access_hangs_and_everything_after_it() {
    for (wrong, scene) in both(Hazard::S1) {
        scene.factory.set_manager(scene.sink.clone());
        let router = scene.factory.create_for_user(&context("a"));
        scene.register(&router);
        let asked = router.clone();
        let call = async move { asked.validate_user_access(&json!("c1")).await };
        assert_eq!(scene.event_loop.block_on(call), if wrong { Err(Deadlock) } else { Ok(true) });
        assert_eq!(scene.route(&router), if wrong { Err(Deadlock) } else { Ok(true) });
    }
}

#[test]
fn s2_two_requests_of_a_user_share_no_connections() {
    for (wrong, scene) in both(Hazard::S2) {
        scene.factory.set_manager(scene.sink.clone());
        let (one, other) = (context("a"), context("b"));
        let registered = scene.factory.create_for_user(&one);
        scene.register(&registered);
        assert_eq!(scene.route(&scene.factory.create_for_user(&other)), Ok(!wrong));
    }
}

#[test]
fn s3_a_router_that_nobody_holds_is_gone() {
    for (wrong, scene) in both(Hazard::S3) {
        scene.factory.set_manager(scene.sink.clone());
        scene.register(&scene.factory.create_for_user(&context("a")));
        assert_eq!(scene.route(&scene.factory.create_for_user(&context("a"))), Ok(!wrong));
        assert_eq!(scene.factory.stats().active_routers, usize::from(!wrong));
    }
}

#[test]
fn s4_a_router_in_use_expires() {
    for (wrong, scene) in both(Hazard::S4) {
        scene.factory.set_manager(scene.sink.clone());
        let router = scene.factory.create_for_user(&context("a"));
        scene.register(&router);
        scene.event_loop.advance_to(3_601_000_000);
        assert_eq!(scene.sweep(3_600_000_000), Ok(usize::from(wrong)));
        let again = scene.factory.create_for_user(&context("a"));
        assert_eq!(again == router, !wrong);
    }
}

#[test]
fn s5_a_router_made_before_its_manager_stays_without() {
    for (wrong, scene) in both(Hazard::S5) {
        let router = scene.factory.create_for_user(&context("a"));
        scene.register(&router);
        scene.factory.set_manager(scene.sink.clone());
        assert_eq!(scene.route(&router), Ok(!wrong));
    }
}

#[test]
fn s6_a_sweep_meets_a_creation_half_way() {
    // The router is old, and busy with a send, so that the sweep waits for it.
    let busy = Hazards::of([Hazard::S4, Hazard::S7]);
    for hazards in [busy.with(Hazard::S6), busy] {
        let scene = scene(hazards);
        scene.factory.set_manager(scene.sink.clone());
        let router = scene.factory.create_for_user(&context("a"));
        scene.register(&router);
        let (sending, factory) = (router.clone(), Rc::clone(&scene.factory));
        scene.event_loop.advance_to(10);
        scene.event_loop.spawn(async move { sending.route_event(&json!("c1"), &json!({})).await });
        let sweep = scene.event_loop.spawn(async move { factory.cleanup_expired_routers(1).await });
        scene.event_loop.run_ready();
        drop(scene.factory.create_for_user(&context("b")));
        scene.event_loop.advance_to(5_000_000);
        let class = sweep.taken().expect("ends").err().map(|raised| raised.class);
        assert_eq!(class, hazards.has(Hazard::S6).then_some("RuntimeError"));
    }
}

#[test]
fn s7_a_send_holds_up_every_call_of_the_router() {
    for (wrong, scene) in both(Hazard::S7) {
        scene.factory.set_manager(scene.sink.clone());
        let router = scene.factory.create_for_user(&context("a"));
        scene.register(&router);
        let sending = router.clone();
        scene.event_loop.spawn(async move { sending.route_event(&json!("c1"), &json!({})).await });
        scene.event_loop.run_ready();
        let since = scene.event_loop.now_us();
        let other = router.clone();
        let call = async move { other.register_connection(&json!("c2"), &Value::Null).await };
        assert_eq!(scene.event_loop.block_on(call), Ok(Ok(true)));
        assert_eq!(scene.event_loop.now_us() - since, if wrong { 1_000_000 } else { 0 });
    }
}
