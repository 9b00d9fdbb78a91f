//! Each switch: on, what the row says goes wrong; off, what was meant.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};

use super::{EventRouter, Process};
use crate::legacy::{
    Hazard, Hazards,
    event_loop::EventLoop,
    manager::Manager,
    plain::Raised,
    sink::{Answer, Message, Sink, Written},
};

/// A manager that notes what it is sent, in a while.
#[derive(Default)]
struct Noting {
    sent: RefCell<Vec<String>>,
    event_loop: EventLoop,
    takes_us: u64,
    threads_only: bool,
    fails: bool,
}

impl Sink for Noting {
    fn send_to_connection<'a>(
        &'a self,
        connection: &'a Value,
        _: &'a Message,
        still: &'a dyn Fn() -> bool,
    ) -> Option<Answer<'a, Value>> {
        if self.threads_only {
            return None;
        }
        Some(Box::pin(async move {
            if self.takes_us > 0 {
                self.event_loop.sleep(self.takes_us).await;
            }
            let sent = !self.fails && still();
            if sent {
                self.sent.borrow_mut().push(connection.as_str().unwrap_or_default().to_owned());
            }
            Ok(sent.into())
        }))
    }

    fn send_message_to_thread<'a>(&'a self, thread: &'a Value, _: &'a Message) -> Option<Answer<'a, Value>> {
        self.threads_only.then(|| -> Answer<'a, Value> {
            Box::pin(async move {
                self.sent.borrow_mut().push(thread.as_str().unwrap_or_default().to_owned());
                Ok(true.into())
            })
        })
    }

    fn connections_of(&self, _: &str) -> Result<usize, Raised> {
        Ok(2)
    }

    fn send_to_user<'a>(&'a self, _: &'a str, _: &'a Message) -> Answer<'a, Written> {
        Box::pin(async { Ok(Written { tried: 2, written: 0 }) })
    }
}

struct Scene {
    event_loop: EventLoop,
    router: EventRouter,
    sink: Rc<Noting>,
}

impl Scene {
    fn new(hazards: Hazards, takes_us: u64, threads_only: bool, fails: bool) -> Self {
        let event_loop = EventLoop::new();
        let sink = Noting {
            event_loop: event_loop.clone(),
            takes_us,
            threads_only,
            fails,
            sent: RefCell::default(),
        };
        let sink = Rc::new(sink);
        let router = EventRouter::new(hazards, &event_loop, Some(sink.clone()));
        Self { event_loop, router, sink }
    }

    fn register(&self, user: &str, connection: &str, thread: &str) -> bool {
        let router = self.router.clone();
        let (user, connection, thread) = (json!(user), json!(connection), json!(thread));
        let call = async move { router.register_connection(&user, &connection, &thread).await };
        self.event_loop.block_on(call) == Ok(Ok(true))
    }

    fn route(&self, user: &Value, connection: &str, event: Value) -> bool {
        let (router, user, connection) = (self.router.clone(), user.clone(), json!(connection));
        let call = async move { router.route_event(&user, &connection, &event).await };
        self.event_loop.block_on(call) == Ok(Ok(true.into()))
    }

    fn pool_broadcast(&self, user: &str) -> usize {
        let (router, user) = (self.router.clone(), json!(user));
        let call = async move { router.pool_broadcast(&user, &json!({})).await };
        self.event_loop.block_on(call).expect("ends").expect("a valid call")
    }

    fn cleanup(&self) -> usize {
        let router = self.router.clone();
        self.event_loop.block_on(async move { router.cleanup_stale_connections().await }).expect("ends")
    }

    fn wait(&self, seconds: u64) {
        self.event_loop.advance_to(self.event_loop.now_us() + seconds * 1_000_000);
    }
}

/// The same scene with the switch on, and with all off.
fn both(hazard: Hazard) -> [(bool, Scene); 2] {
    [Hazards::of([hazard]), Hazards::NONE]
        .map(|hazards| (hazards.has(hazard), Scene::new(hazards, 0, false, false)))
}

#[test]
fn e1_twice_registered_is_twice_sent() {
    for (wrong, scene) in both(Hazard::E1) {
        assert!(scene.register("user_1", "c1", "t1") && scene.register("user_1", "c1", "t1"));
        assert_eq!(scene.pool_broadcast("user_1"), if wrong { 2 } else { 1 });
        assert_eq!(scene.router.get_stats().total_connections, if wrong { 2 } else { 1 });
    }
}

#[test]
fn e2_cleaning_up_takes_the_new_owner_the_connection() {
    for (wrong, scene) in both(Hazard::E2) {
        scene.register("user_1", "c1", "");
        scene.wait(299);
        assert_eq!(scene.register("user_2", "c1", ""), wrong, "without the hazard nobody takes it over");
        scene.wait(1);
        assert_eq!(scene.cleanup(), 1);
        scene.register("user_2", "c2", "");
        assert!(!scene.route(&json!("user_2"), "c1", json!({})), "listed or not, it is not routed to");
        assert_eq!(
            scene.router.get_user_connections(&json!("user_2")).map(|list| list.len()),
            Ok(if wrong { 2 } else { 1 })
        );
    }
}

#[test]
fn e3_a_day_of_silence_counts_as_none() {
    for (wrong, scene) in both(Hazard::E3) {
        scene.register("user_1", "c1", "");
        scene.wait(86_400);
        assert_eq!(scene.cleanup(), usize::from(!wrong));
    }
}

#[test]
fn e4_failed_sends_keep_a_dead_connection() {
    for hazards in [Hazards::of([Hazard::E4]), Hazards::NONE] {
        let scene = Scene::new(hazards, 0, false, true);
        scene.register("user_1", "c1", "");
        for _ in 0..3 {
            scene.wait(200);
            assert!(!scene.route(&json!("user_1"), "c1", json!({})));
        }
        assert_eq!(scene.cleanup(), usize::from(!hazards.has(Hazard::E4)));
    }
}

#[test]
fn e5_a_connection_that_changes_hands_during_a_send_gets_the_event() {
    for hazards in [Hazards::of([Hazard::E5]), Hazards::NONE] {
        let scene = Scene::new(hazards, 100_000, false, false);
        scene.register("user_1", "c1", "");
        let router = scene.router.clone();
        scene.event_loop.spawn(async move {
            drop(router.route_event(&json!("user_1"), &json!("c1"), &json!({})).await);
        });
        scene.event_loop.run_ready();
        // The first owner leaves, and the id is somebody else's before the write.
        let router = scene.router.clone();
        scene.event_loop.spawn(async move { router.unregister_connection(&json!("c1")).await });
        scene.event_loop.run_ready();
        assert!(scene.register("user_2", "c1", ""));
        scene.wait(1);
        assert_eq!(scene.sink.sent.borrow().len(), usize::from(hazards.has(Hazard::E5)));
    }
}

#[test]
fn e6_the_event_says_where_it_goes_as_often_as_there_are_connections() {
    for hazards in [Hazards::of([Hazard::E6]), Hazards::NONE] {
        let wrong = hazards.has(Hazard::E6);
        let scene = Scene::new(hazards, 0, true, false);
        scene.register("user_1", "c1", "t1");
        scene.register("user_1", "c2", "t1");
        scene.route(&json!("user_1"), "c1", json!({"thread_id": "t2"}));
        assert_eq!(*scene.sink.sent.borrow(), [if wrong { "t2" } else { "t1" }]);
        assert_eq!(scene.pool_broadcast("user_1"), if wrong { 2 } else { 1 });
        scene.register("user_2", "c3", "t1");
        assert_eq!(
            scene.pool_broadcast("user_1"),
            if wrong { 2 } else { 0 },
            "the thread is not theirs alone"
        );
    }
}

#[test]
fn e7_no_user_has_what_nobody_has() {
    for (wrong, scene) in both(Hazard::E7) {
        assert_eq!(scene.route(&Value::Null, "ghost", json!({})), wrong);
        assert_eq!(scene.register(" ", "c1", ""), wrong);
    }
}

#[test]
fn e8_the_first_to_ask_decides_whether_there_is_a_manager() {
    for hazards in [Hazards::of([Hazard::E8]), Hazards::NONE] {
        let event_loop = EventLoop::new();
        let process = Process::new(hazards, &event_loop);
        assert!(!process.router(None).has_manager());
        let manager = Rc::new(Manager::new(hazards, &event_loop, None));
        assert_eq!(process.router(Some(manager)).has_manager(), !hazards.has(Hazard::E8));
    }
}

#[test]
fn e9_the_manager_lacks_what_is_looked_up() {
    let event_loop = EventLoop::new();
    let asked = |hazards| {
        let manager = Manager::new(hazards, &event_loop, None);
        manager.send_to_connection(&json!("c1"), &Message::new(), &|| true).is_some()
    };
    assert!(!asked(Hazards::of([Hazard::E9])) && asked(Hazards::NONE));
}

#[test]
fn e10_what_the_service_refuses_goes_to_the_pool() {
    for (wrong, scene) in both(Hazard::E10) {
        let router = scene.router.clone();
        let call = async move { router.broadcast_to_user(&json!("alice"), &json!({})).await };
        let result = scene.event_loop.block_on(call).expect("ends");
        assert_eq!(result.is_ok(), wrong, "there are two ways, or one");
    }
}

#[test]
fn b5_statistics_live_as_long_as_a_call() {
    for (wrong, scene) in both(Hazard::B5) {
        let router = scene.router.clone();
        let call = async move { router.broadcast_to_user(&json!("user_1"), &json!({})).await };
        assert!(scene.event_loop.block_on(call).is_ok());
        assert_eq!(scene.router.service().counts().total, u64::from(!wrong));
    }
}

#[test]
fn b6_the_function_of_the_module_reaches_nobody_and_says_one_in_tests() {
    for hazards in [Hazards::of([Hazard::B6, Hazard::B1]), Hazards::NONE] {
        let event_loop = EventLoop::new();
        let process = Rc::new(Process::new(hazards, &event_loop));
        let count = |under_test_runner: bool| {
            let process = Rc::clone(&process);
            let call = async move {
                process.broadcast_to_user(&json!("user_1"), &json!({}), under_test_runner).await
            };
            event_loop.block_on(call).expect("ends")
        };
        assert_eq!((count(false), count(true)), (0, usize::from(hazards.has(Hazard::B6))));
    }
}
