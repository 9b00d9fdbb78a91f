//! Python: every form of import, and what is done with what it brought.

mod usage;

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
    /// What is bound by a name, or by the dotted path that an import without alias leaves to be spelled.
    bound: BTreeMap<String, Bound>,
    /// Other names that an import bound, with the path that each stands for: a way to a replaced module may begin there.
    others: BTreeMap<String, String>,
    /// Modules whose names were all imported.
    stars: Vec<&'static Module>,
    /// Names that parameters hide while a function is walked.
    hidden: Vec<String>,
    hits: Vec<Hit>,
}

pub(super) fn hits(root: Node<'_>, path: &[&str], source: &str) -> Vec<Hit> {
    let package = path.iter().take(path.len().saturating_sub(1)).map(ToString::to_string).collect();
    let mut file = File {
        source,
        package,
        bound: BTreeMap::new(),
        others: BTreeMap::new(),
        stars: Vec::new(),
        hidden: Vec::new(),
        hits: Vec::new(),
    };
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
                    } else if let Some(alias) = alias {
                        self.others.insert(alias, path);
                    } else {
                        let outermost = path.split('.').next().unwrap_or_default().to_owned();
                        self.others.insert(outermost.clone(), outermost);
                    }
                }
                false
            }
            "import_from_statement" => {
                self.import_from(node);
                false
            }
            _ => true,
        }
    }

    fn import_from(&mut self, node: Node<'_>) {
        let Some(from) = node.child_by_field_name("module_name") else { return };
        let from = self.resolve(text_of(from, self.source));
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
            let path = format!("{from}.{name}");
            if let Some(module) = whole.or_else(|| names::handed_on(&from, &name)) {
                self.bind(bound, target, Bound::Name(module, name));
            } else if let Some(module) = names::module(&path) {
                self.bind(bound, target, Bound::Module(module));
            } else {
                self.others.insert(bound, path);
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
    fn resolve(&self, module: &str) -> String {
        let text: String = module.split_whitespace().collect();
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
}

fn told(bound: &Bound) -> (String, &'static str) {
    match bound {
        Bound::Module(module) => (module.path.to_owned(), module.canonical),
        Bound::Name(module, name) => (format!("{}.{name}", module.path), module.canonical_of(name)),
    }
}
