use super::*;
use crate::legacy::Played;
use crate::swarm::{Plays, play};

fn swept(plays: &Plays, seeds: std::ops::Range<u64>) -> Coverage {
    let mut coverage = Coverage::new();
    for seed in seeds {
        play(plays, seed, &Played::Router, &mut coverage).unwrap();
    }
    coverage
}

const SWARM: Plays = Plays::Swarm { without: Vec::new() };

#[test]
fn parts_add_up_in_any_order() {
    let whole = swept(&SWARM, 0..60);
    let mut parts = [swept(&SWARM, 40..60), swept(&SWARM, 0..10), swept(&SWARM, 10..40)];
    let [first, rest @ ..] = &mut parts;
    rest.iter().for_each(|part| first.absorb(part));
    assert_eq!(first.conditions(), whole.conditions());
    assert_eq!(first.triples(), whole.triples());
    assert_eq!(first.reached(), whole.reached());
}

#[test]
fn no_triple_is_met_that_is_called_impossible() {
    let triples = swept(&SWARM, 0..150).triples();
    for triple in &triples.met {
        let stage = Stage::ALL.into_iter().find(|stage| stage.name() == triple.state).unwrap();
        let moment = Moment::ALL.iter().find(|moment| moment.name() == triple.event).unwrap();
        assert!(moment.is_possible(stage), "{triple:?}");
    }
    assert!(triples.met.len() > 150, "{}", triples.met.len());
    assert!((triples.met.len() as u64) < triples.possible);
}

#[test]
fn every_condition_has_a_name_and_a_line_of_its_own() {
    let names: std::collections::BTreeSet<_> =
        Condition::ALL.iter().map(|condition| condition.name()).collect();
    let abouts: std::collections::BTreeSet<_> =
        Condition::ALL.iter().map(|condition| condition.about()).collect();
    assert_eq!((names.len(), abouts.len()), (Condition::ALL.len(), Condition::ALL.len()));
    assert!(names.len() >= 30);
}
