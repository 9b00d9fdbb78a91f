//! Where a connection stands, and what is known of it.

use router::{BuiltIn, Config, ConnId, Connect, Input, Ticket, Violation, handlers::Figures};

use crate::harness::World;

#[test]
fn a_connection_is_open_from_its_acceptance_until_its_close_is_asked_for() {
    let mut world = World::new(Config { ready_after_us: 1_000, ..Config::default() });
    let tab = world.connect("ada");
    assert!(world.router.is_open(tab), "while it is set up");
    world.wait(1_000);
    assert!(world.router.is_open(tab));
    world.input(Input::Violation { conn: tab, kind: Violation::Protocol });
    assert!(!world.router.is_open(tab), "while it closes");
    world.input(Input::Closed { conn: tab });
    assert!(!world.router.is_open(tab), "when it is gone");
    let next = world.connect("ada");
    assert_eq!((next.index(), next.generation()), (tab.index(), tab.generation() + 1));
    assert!(world.router.is_open(next) && !world.router.is_open(tab), "nor when another has its place");
}

#[test]
fn the_registry_counts_who_is_here_and_who_was_served() {
    let mut world = World::new(Config { idle_us: 10_000_000, ..Config::default() });
    assert_eq!(world.router.pool(world.now).efficiency_percent(), None, "of nobody there is no share");
    let named = |world: &mut World, user: &str, name: &str| -> ConnId {
        let connect = Connect { name: Some(name), ..Connect::new(Ticket(0), user) };
        world.connect_with(connect).expect("accepted")
    };
    let (ada, other, eve) = (world.connect("ada"), named(&mut world, "ada", "tab-2"), world.connect("eve"));
    world.wait(10_000_000);
    world.input(Input::Pong { conn: ada });
    world.say(eve, r#"{"type":"ping"}"#);
    let pool = world.router.pool(world.now);
    assert_eq!((pool.users, pool.connections, pool.active, pool.served), (2, 3, 2, 1));
    let percent = pool.efficiency_percent().expect("a share");
    assert!((percent - 100.0 / 3.0).abs() < 1e-9, "{percent}");
    let users: Vec<_> = world.router.users_connected().map(|(user, open)| (user.to_string(), open)).collect();
    assert_eq!(users, [("ada".to_owned(), 2), ("eve".to_owned(), 1)]);
    let idle = |active_only| -> Vec<_> {
        let of = world.router.connections(world.now, "ada", active_only);
        of.into_iter().map(|connection| (connection.conn, connection.idle_us)).collect()
    };
    assert_eq!(idle(false), [(ada, 0), (other, 10_000_000)]);
    assert_eq!(idle(true), [(ada, 0)]);
    assert_eq!(world.router.connection_named("tab-2"), Some(other));
    world.input(Input::SweepIdle);
    assert!(!world.router.is_open(other) && world.router.is_open(ada) && world.router.is_open(eve));
    assert_eq!(world.router.connection_named("tab-2"), None, "a closing one is nobody's");
}

#[test]
fn a_name_stays_with_the_connection_that_took_it_over() {
    let mut world = World::new(Config::default());
    let connect = Connect { name: Some("tab"), ..Connect::new(Ticket(0), "ada") };
    let first = world.connect_with(connect).expect("accepted");
    let second = world.connect_with(connect).expect("accepted");
    world.input(Input::Closed { conn: first });
    assert_eq!(world.router.connection_named("tab"), Some(second), "the older one's end changes nothing");
    assert_eq!(world.router.connection_named("other"), None);
    world.input(Input::Unregister { user: Some("eve"), name: "tab" });
    assert!(world.router.is_open(second), "no other user can close it");
    world.input(Input::Unregister { user: Some("ada"), name: "tab" });
    world.input(Input::Closed { conn: second });
    assert_eq!((world.router.connection_named("tab"), world.router.sizes().names), (None, 0));
}

#[test]
fn tables_are_as_large_as_the_most_that_were_here_at_once() {
    let mut world = World::new(Config { recovery_ttl_us: 1, ..Config::default() });
    let connect = Connect { name: Some("tab"), ..Connect::new(Ticket(0), "ada") };
    world.connect_with(connect).expect("accepted");
    let (second, eve) = (world.connect("ada"), world.connect("eve"));
    let sizes = |world: &World| {
        let sizes = world.router.sizes();
        (sizes.connections, sizes.users, sizes.names)
    };
    assert_eq!(sizes(&world), (3, 2, 1));
    world.input(Input::Closed { conn: eve });
    world.input(Input::Closed { conn: second });
    world.wait(1_000);
    world.connect("bob");
    world.connect("bob");
    assert_eq!(sizes(&world), (3, 2, 1), "bob has the places of those who left");
    world.connect("bob");
    assert_eq!(sizes(&world), (4, 2, 1));
}

#[test]
fn what_was_put_by_for_one_user_never_reaches_who_has_the_place_now() {
    let mut world = World::new(Config { recovery_ttl_us: 1_000, ..Config::default() });
    let (one, two) = (world.connect("ada"), world.connect("ada"));
    world.say(one, r#"{"type":"broadcast","payload":{"secret":"ada's"}}"#);
    world.input(Input::Closed { conn: one });
    world.input(Input::Closed { conn: two });
    world.wait(2_000);
    assert_eq!(world.router.stats().connections.users, 0, "ada is gone, and her message still waits");
    let eve = world.connect("eve");
    assert_eq!(world.router.sizes().users, 1, "eve has her place");
    world.wait(1_000_000);
    assert!(world.types(eve).is_empty(), "{:?}", world.frames(eve));
    let Figures::Batch(batch) = world.router.figures(BuiltIn::Batch) else { panic!("figures") };
    assert_eq!((batch.dropped, batch.batched, batch.pending), (1, 0, 0));
}

#[test]
fn every_connection_has_an_id_of_its_own_also_when_its_place_was_somebody_elses() {
    let mut world = World::new(Config::default());
    let mut ids = Vec::new();
    for user in ["ada", "eve", "ada"] {
        let tab = world.connect(user);
        ids.push(world.last(tab)["data"]["connection_id"].clone());
        world.input(Input::Closed { conn: tab });
        world.received.clear();
    }
    assert_eq!(ids, ["conn-n0-1", "conn-n0-2", "conn-n0-3"]);
    let stats = world.router.stats().connections;
    assert_eq!((stats.users, stats.open, stats.closed), (2, 0, 3), "two may come back");
}
