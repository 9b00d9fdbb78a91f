//! Each switch: on, what the row says goes wrong; off, what was meant.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::Manager;
use crate::legacy::{
    Hazard, Hazards,
    event_loop::EventLoop,
    plain::Raised,
    sink::{Answer, Message, Socket},
};

type Frames = Rc<RefCell<Vec<(String, Value)>>>;

/// A socket that notes what it is sent, takes its time, or fails.
struct Noting {
    name: String,
    frames: Frames,
    event_loop: EventLoop,
    takes_us: u64,
    fails: bool,
}

impl Socket for Noting {
    fn send<'a>(&'a self, message: &'a mut Message) -> Answer<'a, ()> {
        Box::pin(async move {
            if self.fails {
                return Err(Raised::new("RuntimeError", "closed"));
            }
            if self.takes_us > 0 {
                self.event_loop.sleep(self.takes_us).await;
            }
            let seen = Value::Object(message.clone());
            message.insert("socket".to_owned(), self.name.as_str().into());
            self.frames.borrow_mut().push((self.name.clone(), seen));
            Ok(())
        })
    }
}

struct Scene {
    event_loop: EventLoop,
    manager: Manager,
    frames: Frames,
}

impl Scene {
    fn new(hazards: Hazards) -> Self {
        let event_loop = EventLoop::new();
        let manager = Manager::new(hazards, &event_loop, Some("user_1"));
        Self { event_loop, manager, frames: Rc::default() }
    }

    fn connect_with(&self, user: &str, id: &str, takes_us: u64, fails: bool) -> bool {
        let socket = Noting {
            name: id.to_owned(),
            frames: Rc::clone(&self.frames),
            event_loop: self.event_loop.clone(),
            takes_us,
            fails,
        };
        let (manager, user, id) = (self.manager.clone(), user.to_owned(), id.to_owned());
        let call = async move { manager.add_connection(&user, &id, Some("t1"), Some(Rc::new(socket))).await };
        self.event_loop.block_on(call) == Ok(Ok(()))
    }

    fn connect(&self, user: &str, id: &str) -> bool {
        self.connect_with(user, id, 0, false)
    }

    fn disconnect(&self, id: &str) {
        let (manager, id) = (self.manager.clone(), id.to_owned());
        self.event_loop.block_on(async move { manager.remove_connection(&id).await }).expect("ends");
    }

    /// Begins to send, and lets it go as far as it goes at this instant.
    fn begin(&self, user: &str, n: u64) {
        let (manager, user) = (self.manager.clone(), Value::from(user));
        self.event_loop.spawn(async move { manager.send_to_user(&user, &event(n)).await });
        self.event_loop.run_ready();
    }

    fn send(&self, user: &str, n: u64) -> bool {
        let (manager, user) = (self.manager.clone(), Value::from(user));
        let call = async move { manager.send_to_user(&user, &event(n)).await };
        let sent = self.event_loop.block_on(call).expect("ends").is_ok();
        self.event_loop.run_ready();
        sent
    }

    /// Sockets and numbers of what was written.
    fn seen(&self) -> Vec<(String, u64)> {
        let number = |frame: &Value| frame["n"].as_u64().or(frame["missed"].as_u64()).unwrap_or_default();
        self.frames.take().into_iter().map(|(socket, frame)| (socket, number(&frame))).collect()
    }
}

fn event(n: u64) -> Message {
    let mut event = Map::new();
    event.insert("n".to_owned(), n.into());
    event
}

fn on(hazard: Hazard) -> Scene {
    // M7 is about whom the manager was made for: it stays out of the way of the others.
    Scene::new(Hazards::of([hazard, Hazard::M7]))
}

fn off() -> Scene {
    Scene::new(Hazards::of([Hazard::M7]))
}

fn pairs(list: &[(&str, u64)]) -> Vec<(String, u64)> {
    list.iter().map(|(socket, n)| ((*socket).to_owned(), *n)).collect()
}

#[test]
fn m1_a_lost_tab_takes_the_tabs_with_it_whose_ids_look_alike() {
    for (scene, left) in [(on(Hazard::M1), &[][..]), (off(), &[("c2", 1)])] {
        scene.connect("user_1", "c1");
        scene.connect("user_1", "c2");
        scene.disconnect("c1");
        scene.send("user_1", 1);
        assert_eq!(scene.seen(), pairs(left));
    }
}

#[test]
fn m2_an_id_of_two_users_leaks_and_is_refused_without() {
    let (leaky, sound) = (on(Hazard::M2), off());
    for scene in [&leaky, &sound] {
        scene.connect("user_1", "c1");
    }
    assert!(leaky.connect("user_2", "c1"), "taken over");
    assert!(!sound.connect("user_2", "c1"), "refused");
    leaky.send("user_1", 1);
    assert_eq!(leaky.manager.owner("c1").as_deref(), Some("user_2"));
    assert_eq!(leaky.seen(), pairs(&[("c1", 1)]), "the event of one is on the socket of the other");
    sound.send("user_2", 1);
    assert_eq!(sound.seen(), [], "nobody else's socket is written to");
}

#[test]
fn m3_a_newer_event_overtakes_what_waited() {
    for (scene, order) in [(on(Hazard::M3), [2, 1]), (off(), [1, 2])] {
        scene.send("user_1", 1);
        let (manager, event_loop) = (scene.manager.clone(), scene.event_loop.clone());
        let socket = Rc::new(Noting {
            name: "c1".to_owned(),
            frames: Rc::clone(&scene.frames),
            event_loop: event_loop.clone(),
            takes_us: 0,
            fails: false,
        });
        event_loop.spawn(async move { manager.add_connection("user_1", "c1", None, Some(socket)).await });
        event_loop.run_ready();
        scene.begin("user_1", 2);
        event_loop.advance_to(1_000_000);
        assert_eq!(scene.seen().into_iter().map(|(_, n)| n).collect::<Vec<_>>(), order);
    }
}

#[test]
fn m4_a_slow_socket_loses_the_rest_of_the_queue() {
    for (scene, taken) in [(on(Hazard::M4), 2), (off(), 4)] {
        for n in 0..4 {
            scene.send("user_1", n);
        }
        scene.connect_with("user_1", "c1", 2_000_000, false);
        assert_eq!(scene.seen().len(), taken);
        assert!(scene.manager.recovery_queues()["user_1"].is_empty());
    }
}

#[test]
fn m5_a_full_queue_loses_the_oldest_without_a_word() {
    for (scene, first) in [(on(Hazard::M5), 3), (off(), 3)] {
        for n in 0..53 {
            scene.send("user_1", n);
        }
        scene.connect("user_1", "c1");
        let frames = scene.frames.take();
        let told = frames.iter().filter(|(_, frame)| frame["type"] == "recovery_gap").count();
        let events: Vec<u64> = frames.iter().filter_map(|(_, frame)| frame["n"].as_u64()).collect();
        assert_eq!((events.len(), events[0]), (50, first));
        assert_eq!(told, usize::from(!scene.manager.has(Hazard::M5)));
    }
}

#[test]
fn m6_a_slow_tab_holds_up_the_others() {
    for (scene, quick) in [(on(Hazard::M6), &[][..]), (off(), &[("c2", 1), ("c2", 2)])] {
        scene.connect_with("user_1", "c1", 2_000_000, false);
        scene.connect("user_1", "c2");
        scene.begin("user_1", 1);
        scene.begin("user_1", 2);
        assert_eq!(scene.seen(), pairs(quick));
        scene.event_loop.advance_to(10_000_000);
        let order: Vec<u64> = scene.seen().iter().filter(|(s, _)| s == "c1").map(|(_, n)| *n).collect();
        assert_eq!(order, [1, 2], "each socket in its order");
    }
}

#[test]
fn m7_the_manager_of_one_user_serves_another() {
    let (any, own) = (Scene::new(Hazards::of([Hazard::M7])), Scene::new(Hazards::NONE));
    assert!(any.connect("user_2", "c1") && any.send("user_2", 1));
    assert!(!own.connect("user_2", "c1") && !own.send("user_2", 1));
    assert!(own.connect("user_1", "c1") && own.send("user_1", 1));
}

#[test]
fn m8_tables_grow_with_the_traffic() {
    for (scene, left) in [(on(Hazard::M8), (3, 1)), (off(), (0, 0))] {
        scene.connect("user_1", "c1");
        for n in 0..3 {
            scene.send("user_1", n);
        }
        scene.disconnect("c1");
        let tables = scene.manager.tables();
        assert_eq!((tables.deliveries, tables.locks), left);
    }
}

#[test]
fn m9_a_failed_socket_is_tried_again_until_it_is_removed() {
    for (scene, listed) in [(on(Hazard::M9), true), (off(), false)] {
        scene.connect_with("user_1", "c1", 0, true);
        let (manager, user) = (scene.manager.clone(), json!("user_1"));
        let call = async move {
            drop(manager.send_to_user(&user, &event(1)).await);
            manager.registered().contains_key("user_1")
        };
        assert_eq!(scene.event_loop.block_on(call), Ok(listed));
        scene.event_loop.run_ready();
        assert!(scene.manager.connections().is_empty(), "gone in the end");
    }
}

#[test]
fn m10_a_thread_is_taken_for_a_user() {
    for (scene, sent, frames) in [(on(Hazard::M10), true, 0), (off(), true, 1)] {
        scene.connect("user_1", "c1");
        let manager = scene.manager.clone();
        let call = async move { manager.send_to_thread("user_1", "t1", &event(1)).await };
        // A thread's id passes for a user's where it is a word and a number.
        let wrong = scene.manager.clone();
        let waits = async move { wrong.send_to_thread("user_1", "thread_1", &event(2)).await };
        let result = scene.event_loop.block_on(call).expect("ends");
        let waited = scene.event_loop.block_on(waits).expect("ends");
        let waiting = scene.manager.recovery_queues().contains_key("thread_1");
        assert_eq!((waited, waiting), (frames == 0, frames == 0));
        assert_eq!(result, sent && frames == 1);
        assert_eq!(scene.seen().len(), frames);
    }
}

#[test]
fn m11_what_one_socket_changes_the_next_one_sees() {
    for (hazards, touched) in [
        (Hazards::of([Hazard::M6, Hazard::M7, Hazard::M11]), true),
        (Hazards::of([Hazard::M6, Hazard::M7]), false),
    ] {
        let scene = Scene::new(hazards);
        scene.connect("user_1", "c1");
        scene.connect("user_2", "c2");
        let manager = scene.manager.clone();
        let call = async move { manager.broadcast(&event(1)).await };
        scene.event_loop.block_on(call).expect("ends");
        let second = scene.frames.borrow()[1].clone();
        assert_eq!(second.1.get("socket").is_some(), touched, "{second:?}");
    }
}
