//! Python: every form of import, and what is done with what it brought.

use std::collections::BTreeMap;

use tree_sitter::Node;

use super::{Hit, HitKind, names, names::Module, text_of, walk};

/// What a name of this file stands for.
enum Bound {
    /// A replaced module.
    Module(&'static Module),
    /// A name of a replaced module.
    Name(&'static Module, String),
}

struct File<'s> {
    source: &'s str,
    /// Package that the file is in, outermost first.
    package: Vec<String>,
    bound: BTreeMap<String, Bound>,
    /// Modules whose names were all imported.
    stars: Vec<&'static Module>,
    hits: Vec<Hit>,
}

pub(super) fn hits(root: Node<'_>, path: &[&str], source: &str) -> Vec<Hit> {
    let package = path.iter().take(path.len().saturating_sub(1)).map(ToString::to_string).collect();
    let mut file = File { source, package, bound: BTreeMap::new(), stars: Vec::new(), hits: Vec::new() };
    // An import may stand below its use, in a function, say: all of them first.
    walk(root, &mut |node| file.import(node));
    walk(root, &mut |node| file.usage(node));
    file.hits
}

impl File<'_> {
    fn import(&mut self, node: Node<'_>) -> bool {
        match node.kind() {
            "import_statement" => {
                for (target, path, alias) in self.targets(node) {
                    if let Some(module) = names::module(&path) {
                        // Without an alias the name that is bound is the outermost package: uses spell the path.
                        let name = alias.unwrap_or(path);
                        self.bind(name, target, Bound::Module(module));
                    }
                }
                false
            }
            "import_from_statement" => {
                self.import_from(node);
                false
            }
            "call" => {
                self.dynamic(node);
                true
            }
            _ => true,
        }
    }

    fn import_from(&mut self, node: Node<'_>) {
        let Some(from) = node.child_by_field_name("module_name") else { return };
        let from = self.resolve(from);
        let whole = names::module(&from);
        let mut cursor = node.walk();
        let star = node.children(&mut cursor).find(|child| child.kind() == "wildcard_import");
        if let (Some(star), Some(module)) = (star, whole) {
            self.stars.push(module);
            let legacy = format!("{}.*", module.path);
            self.hits.push(Hit::at(star, HitKind::Import, legacy, module.canonical));
        }
        for (target, name, alias) in self.targets(node) {
            let bound = alias.unwrap_or_else(|| name.clone());
            if let Some(module) = whole {
                self.bind(bound, target, Bound::Name(module, name));
            } else if let Some(module) = names::module(&format!("{from}.{name}")) {
                self.bind(bound, target, Bound::Module(module));
            }
        }
    }

    /// The names of an import: where, what, under which other name.
    fn targets<'t>(&self, node: Node<'t>) -> Vec<(Node<'t>, String, Option<String>)> {
        let mut cursor = node.walk();
        let names = node.children_by_field_name("name", &mut cursor).collect::<Vec<_>>();
        names
            .into_iter()
            .map(|name| {
                let field =
                    |field| name.child_by_field_name(field).map(|node| text_of(node, self.source).to_owned());
                match name.kind() {
                    "aliased_import" => (name, field("name").unwrap_or_default(), field("alias")),
                    _ => (name, text_of(name, self.source).to_owned(), None),
                }
            })
            .collect()
    }

    /// The absolute path of a module that an import names.
    fn resolve(&self, module: Node<'_>) -> String {
        let text: String = text_of(module, self.source).split_whitespace().collect();
        let name = text.trim_start_matches('.');
        let dots = text.len() - name.len();
        if dots == 0 {
            return text;
        }
        let kept = (self.package.len() + 1).saturating_sub(dots);
        let mut path = self.package[..kept].to_vec();
        if !name.is_empty() {
            path.push(name.to_owned());
        }
        path.join(".")
    }

    fn bind(&mut self, name: String, at: Node<'_>, bound: Bound) {
        let (legacy, canonical) = told(&bound);
        self.hits.push(Hit::at(at, HitKind::Import, legacy, canonical));
        self.bound.insert(name, bound);
    }

    /// `importlib.import_module("…")`, `__import__("…")`.
    fn dynamic(&mut self, call: Node<'_>) {
        let Some(function) = call.child_by_field_name("function") else { return };
        let function = text_of(function, self.source);
        if !["importlib.import_module", "import_module", "__import__"].contains(&function) {
            return;
        }
        let first = call.child_by_field_name("arguments").and_then(|arguments| arguments.named_child(0));
        let Some(text) = first.filter(|first| first.kind() == "string") else { return };
        let path = text_of(text, self.source).trim_matches(['"', '\'']);
        if let Some(module) = names::module(path) {
            self.hits.push(Hit::at(text, HitKind::Import, module.path.to_owned(), module.canonical));
        }
    }

    fn usage(&mut self, node: Node<'_>) -> bool {
        match node.kind() {
            "import_statement" | "import_from_statement" => false,
            // Only the value of `name=value` can be a use.
            "keyword_argument" => {
                if let Some(value) = node.child_by_field_name("value") {
                    walk(value, &mut |node| self.usage(node));
                }
                false
            }
            "attribute" => self.attribute(node),
            "identifier" => {
                self.identifier(node);
                false
            }
            _ => true,
        }
    }

    /// `module.name`; answers whether what is below can still be a use.
    fn attribute(&mut self, node: Node<'_>) -> bool {
        let (Some(object), Some(name)) =
            (node.child_by_field_name("object"), node.child_by_field_name("attribute"))
        else {
            return true;
        };
        let name = text_of(name, self.source);
        if let Some(Bound::Module(module)) = self.bound.get(text_of(object, self.source)) {
            let (legacy, canonical) = told(&Bound::Name(module, name.to_owned()));
            self.hits.push(Hit::at(node, HitKind::Use, legacy, canonical));
            return false;
        }
        // The name after the dot is no name of this file.
        walk(object, &mut |node| self.usage(node));
        false
    }

    fn identifier(&mut self, node: Node<'_>) {
        let name = text_of(node, self.source);
        if let Some(bound) = self.bound.get(name) {
            let (legacy, canonical) = told(bound);
            self.hits.push(Hit::at(node, HitKind::Use, legacy, canonical));
        } else if let Some(module) = self.stars.iter().find(|module| module.has(name)) {
            let (legacy, canonical) = told(&Bound::Name(module, name.to_owned()));
            self.hits.push(Hit::at(node, HitKind::Use, legacy, canonical));
        }
    }
}

fn told(bound: &Bound) -> (String, &'static str) {
    match bound {
        Bound::Module(module) => (module.path.to_owned(), module.canonical),
        Bound::Name(module, name) => (format!("{}.{name}", module.path), module.canonical_of(name)),
    }
}
