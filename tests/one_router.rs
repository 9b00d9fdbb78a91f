//! Where routing is decided: in `router`, and nowhere else; and that the facades with the old names, the table of the
//! scanner and the tree say the same.
//!
//! What these tests prove, by reading every source with a parser:
//! - Types and functions named as the replaced ones are defined in `router::compat` and `simulator::legacy` only.
//! - Nothing outside `router` and the models makes an [`Effect`](router::Effect) that sends, closes or starts something,
//!   so nothing else can put a frame on a connection. The programs that carry effects out are listed.
//! - The host programs (`router-server`, the virtual world, the binary) do not name a message's kind, neither as
//!   [`Kind`](router::Kind) nor as a text that a client could send as a type. So they cannot branch on it.
//! - A facade does not reach into the router: it uses what any host may use.
//!
//! What they do not prove: that a program which carries effects out does so in order and on the connection named. The
//! checkers see that, over virtual and real sockets. Nor that a text which is made at run time is no type's name.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::{Node, Parser};

#[path = "../src/migrate/names.rs"]
#[expect(dead_code, reason = "the table is what this test needs")]
mod names;
mod tree;

/// Names from the scanner's table and the facades' notes, kept by the compiler: each of these exists. Of a method the
/// path is an expression, of a field an access, of everything else an import.
macro_rules! exists {
    (
        items: $($($item:ident)::+,)+;
        methods: $($method:expr,)+;
        fields: $($of:ty => $field:ident,)+
    ) => {
        mod items { $(#[allow(unused_imports)] use $($item)::+ as _;)+ }

        fn existing() -> BTreeSet<String> {
            $(let _ = $method;)+
            $(let _ = |value: &$of| { let _ = &value.$field; };)+
            let all = [
                $(stringify!($($item)::+).to_owned(),)+
                $(stringify!($method).to_owned(),)+
                $(concat!(stringify!($of), "::", stringify!($field)).to_owned(),)+
            ];
            all.into_iter().map(|path| path.split_whitespace().collect()).collect()
        }
    };
}

exists! {
    items:
        router::AgentEvent,
        router::Effect::Receipt,
        router::Handler,
        router::Input::Agent,
        router::Input::Connect,
        router::Input::Deliver,
        router::Input::Drain,
        router::Input::QualityNews,
        router::Input::SweepIdle,
        router::Input::Text,
        router::Input::Tool,
        router::Input::Unregister,
        router::QualityNews::Alert,
        router::QualityNews::Update,
        router::Receipt,
        router::Router,
        router::Target::Connection,
        router::Target::User,
        router::ToolStep::Call,
        router::ToolStep::Register,
        router::routes,
        router::routes::Envelope,
        router::routes::Purpose,
        router::run::Automaton,
        router::tools::Permissions,
        router::tools::Toolbox,
        router::tools::validate,
        router_server::Server,
    ;
    methods:
        router::Receipt::success_percent,
        router::Router::add_handler,
        router::Router::add_middleware,
        router::Router::add_route,
        router::Router::connections,
        router::Router::dispatch,
        router::Router::dispatch_figures,
        router::Router::dispatch_value,
        router::Router::dispatcher_of,
        router::Router::find_handler,
        router::Router::for_user,
        router::Router::handle,
        router::Router::handler_order,
        router::Router::handler_stats,
        router::Router::history,
        router::Router::insert_handler,
        router::Router::new,
        router::Router::pool,
        router::Router::readiness,
        router::Router::remove_handler,
        router::Router::run_state,
        router::Router::set_built_in,
        router::Router::start,
        router::Router::stats,
        router::Router::stop,
        router::Router::tools_of,
        router::Router::users_connected,
        router::ToolAnswer::to_json,
        router::UserHandle::connections,
        router::UserHandle::context,
        router::UserHandle::deliver,
        router::UserHandle::deliver_to,
        router::UserHandle::owns,
        router::UserHandle::user,
    ;
    fields:
        router::Receipt => delivered,
        router::Stats => deliveries,
}

/// What is public in the compatibility layer without being deprecated: it serves the facades and goes with the last.
const SERVICE: &[&str] = &["Awaited", "Lent", "Over", "Pending", "Uses"];
/// Methods of the facades that every one has, and that serve the way out.
const SERVING: &[&str] = &["compat_uses", "over"];

#[test]
fn what_stands_in_place_of_an_old_name_exists() {
    let existing = existing();
    let told = names::MODULES.iter().flat_map(|module| {
        let names = module.names.iter().map(|(_, canonical)| *canonical);
        names.chain([module.canonical])
    });
    let told: BTreeSet<String> =
        told.chain(names::FACADES.iter().map(|(_, canonical)| *canonical)).flat_map(paths).collect();
    let noted = facade_items().into_iter().flat_map(|item| paths(&item.note)).collect::<BTreeSet<_>>();
    let named: BTreeSet<String> = told.union(&noted).cloned().collect();
    let unknown: Vec<_> = named.difference(&existing).collect();
    assert!(unknown.is_empty(), "named, but not known to exist: {unknown:?}");
    let idle: Vec<_> = existing.difference(&named).collect();
    assert!(idle.is_empty(), "nobody names these any more: {idle:?}");
}

#[test]
fn the_table_of_facades_is_the_compatibility_layer() {
    let table: BTreeSet<String> = names::FACADES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let types = facade_items().into_iter().filter(|item| item.owner.is_empty()).map(|item| item.name);
    assert_eq!(table, types.collect());
}

#[test]
fn the_migration_guide_has_a_row_for_every_facade() {
    let guide = tree::read("docs/migration.md");
    let rows: Vec<Vec<String>> = tree::table_rows(&guide).collect();
    for item in facade_items().iter().filter(|item| item.owner.is_empty() && !SERVICE.contains(&&*item.name))
    {
        // The result of a facade's call stands in the text beside it.
        let there = rows.iter().any(|row| row.get(1) == Some(&item.name)) || item.name == "BroadcastResult";
        assert!(there && guide.contains(&item.name), "{} is not in docs/migration.md", item.name);
    }
}

#[test]
fn every_facade_is_deprecated_with_the_canonical_call_in_its_note() {
    let version: Vec<u64> = numbers(env!("CARGO_PKG_VERSION"));
    let mut wrong = Vec::new();
    for item in facade_items() {
        let serves = if item.owner.is_empty() {
            SERVICE.contains(&&*item.name)
        } else {
            SERVICE.contains(&&*item.owner)
        };
        let serves = serves || (!item.owner.is_empty() && SERVING.contains(&&*item.name));
        let name = format!("{} {}::{}", item.path, item.owner, item.name);
        if serves != item.since.is_empty() {
            wrong.push(format!("{name}: deprecated, or listed as serving the facades: one of the two"));
        }
        if !serves {
            if numbers(&item.since).len() != 3 || numbers(&item.since) > version {
                wrong.push(format!("{name}: since {:?}", item.since));
            }
            // The one thing that has no canonical counterpart.
            if paths(&item.note).is_empty() && item.name != "update_feature_flag" {
                wrong.push(format!("{name}: its note {:?} names no canonical path", item.note));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_public_method_of_a_facade_is_counted_under_its_name() {
    let makers = ["new", "success_rate", "is_successful"];
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for item in facade_items() {
        let counted = !item.owner.is_empty() && !SERVICE.contains(&&*item.owner);
        if counted && !makers.contains(&&*item.name) && !SERVING.contains(&&*item.name) {
            methods.entry(item.path).or_default().insert(item.name);
        }
    }
    for path in compat_files() {
        let text = tree::read(&path);
        let Some((_, list)) = text.split_once("const METHODS: &[&str] =") else { continue };
        let list = list.split_once("];").expect("an end").0;
        let listed: BTreeSet<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        let found = methods.remove(&path).unwrap_or_default();
        assert_eq!(listed, found, "{path}");
        for method in &listed {
            let counts =
                ["used(self, ", "uses.note(", "Self::made_by("].map(|call| format!("{call}\"{method}\""));
            assert!(counts.iter().any(|call| text.contains(call)), "{path}: {method} is not counted");
        }
    }
    assert!(methods.is_empty(), "without a list of methods: {methods:?}");
}

#[test]
fn old_names_are_defined_among_the_facades_and_the_models_only() {
    let mut wrong = Vec::new();
    for path in tree::rust_files() {
        if !path.starts_with("router/src/compat") && !path.starts_with("simulator/src/legacy") {
            wrong.extend(old_names(&tree::read(&path)).into_iter().map(|found| format!("{path}:{found}")));
        }
    }
    assert!(wrong.is_empty(), "names of what is replaced, outside of the facades and the models: {wrong:#?}");
}

/// Where effects are read to be carried out, written down or counted.
const CARRIED_OUT: &[&str] = &[
    "benches/",
    "router/server/src/driver.rs",
    "simulator/src/cluster/",
    "simulator/src/conform/",
    "simulator/src/coverage/",
    "simulator/src/explore/",
    "simulator/src/legacy/",
    "simulator/src/sequence/",
    "simulator/src/service/",
    "simulator/src/trace/",
    "simulator/src/world/",
];

#[test]
#[expect(clippy::print_stdout, reason = "who is trusted, for whoever asks with --nocapture")]
fn only_the_router_and_the_models_make_effects() {
    let (mut made, mut read) = (Vec::new(), BTreeSet::new());
    for path in product_files().filter(|path| !path.starts_with("router/src/") || path.contains("/compat/")) {
        let effects = effects(&tree::read(&path));
        if !path.starts_with("simulator/src/legacy/") {
            made.extend(effects.made.into_iter().map(|line| format!("{path}:{line}")));
        }
        if effects.reads_recipients {
            read.insert(path);
        }
    }
    println!("who is written to is read in {read:#?}");
    assert!(made.is_empty(), "effects that no router made: {made:#?}");
    let others: Vec<_> =
        read.iter().filter(|path| !CARRIED_OUT.iter().any(|place| path.starts_with(place))).collect();
    assert!(others.is_empty(), "these look at who is written to; say here why they may: {others:?}");
}

/// Texts in host programs that are also the name of a type, and what they are there.
const OTHER_MEANINGS: &[(&str, &str, &str)] = &[
    ("router/server/src/handshake/request.rs", "resume", "a parameter of the URL"),
    ("router/server/src/handshake/request.rs", "thread", "a parameter of the URL"),
    ("router/server/src/metrics.rs", "confirmation", "a label of a counter"),
    ("router/server/src/metrics.rs", "heartbeat", "a label of a counter"),
    ("src/commands/gate.rs", "error", "a verdict's name"),
    ("src/sources.rs", "broadcast", "a unit of recorded cases"),
];

#[test]
#[expect(clippy::print_stdout, reason = "what is let through, for whoever asks with --nocapture")]
fn host_programs_name_no_kind_of_message() {
    let hosts = ["router/server/src/", "simulator/src/world/", "src/"];
    let (mut wrong, mut met) = (Vec::new(), BTreeSet::new());
    for path in product_files().filter(|path| hosts.iter().any(|host| path.starts_with(host))) {
        for (line, kind) in kinds(&tree::read(&path)) {
            match OTHER_MEANINGS.iter().find(|(file, name, _)| *file == path && *name == kind) {
                Some((file, name, _)) => drop(met.insert((*file, *name))),
                None => wrong.push(format!("{path}:{line}: {kind}")),
            }
        }
    }
    assert!(wrong.is_empty(), "kinds of messages are the router's: {wrong:#?}");
    let idle: Vec<_> =
        OTHER_MEANINGS.iter().filter(|(file, name, _)| !met.contains(&(*file, *name))).collect();
    assert!(idle.is_empty(), "no longer there: {idle:?}");
    println!("texts that are also a type's name: {OTHER_MEANINGS:#?}");
}

#[test]
fn a_program_that_decides_is_found() {
    let source = r#"
        use router::{Effect, Kind};
        use router::Effect as E;
        struct QualityMessageRouter;

        fn get_message_router() {}

        fn choose(kind: Kind, conns: &[ConnId], out: &mut Effects) {
            match kind {
                Kind::Broadcast => out.push(Effect::Send { conn: conns[0], frame }),
                _ => out.push(router::Effect::StartRun(request)),
            }
            if name == "user_message" {
                return;
            }
            if let Effect::Send { conn, .. } = effect {}
            report(AgentEvent::Data { kind: "agent_thinking", data: "chat" });
        }

        #[cfg(test)]
        mod tests {
            struct MessageRouter;
            fn f() { Effect::Drained; "ping"; }
        }
    "#;
    assert_eq!(old_names(source), ["4: QualityMessageRouter", "6: get_message_router"]);
    let effects = effects(source);
    assert_eq!((effects.made, effects.reads_recipients), (vec![3, 10, 11], true));
    let kinds = kinds(source);
    let lines: Vec<_> = kinds.iter().map(|(line, kind)| format!("{line} {kind}")).collect();
    assert_eq!(lines, ["2 Kind", "8 Kind", "10 Kind", "13 user_message", "17 chat"]);
}

#[test]
fn a_facade_uses_what_any_host_may_use() {
    // Fields of the router and doors of the core that are closed to hosts.
    let inner = [
        "audience", "desk", "flow", "handlers", "in_flow", "receipts", "runs", "share", "stats", "timers",
        "writer",
    ];
    for path in compat_files() {
        let text = tree::read(&path);
        each(&text, &mut |node| {
            if node.kind() == "field_expression" {
                let (of, field) = (node.child_by_field_name("value"), node.child_by_field_name("field"));
                let of = of.map_or("", |of| &text[of.byte_range()]);
                let field = field.map_or("", |field| &text[field.byte_range()]);
                let called = node.parent().is_some_and(|parent| parent.kind() == "call_expression");
                let reached = of.ends_with("router") && inner.contains(&field) && !called;
                assert!(!reached, "{path}: {} is the router's own", &text[node.byte_range()]);
                assert!(!(of.ends_with("out") && field == "push"), "{path}: effects are the router's");
            }
            let slice = &text[node.byte_range()];
            assert!(slice != "pub(crate)", "{path}: nothing of the facades is for the core");
        });
    }
}

/// Definitions with the name of something replaced: line and name.
fn old_names(text: &str) -> Vec<String> {
    const DEFINED: &[&str] =
        &["struct_item", "enum_item", "union_item", "trait_item", "type_item", "function_item"];
    let old: BTreeSet<&str> =
        names::MODULES.iter().flat_map(|module| module.names).map(|(name, _)| *name).collect();
    let mut found = Vec::new();
    each(text, &mut |node| {
        if let Some(name) = node.child_by_field_name("name").filter(|_| DEFINED.contains(&node.kind())) {
            let name = &text[name.byte_range()];
            if old.contains(name) && !names::COMMON.contains(&name) {
                found.push(format!("{}: {name}", line(node)));
            }
        }
    });
    found
}

/// What a source does with effects.
struct Effects {
    /// Lines at which one is made.
    made: Vec<usize>,
    /// It looks at whom a frame goes to.
    reads_recipients: bool,
}

fn effects(text: &str) -> Effects {
    let mut found = Effects { made: Vec::new(), reads_recipients: false };
    each(text, &mut |node| {
        let names_effect = |field| {
            node.child_by_field_name(field).is_some_and(|name| {
                text[name.byte_range()].trim_start_matches("router::").starts_with("Effect::")
            })
        };
        let makes = match node.kind() {
            "struct_expression" => names_effect("name"),
            "call_expression" => names_effect("function"),
            // Under another name it would not be found.
            "use_declaration" => {
                ["Effect::", "Effect as"].iter().any(|end| text[node.byte_range()].contains(end))
            }
            _ => false,
        };
        if makes {
            found.made.push(line(node));
        }
        let slice = text[node.byte_range()].trim_start_matches("router::");
        found.reads_recipients |= node.kind() == "struct_pattern" && slice.starts_with("Effect::Send");
    });
    found
}

/// Where a source names a kind of message: as `Kind`, if it is the router's, or as the text of a type. What an agent
/// reports is none.
fn kinds(text: &str) -> Vec<(usize, String)> {
    let spellings: BTreeSet<&str> = router::Kind::spellings().iter().map(|(name, _)| *name).collect();
    let mut imported = false;
    each(text, &mut |node| {
        let slice = &text[node.byte_range()];
        let words = || slice.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        imported |= node.kind() == "use_declaration"
            && slice.contains("router::")
            && words().any(|word| word == "Kind");
    });
    let mut found = Vec::new();
    each(text, &mut |node| {
        let slice = &text[node.byte_range()];
        let found_here = match node.kind() {
            "identifier" | "type_identifier" => imported && slice == "Kind",
            "scoped_identifier" | "scoped_type_identifier" => {
                ["router::Kind", "router::message::Kind"].contains(&slice)
            }
            "string_content" => spellings.contains(slice) && !reported(node, text),
            _ => false,
        };
        if found_here {
            found.push((line(node), slice.to_owned()));
        }
    });
    found
}

/// Whether a text is the type of an event that an agent reports: `AgentEvent::Data { kind: TEXT, … }`.
fn reported(node: Node<'_>, text: &str) -> bool {
    let field = node.parent().and_then(|literal| literal.parent());
    let field = field.filter(|field| text[field.byte_range()].starts_with("kind:"));
    let event = field.and_then(|field| field.parent()?.parent()?.child_by_field_name("name"));
    event.is_some_and(|name| text[name.byte_range()].ends_with("AgentEvent::Data"))
}

fn line(node: Node<'_>) -> usize {
    node.start_position().row + 1
}

/// A public type or function of the compatibility layer.
struct Item {
    path: String,
    /// The facade, for a method.
    owner: String,
    name: String,
    since: String,
    note: String,
}

fn facade_items() -> Vec<Item> {
    let mut items = Vec::new();
    for path in compat_files() {
        let text = tree::read(&path);
        each(&text, &mut |node| {
            let public = node.named_child(0).is_some_and(|first| &text[first.byte_range()] == "pub");
            if !public || !["struct_item", "enum_item", "function_item"].contains(&node.kind()) {
                return;
            }
            let name = node.child_by_field_name("name").map_or("", |name| &text[name.byte_range()]);
            let attributes = attributes(node, &text);
            items.push(Item {
                path: path.clone(),
                owner: owner(node, &text),
                name: name.to_owned(),
                since: quoted(&attributes, "since = "),
                note: quoted(&attributes, "note = "),
            });
        });
    }
    items
}

/// The facade that a method belongs to: `Over<'_, '_, F>` stands for `F`.
fn owner(node: Node<'_>, text: &str) -> String {
    let Some(block) = node.parent().and_then(|list| list.parent()).filter(|node| node.kind() == "impl_item")
    else {
        return String::new();
    };
    let of = block.child_by_field_name("type").map_or("", |of| &text[of.byte_range()]);
    let (outer, inner) = of.trim_end_matches('>').split_once('<').unwrap_or((of, ""));
    let last = inner.rsplit(',').next().unwrap_or_default().trim();
    if outer == "Over" && last.len() > 1 { last.to_owned() } else { outer.to_owned() }
}

fn attributes(node: Node<'_>, text: &str) -> String {
    let mut all = String::new();
    let mut before = node.prev_sibling();
    while let Some(node) =
        before.filter(|node| node.kind() == "attribute_item" || node.kind().ends_with("comment"))
    {
        if node.kind() == "attribute_item" {
            all.push_str(&text[node.byte_range()]);
        }
        before = node.prev_sibling();
    }
    all
}

fn quoted(attributes: &str, key: &str) -> String {
    let Some((_, rest)) = attributes.split_once("deprecated").and_then(|(_, rest)| rest.split_once(key))
    else {
        return String::new();
    };
    rest.split('"').nth(1).unwrap_or_default().to_owned()
}

/// Paths into the product's packages that a text names.
fn paths(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let ours = words.filter(|word| word.starts_with("router::") || word.starts_with("router_server::"));
    ours.map(|word| word.trim_end_matches(':').to_owned()).collect()
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').filter_map(|number| number.parse().ok()).collect()
}

fn compat_files() -> impl Iterator<Item = String> {
    tree::rust_files().into_iter().filter(|path| path.starts_with("router/src/compat/"))
}

/// Sources of the product: no test.
fn product_files() -> impl Iterator<Item = String> {
    tree::rust_files().into_iter().filter(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        !path.split('/').any(|part| part == "tests") && name != "tests.rs"
    })
}

/// Visits every node of a source, but for its test modules.
fn each(text: &str, visit: &mut dyn FnMut(Node<'_>)) {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_rust::LANGUAGE.into()).expect("the grammar fits the parser");
    let parsed = parser.parse(text, None).expect("a tree");
    below(parsed.root_node(), text, visit);
}

fn below(node: Node<'_>, text: &str, visit: &mut dyn FnMut(Node<'_>)) {
    if node.kind() == "mod_item" && attributes(node, text).contains("cfg(test)") {
        return;
    }
    visit(node);
    let mut cursor = node.walk();
    for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
        below(child, text, visit);
    }
}
