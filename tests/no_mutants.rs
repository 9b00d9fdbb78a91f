//! What everybody builds holds no planted defect: not one of their names or descriptions stands in the program.

#![cfg(not(feature = "mutants"))]

/// The list of defects, as text: the enumeration itself does not exist in this build.
const LIST: &str = include_str!("../router/src/mutant.rs");

/// Names and descriptions: `        Name: "what it does wrong",`.
fn planted() -> Vec<(&'static str, &'static str)> {
    let pair = |line: &'static str| line.strip_prefix("        ")?.strip_suffix("\",")?.split_once(": \"");
    LIST.lines().filter_map(pair).collect()
}

#[test]
fn no_name_of_a_planted_defect_stands_in_the_program() {
    let planted = planted();
    assert!(planted.len() >= 40, "the list is read: {planted:?}");
    let program =
        std::fs::read(env!("CARGO_BIN_EXE_goldenpath")).expect("the program was built for its tests");
    let texts: Vec<&str> = planted.iter().flat_map(|(name, about)| [*name, *about]).collect();
    assert_eq!(found(&program, &texts), Vec::<&str>::new());
    assert_eq!(
        found(&program, &["connection_established"]),
        ["connection_established"],
        "what is there is found"
    );
}

/// Those of the texts that stand in the program; one pass over it for all of them.
fn found<'t>(program: &[u8], texts: &[&'t str]) -> Vec<&'t str> {
    let mut by_first: Vec<Vec<&str>> = vec![Vec::new(); 256];
    for text in texts {
        by_first[usize::from(text.as_bytes()[0])].push(text);
    }
    let mut found = Vec::new();
    for (at, first) in program.iter().enumerate() {
        let here = &program[at..];
        by_first[usize::from(*first)].retain(|text| {
            let stands = here.starts_with(text.as_bytes());
            found.extend(stands.then_some(*text));
            !stands
        });
    }
    found
}
