//! What the source tree says of itself, read by a parser: declarations, imports, constructions. Each question answers
//! a list of what it found, so that it can be asked of the project and of a bad example.

use std::{collections::BTreeSet, sync::OnceLock};

use tree_sitter::{Node, Parser};

use crate::tree;

/// Places that may name types as the replaced routers did: the facades, the models, and what plays recordings.
const NAMES_OF_OLD: &[&str] = &["router/src/compat", "simulator/src/legacy", "simulator/src/conform"];

/// A parsed source file of the product: no test module, no test file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) declared: Vec<Declared>,
    /// Paths that `use` names, groups taken apart, with ` as NAME` if renamed.
    pub(crate) imports: Vec<String>,
    /// Types made by a literal, `Self` resolved.
    pub(crate) made: Vec<String>,
}

/// What is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A struct, enum, union, trait or alias.
    Type,
    Function,
    Static,
    /// `impl TRAIT for TYPE`; its name is the trait's.
    Implementation,
}

/// A declaration.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) what: What,
    pub(crate) name: String,
    pub(crate) public: bool,
    /// The type whose `impl` it stands in, or which is implemented for.
    pub(crate) owner: String,
    /// Attributes, fields of a struct, parameters and result of a function: everything but a body.
    pub(crate) head: String,
    /// What a function answers.
    pub(crate) result: String,
}

/// The product's sources, parsed once.
pub(crate) fn workspace() -> &'static [Source] {
    static PARSED: OnceLock<Vec<Source>> = OnceLock::new();
    PARSED.get_or_init(|| {
        let product = |path: &String| {
            (path.starts_with("src/") || path.contains("/src/")) && !path.ends_with("/tests.rs")
        };
        let paths = tree::rust_files().into_iter().filter(product);
        paths.map(|path| Source::parse(&path, &tree::read(&path))).collect()
    })
}

impl Source {
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_rust::LANGUAGE.into()).expect("the grammar fits the parser");
        let parsed = parser.parse(text, None).expect("a tree");
        let mut source = Self { path: path.to_owned(), text: text.to_owned(), ..Self::default() };
        source.visit(parsed.root_node(), "");
        source
    }

    /// Types, functions and the like, with the path of their file.
    fn all(&self, what: What) -> impl Iterator<Item = &Declared> {
        self.declared.iter().filter(move |declared| declared.what == what)
    }

    fn visit(&mut self, node: Node<'_>, owner: &str) {
        let mut attributes = String::new();
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
            if child.kind() == "attribute_item" {
                attributes += self.slice(child);
                continue;
            }
            if !child.kind().contains("comment") {
                let attributes = std::mem::take(&mut attributes);
                if !attributes.contains("cfg(test)") {
                    self.take(child, owner, attributes);
                }
            }
        }
    }

    fn take(&mut self, node: Node<'_>, owner: &str, attributes: String) {
        let field = |name: &str| node.child_by_field_name(name).map(|found| self.slice(found).to_owned());
        match node.kind() {
            "struct_item" | "enum_item" | "union_item" | "trait_item" | "type_item" => {
                let head = attributes + self.slice(node);
                self.declare(node, What::Type, owner, head);
            }
            "function_item" | "function_signature_item" => {
                let signature = [field("parameters"), field("return_type")].map(Option::unwrap_or_default);
                self.declare(node, What::Function, owner, attributes + &signature.join(" -> "));
            }
            "static_item" => self.declare(node, What::Static, owner, attributes + self.slice(node)),
            "macro_invocation" => {
                let name = field("macro").unwrap_or_default();
                if ["thread_local", "lazy_static"].iter().any(|of_old| name.ends_with(of_old)) {
                    self.declare(node, What::Static, owner, name);
                }
            }
            "impl_item" => {
                let of = field("type").unwrap_or_default();
                let of = of.split(['<', ' ']).next().unwrap_or_default().to_owned();
                if field("trait").is_some() {
                    self.declare(node, What::Implementation, &of, attributes);
                }
                return self.visit(node, &of);
            }
            "use_declaration" => {
                if let Some(argument) = node.child_by_field_name("argument") {
                    self.import(argument, "");
                }
                return;
            }
            "struct_expression" => {
                let name = field("name").unwrap_or_default();
                self.made.push(if name == "Self" { owner.to_owned() } else { name });
            }
            _ => {}
        }
        self.visit(node, owner);
    }

    fn declare(&mut self, node: Node<'_>, what: What, owner: &str, head: String) {
        let field = |name: &str| node.child_by_field_name(name).map(|found| self.slice(found).to_owned());
        let public = node.named_child(0).is_some_and(|first| self.slice(first) == "pub");
        self.declared.push(Declared {
            what,
            name: field("name").or_else(|| field("trait")).unwrap_or_default(),
            public,
            owner: owner.to_owned(),
            head,
            result: field("return_type").unwrap_or_default(),
        });
    }

    fn import(&mut self, node: Node<'_>, prefix: &str) {
        let joined =
            |text: &str| if prefix.is_empty() { text.to_owned() } else { format!("{prefix}::{text}") };
        match node.kind() {
            "scoped_use_list" => {
                let path = node.child_by_field_name("path").map(|path| joined(self.slice(path)));
                if let Some(list) = node.child_by_field_name("list") {
                    self.import(list, &path.unwrap_or_default());
                }
            }
            "use_list" => {
                let mut cursor = node.walk();
                for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
                    self.import(child, prefix);
                }
            }
            _ => {
                let path = joined(self.slice(node));
                self.imports.push(path);
            }
        }
    }

    fn slice(&self, node: Node<'_>) -> &str {
        &self.text[node.byte_range()]
    }
}

/// Types that are named as routers, dispatchers and the like are, other than `canonical` (path and name).
pub(crate) fn competing(sources: &[Source], ending: &str, canonical: &[(&str, &str)]) -> Vec<String> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut expected: BTreeSet<String> =
        canonical.iter().map(|(path, name)| format!("missing: {path} {name}")).collect();
    for source in sources.iter().filter(|source| !NAMES_OF_OLD.iter().any(|old| source.path.starts_with(old)))
    {
        for declared in source.all(What::Type).filter(|declared| declared.name.ends_with(ending)) {
            let place = format!("missing: {} {}", source.path, declared.name);
            if !expected.remove(&place) {
                found.insert(format!("{}: {}", source.path, declared.name));
            }
        }
    }
    found.into_iter().chain(expected).collect()
}

/// Functions that answer a value of that type, not a borrowed one, other than `canonical` (path and function).
pub(crate) fn factories(sources: &[Source], of: &str, canonical: &[(&str, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut missing: Vec<_> = canonical.to_vec();
    for source in sources {
        for function in source.all(What::Function) {
            let own = function.owner == of && has_word(&function.result, "Self");
            let named = has_word(&function.result, of);
            let borrowed = function.result.contains('&') || function.result.contains("Guard");
            if !(own || named) || borrowed {
                continue;
            }
            match missing.iter().position(|known| *known == (source.path.as_str(), function.name.as_str())) {
                Some(at) => _ = missing.remove(at),
                None => found.push(format!("{}: {} answers {}", source.path, function.name, function.result)),
            }
        }
        for made in source.all(What::Implementation).filter(|made| made.owner == of) {
            if ["Default", "Clone", "From", "TryFrom", "FromStr"].iter().any(|way| made.name.starts_with(way))
            {
                found.push(format!("{}: impl {} for {of}", source.path, made.name));
            }
        }
        for declared in source.all(What::Type).filter(|declared| declared.name == of) {
            let derived = declared.head.split("struct").next().unwrap_or_default();
            if has_word(derived, "Clone") || has_word(derived, "Default") {
                found.push(format!("{}: {of} derives a second way to be made", source.path));
            }
            if declared.head.contains("    pub ") {
                found.push(format!("{}: a field of {of} is public", source.path));
            }
        }
    }
    found.extend(missing.iter().map(|(path, name)| format!("missing: {path} {name}")));
    found
}

/// Where values of a type are made by a literal. The models of the old parts have the old names and are passed over.
pub(crate) fn makers(sources: &[Source], of: &str) -> Vec<String> {
    let each = |source: &Source| {
        let count = source.made.iter().filter(|made| made.rsplit("::").next() == Some(of)).count();
        std::iter::repeat_n(source.path.clone(), count).collect::<Vec<_>>()
    };
    // Where a copy is made of one that is there.
    let copies = ["router/src/router/fork.rs", "router/src/tools/digest.rs"];
    let ours =
        |source: &&Source| !NAMES_OF_OLD.iter().chain(&copies).any(|place| source.path.starts_with(place));
    sources.iter().filter(ours).flat_map(each).collect()
}

/// State that outlives its owner: statics and thread locals, other than those in `allowed` files.
pub(crate) fn globals(sources: &[Source], allowed: &[&str]) -> Vec<String> {
    let places = sources.iter().filter(|source| !allowed.contains(&source.path.as_str()));
    places
        .flat_map(|source| source.all(What::Static).map(|global| format!("{}: {}", source.path, global.head)))
        .collect()
}

/// Items of the product that are named as stand-ins are. The simulator may have some: it is one.
pub(crate) fn stand_ins(sources: &[Source]) -> Vec<String> {
    // Put together here, so that this file does not find itself.
    let words = [["mo", "ck"], ["fa", "ke"], ["st", "ub"], ["dum", "my"]].map(|word| word.concat());
    let named = |name: &str| words.iter().any(|word| name.to_lowercase().contains(word));
    let each = |source: &Source| {
        let declared = source.declared.iter().filter(|declared| named(&declared.name));
        declared.map(|declared| format!("{}: {}", source.path, declared.name)).collect::<Vec<_>>()
    };
    sources.iter().filter(|source| !source.path.starts_with("simulator/")).flat_map(each).collect()
}

/// The paths by which other packages than `home` import a name; aliases show.
pub(crate) fn import_paths(sources: &[Source], home: &str, name: &str) -> BTreeSet<String> {
    let outside = sources.iter().filter(|source| !source.path.starts_with(home));
    let imports = outside.flat_map(|source| &source.imports);
    let ends =
        |path: &&String| path.split(" as ").next().is_some_and(|path| path.rsplit("::").next() == Some(name));
    imports.filter(|path| path.starts_with("router::")).filter(ends).cloned().collect()
}

/// Whether a text has that word, as a whole.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// Fails with a list, if there is one.
pub(crate) fn nothing(found: &[String]) {
    assert!(found.is_empty(), "found:\n  {}", found.join("\n  "));
}

/// A bad example: everything that the questions above look for.
const BAD: &str = r#"
use router::router::Router as Main;
use router::{Router, run::{Automaton, Rule}};
static CURRENT: Mutex<Option<Router>> = Mutex::new(None);
thread_local!(static LAST: u8 = 1);
#[derive(Clone, Debug)]
pub struct Router {
    pub handlers: Vec<u8>,
}
pub struct QualityRouter;
struct MockManager;
impl Default for Router {
    fn default() -> Self { Self { handlers: Vec::new() } }
}
pub fn make_router() -> Result<Router, ()> { Ok(Router { handlers: Vec::new() }) }
pub fn see(router: &Router) -> &Router { router }
#[cfg(test)]
mod tests {
    struct TestRouter;
    static IN_A_TEST: u8 = 1;
}
"#;

#[test]
fn the_scanner_finds_each_seeded_violation_and_nothing_in_tests() {
    let bad = [Source::parse("x/src/bad.rs", BAD)];
    assert_eq!(competing(&bad, "Router", &[("x/src/bad.rs", "Router")]), ["x/src/bad.rs: QualityRouter"]);
    assert_eq!(competing(&[], "Router", &[("a.rs", "Router")]), ["missing: a.rs Router"]);
    let found = factories(&bad, "Router", &[("x/src/bad.rs", "make_router"), ("x/src/bad.rs", "new")]);
    let of = |what: &str| found.iter().filter(|line| line.contains(what)).count();
    assert_eq!((found.len(), of("default answers"), of("impl Default"), of("derives")), (5, 1, 1, 1));
    assert_eq!((of("public"), of("missing: x/src/bad.rs new")), (1, 1), "{found:?}");
    assert_eq!(makers(&bad, "Router").len(), 2);
    assert_eq!(globals(&bad, &[]).len(), 2);
    assert_eq!(stand_ins(&bad), ["x/src/bad.rs: MockManager"]);
    let paths: Vec<String> = import_paths(&bad, "router/", "Router").into_iter().collect();
    assert_eq!(paths, ["router::Router", "router::router::Router as Main"]);
    assert!(bad[0].imports.contains(&"router::run::Automaton".to_owned()), "{:?}", bad[0].imports);
}
