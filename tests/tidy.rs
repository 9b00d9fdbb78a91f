//! The house rules that a machine can check: who may depend on whom, how long a file or a function may be, which
//! words may not stand anywhere, and that the lists in the documents are the lists in the tree.
//!
//! A ratchet is a list of present exceptions with their size. It only ever shrinks: an entry that is no longer
//! needed fails the test just as a new exception does.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use toml::Table;

mod tree;

use tree::{files, read, root, rust_files, table_rows};

/// Longest file without its test modules, in lines.
const FILE_LINES_MAX: usize = 700;
/// Longest function from `fn` to its closing brace, in lines.
const FUNCTION_LINES_MAX: usize = 100;
/// Files that are longer for now, with their length.
const LONG_FILES: &[(&str, usize)] = &[];
/// Functions that are longer for now, as `path::name`, with their length.
const LONG_FUNCTIONS: &[(&str, usize)] = &[];

/// What a package may depend on. A package is defined by what it may touch, and this is where it is written down.
struct House {
    manifest: &'static str,
    /// Exactly these packages of the workspace.
    ours: &'static [&'static str],
    theirs: Theirs,
}

/// Which crates of others a package may have.
enum Theirs {
    /// Exactly these.
    Only(&'static [&'static str]),
    /// Any but these.
    Not(&'static [&'static str]),
}

/// Programs that other simulators are compared with: each a workspace of its own, which nothing of ours depends on.
const PEERS: &str = "benches/peers/";

/// What belongs to the binary alone (arguments, progress, errors for people), and what to the server (the store).
const OTHERS: &[&str] = &["clap", "clap_complete", "indicatif", "miette", "redis"];
/// The packages from the bottom up: an edge to a later one points upward.
const HOUSE: &[House] = &[
    House {
        manifest: "router/Cargo.toml",
        ours: &[],
        theirs: Theirs::Only(&[
            "bytes",
            "bytestring",
            "hashbrown",
            "serde",
            "serde_json",
            "smallvec",
            "time",
        ]),
    },
    House {
        manifest: "reports/Cargo.toml",
        ours: &[],
        theirs: Theirs::Only(&["hdrhistogram", "maud", "quick-junit", "serde", "serde_json"]),
    },
    House {
        manifest: "simulator/Cargo.toml",
        ours: &["reports", "router"],
        theirs: Theirs::Only(&["rand_chacha", "schemars", "serde", "serde_json", "toml"]),
    },
    House {
        manifest: "router/server/Cargo.toml",
        ours: &["router"],
        theirs: Theirs::Not(&["clap", "clap_complete", "indicatif", "miette", "rand", "rand_chacha"]),
    },
    House {
        manifest: "benches/worker/Cargo.toml",
        ours: &["router", "simulator"],
        theirs: Theirs::Only(&["rustix", "serde", "serde_json", "stats_alloc"]),
    },
    House {
        manifest: "benches/loopback/Cargo.toml",
        ours: &["gate-worker", "router", "router-server"],
        theirs: Theirs::Only(&["futures-util", "serde_json", "tokio", "tokio-tungstenite"]),
    },
    House {
        manifest: "benches/Cargo.toml",
        ours: &["gate-worker", "reports", "router", "router-server", "simulator"],
        theirs: Theirs::Not(OTHERS),
    },
    House {
        manifest: "Cargo.toml",
        ours: &["benches", "reports", "router", "router-server", "simulator"],
        theirs: Theirs::Not(&["rand", "rand_chacha", "redis"]),
    },
];

#[test]
fn packages_depend_on_what_the_house_allows() {
    let ours: BTreeSet<&str> = HOUSE.iter().flat_map(|house| house.ours.iter().copied()).collect();
    let mut wrong = Vec::new();
    for house in HOUSE {
        let manifest = manifest(house.manifest);
        for key in ["build-dependencies", "target"] {
            if manifest.contains_key(key) {
                wrong.push(format!("{}: [{key}] hides an edge from this test", house.manifest));
            }
        }
        let (inner, outer): (BTreeSet<_>, BTreeSet<_>) =
            keys(&manifest, "dependencies").into_iter().partition(|name| ours.contains(name.as_str()));
        let allowed: BTreeSet<String> = house.ours.iter().map(ToString::to_string).collect();
        if inner != allowed {
            wrong.push(format!("{}: depends on {inner:?}, the house says {allowed:?}", house.manifest));
        }
        match house.theirs {
            Theirs::Only(list) => {
                let allowed = list.iter().map(ToString::to_string).collect();
                if outer != allowed {
                    wrong.push(format!("{}: has {outer:?}, the house says {allowed:?}", house.manifest));
                }
            }
            Theirs::Not(list) => {
                for name in list.iter().filter(|name| outer.contains(**name)) {
                    wrong.push(format!("{}: {name} does not belong here", house.manifest));
                }
            }
        }
        for name in keys(&manifest, "dev-dependencies") {
            if ours.contains(name.as_str()) && !allowed.contains(&name) {
                wrong.push(format!("{}: its tests point upward, to {name}", house.manifest));
            }
        }
    }
    none(&wrong, "change the table HOUSE in this test together with ARCHITECTURE.md, or the manifest");
}

#[test]
fn every_package_is_a_default_member_and_takes_the_lints_of_the_workspace() {
    let root = manifest("Cargo.toml");
    let workspace = root["workspace"].as_table().expect("a workspace");
    let list = |key: &str| -> BTreeSet<String> {
        let entries = workspace[key].as_array().expect("a list").iter();
        entries.map(|entry| entry.as_str().expect("a path").to_owned()).collect()
    };
    let mut members = list("members");
    members.insert(".".into());
    assert_eq!(members, list("default-members"), "plain `cargo test` would leave a package out");

    let known: BTreeSet<String> = HOUSE.iter().map(|house| house.manifest.to_owned()).collect();
    let found: BTreeSet<String> = files()
        .into_iter()
        .filter(|path| path == "Cargo.toml" || path.ends_with("/Cargo.toml"))
        .filter(|path| !path.starts_with(PEERS))
        .collect();
    assert_eq!(known, found, "a package that the table HOUSE does not know");
    for path in &found {
        let lints = manifest(path).get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        assert_eq!(lints, Some(true), "{path}: must take the lints of the workspace");
    }
}

/// The first command of the README names no program, and the workspace has several.
#[test]
fn cargo_run_plays_the_product() {
    let root = manifest("Cargo.toml");
    assert_eq!(root["package"].get("default-run").and_then(|name| name.as_str()), Some("goldenpath"));
}

#[test]
fn files_are_short() {
    let mut long = BTreeMap::new();
    for path in rust_files() {
        let lines = without_tests(&read(&path)).lines().count();
        if lines > FILE_LINES_MAX {
            long.insert(path, lines);
        }
    }
    ratchet(&long, LONG_FILES, "LONG_FILES");
}

#[test]
fn functions_are_short() {
    let mut long = BTreeMap::new();
    for path in rust_files() {
        for (name, lines) in functions(&code_only(without_tests(&read(&path)))) {
            if lines > FUNCTION_LINES_MAX {
                long.insert(format!("{path}::{name}"), lines);
            }
        }
    }
    ratchet(&long, LONG_FUNCTIONS, "LONG_FUNCTIONS");
}

#[test]
fn every_scenario_is_in_the_list_and_the_list_names_no_other() {
    let present: BTreeSet<String> = files()
        .into_iter()
        .filter_map(|path| path.strip_prefix("scenarios/").map(ToOwned::to_owned))
        .filter(|name| name.ends_with(".toml") && !name.contains('/'))
        .collect();
    let listed: BTreeSet<String> = table_rows(&read("scenarios/README.md"))
        .filter_map(|row| {
            Some(row.first()?.trim_start_matches('[').split_once(".toml")?.0.to_owned() + ".toml")
        })
        .collect();
    assert_eq!(present, listed, "the table in scenarios/README.md and the files beside it");
}

#[test]
fn nothing_is_left_for_later_and_nothing_names_a_machine() {
    // Put together here, so that this file does not find itself.
    let later =
        [["to", "do!"], ["unimpl", "emented!"], ["FIX", "ME"], ["#[ign", "ore"]].map(|word| word.concat());
    let places = [["/ho", "me/"], ["/Us", "ers/"], ["/ro", "ot/"], ["/wo", "rk/"], ["C:", "\\"]]
        .map(|word| word.concat());
    let mut wrong = Vec::new();
    for path in files() {
        let Some((_, "rs" | "toml" | "md" | "yml" | "py" | "json" | "sh")) = path.rsplit_once('.') else {
            continue;
        };
        let code = path.ends_with(".rs") || path.ends_with(".py");
        for (line, text) in (1..).zip(read(&path).lines()) {
            let left = later.iter().filter(|word| code && text.contains(*word));
            let named = places.iter().filter(|place| names_place(text, place));
            wrong.extend(left.chain(named).map(|word| format!("{path}:{line}: {word}")));
        }
    }
    none(&wrong, "finish it or leave it out; paths start at the root of the repository");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for path in files().into_iter().filter(|path| path.ends_with(".md")) {
        let folder = Path::new(&path).parent().expect("a file has a folder").to_owned();
        for target in links(&read(&path)) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") && !root().join(&folder).join(file).exists() {
                wrong.push(format!("{path}: {target}"));
            }
        }
    }
    none(&wrong, "these links lead nowhere");
}

#[test]
fn decisions_are_numbered_without_gap() {
    let numbers: Vec<usize> = files()
        .iter()
        .filter_map(|path| path.strip_prefix("docs/decisions/")?.split_once('-')?.0.parse().ok())
        .collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

#[test]
fn exit_codes_are_the_same_everywhere() {
    use reports::Verdict;
    let readme: BTreeSet<u8> =
        table_rows(&read("README.md")).filter_map(|row| row.first()?.parse().ok()).collect();
    let verdicts = [
        Verdict::Pass,
        Verdict::Findings,
        Verdict::IsolationBreach,
        Verdict::Regression,
        Verdict::Inconclusive,
        Verdict::NotComparable,
        Verdict::ReplayDiverged,
        Verdict::TraceAltered,
        Verdict::Unreached,
        Verdict::Error,
    ];
    let mut known: BTreeSet<u8> = verdicts.into_iter().map(Verdict::exit_code).collect();
    known.insert(2); // usage, or a file that cannot be read: never a verdict
    assert_eq!(readme, known, "the table in README.md, and the codes that a verdict can have");

    let main = read("src/main.rs");
    let documented: BTreeSet<u8> = main
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(known.is_subset(&documented), "src/main.rs documents {documented:?}, the codes are {known:?}");
}

/// Fails with a list, if there is one.
fn none(wrong: &[String], advice: &str) {
    assert!(wrong.is_empty(), "{advice}:\n  {}", wrong.join("\n  "));
}

/// Fails for what is longer than allowed, grew, or is listed without need.
fn ratchet(long: &BTreeMap<String, usize>, listed: &[(&str, usize)], list: &str) {
    let mut wrong = Vec::new();
    for (what, lines) in long {
        match listed.iter().find(|(name, _)| name == what) {
            None => wrong.push(format!("{what}: {lines} lines, split it")),
            Some((_, before)) if lines > before => wrong.push(format!("{what}: {lines} lines, was {before}")),
            Some((_, before)) if lines < before => {
                wrong.push(format!("{what}: now {lines} lines, lower its entry"))
            }
            Some(_) => {}
        }
    }
    let idle = listed.iter().filter(|(name, _)| !long.contains_key(*name));
    wrong.extend(idle.map(|(name, _)| format!("{name}: short enough now, remove its entry")));
    none(&wrong, &format!("the ratchet {list} only shrinks"));
}

fn manifest(path: &str) -> Table {
    read(path).parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn keys(manifest: &Table, section: &str) -> BTreeSet<String> {
    let section = manifest.get(section).and_then(|section| section.as_table());
    section.into_iter().flat_map(|table| table.keys().cloned()).collect()
}

/// The text ahead of the first inline test module.
fn without_tests(text: &str) -> &str {
    let mut from = 0;
    while let Some(at) = text[from..].find("#[cfg(test)]").map(|at| from + at) {
        from = at + "#[cfg(test)]".len();
        let rest = text[from..].trim_start();
        if rest.starts_with("mod ") && rest.lines().next().is_some_and(|line| line.ends_with('{')) {
            return &text[..at];
        }
    }
    text
}

/// The text with comments, strings and character literals blanked; line ends stay.
fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = at + foreign_len(&text[at..], at > 0 && is_word(bytes[at - 1]));
        if end > at {
            out.extend(text[at..end].chars().filter(|c| *c == '\n'));
            out.push(' ');
            at = end;
        } else {
            out.push(if bytes[at].is_ascii() { bytes[at] as char } else { '_' });
            at += 1;
        }
    }
    out
}

/// Length of the comment or literal at the start of `text`; 0 if there is none.
fn foreign_len(text: &str, in_word: bool) -> usize {
    let until =
        |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    let bytes = text.as_bytes();
    match bytes[0] {
        b'/' if text.starts_with("//") => text.find('\n').unwrap_or(text.len()),
        b'/' if text.starts_with("/*") => until(2, "*/"),
        b'r' if !in_word => {
            let marks = bytes[1..].iter().take_while(|byte| **byte == b'#').count();
            let is_raw = bytes.get(1 + marks) == Some(&b'"');
            if is_raw { until(marks + 2, &format!("\"{}", "#".repeat(marks))) } else { 0 }
        }
        b'"' => quoted_len(bytes, b'"'),
        b'\'' => {
            let mut chars = text[1..].chars();
            let (first, second) = (chars.next(), chars.next());
            let is_char = first == Some('\\') || second == Some('\'');
            if is_char { quoted_len(bytes, b'\'') } else { 0 } // else a lifetime
        }
        _ => 0,
    }
}

fn quoted_len(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Name and length of every function with a body, in lines from its `fn` to its closing brace.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        if start > 0 && is_word(code.as_bytes()[start - 1]) {
            continue;
        }
        let name: String =
            code[start + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if let Some(body) = body(&code[start..]).filter(|_| !name.is_empty()) {
            found.push((name, body.lines().count()));
        }
    }
    found
}

/// A function's text up to the brace that closes it; `None` if it has no body.
fn body(code: &str) -> Option<&str> {
    let (mut depth, mut brackets) = (0_usize, 0_usize);
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'[' | b'(' => brackets += 1,
            b']' | b')' => brackets = brackets.saturating_sub(1),
            b';' if depth == 0 && brackets == 0 => return None,
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(&code[..=at]);
                }
            }
            _ => {}
        }
    }
    None
}

/// The targets of all links in a Markdown text.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

/// Whether a line names an absolute path on somebody's machine, and not, say, the path of an address.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        at == 0 || !line.as_bytes()[at - 1].is_ascii_alphanumeric() && line.as_bytes()[at - 1] != b'.'
    })
}

#[test]
fn no_manifest_turns_planted_defects_on() {
    for house in HOUSE {
        let manifest = manifest(house.manifest);
        let features = manifest.get("features").and_then(|features| features.as_table());
        let on = features.and_then(|features| features.get("default")).map(ToString::to_string);
        assert!(!on.unwrap_or_default().contains("mutants"), "{}: a default feature", house.manifest);
        for key in ["dependencies", "dev-dependencies"] {
            let listed = manifest.get(key).map(ToString::to_string).unwrap_or_default();
            assert!(!listed.contains("mutants"), "{}: [{key}]", house.manifest);
        }
    }
}

#[test]
fn the_scanner_of_this_test_sees_functions_and_nothing_else() {
    let code = code_only(
        "fn a<'x>(s: &'x str) -> char {\n // fn b() {\n let _ = \"}\"; '{'\n}\nfn c();\ntype F = fn(u8);\n",
    );
    assert_eq!(functions(&code), [("a".to_owned(), 4)]);
    assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests;\nb"), "a\n#[cfg(test)]\nmod tests;\nb");
    assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\n}"), "a\n");
    assert_eq!(code_only("r#\"fn x() { \" }\"# r"), "  r");
}
