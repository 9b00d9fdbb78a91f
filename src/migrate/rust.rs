//! Rust: paths through the compatibility layer.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use super::{Hit, HitKind, names, text_of, walk};

/// The package with the compatibility layer, and the module that it is.
const PACKAGE: &str = "router";
const LAYER: &str = "compat";
/// Stands for the layer itself among the names in it.
const WHOLE: &str = "self";

struct File<'s> {
    source: &'s str,
    /// Names of the package in this file.
    packages: BTreeSet<String>,
    /// Names that `use` brought into the file, and what of the layer is behind each.
    bound: BTreeMap<String, String>,
    /// Everything in the layer was imported.
    star: bool,
    hits: Vec<Hit>,
}

pub(super) fn hits(root: Node<'_>, source: &str) -> Vec<Hit> {
    let packages = BTreeSet::from([PACKAGE.to_owned()]);
    let mut file = File { source, packages, bound: BTreeMap::new(), star: false, hits: Vec::new() };
    // Another name of the package may stand below its use.
    walk(root, &mut |node| file.rename(node));
    walk(root, &mut |node| file.import(node));
    walk(root, &mut |node| file.usage(node));
    file.hits
}

impl File<'_> {
    /// `use router as x`, `extern crate router as x`.
    fn rename(&mut self, node: Node<'_>) -> bool {
        let named = match node.kind() {
            "use_as_clause" => node.child_by_field_name("path"),
            "extern_crate_declaration" => node.child_by_field_name("name"),
            _ => return true,
        };
        if let (Some(named), Some(alias)) = (named, node.child_by_field_name("alias"))
            && text_of(named, self.source).trim_start_matches("::") == PACKAGE
        {
            self.packages.insert(text_of(alias, self.source).to_owned());
        }
        false
    }

    fn import(&mut self, node: Node<'_>) -> bool {
        if node.kind() != "use_declaration" {
            return true;
        }
        if let Some(argument) = node.child_by_field_name("argument") {
            self.tree(argument, &mut Vec::new());
        }
        false
    }

    /// One branch of a `use` below `prefix`.
    fn tree(&mut self, node: Node<'_>, prefix: &mut Vec<String>) {
        let depth = prefix.len();
        match node.kind() {
            "scoped_use_list" => {
                if let Some(path) = node.child_by_field_name("path") {
                    prefix.extend(self.segments(path));
                }
                if let Some(list) = node.child_by_field_name("list") {
                    self.tree(list, prefix);
                }
            }
            "use_list" => {
                let mut cursor = node.walk();
                for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
                    self.tree(child, prefix);
                }
            }
            "use_as_clause" => {
                if let (Some(path), Some(alias)) =
                    (node.child_by_field_name("path"), node.child_by_field_name("alias"))
                {
                    prefix.extend(self.segments(path));
                    self.bind(node, prefix, Some(text_of(alias, self.source)));
                }
            }
            "use_wildcard" => {
                prefix.extend(self.segments(node));
                prefix.push("*".to_owned());
                self.bind(node, prefix, None);
            }
            "identifier" | "scoped_identifier" | "self" | "crate" | "super" => {
                prefix.extend(self.segments(node));
                self.bind(node, prefix, None);
            }
            _ => {}
        }
        prefix.truncate(depth);
    }

    fn bind(&mut self, node: Node<'_>, path: &[String], alias: Option<&str>) {
        let Some(name) = self.in_layer(path) else { return };
        self.hit(node, HitKind::Import, &name);
        if name == "*" {
            self.star = true;
            return;
        }
        let local = alias.map(str::to_owned).or_else(|| path.last().cloned()).unwrap_or_default();
        self.bound.insert(if local == WHOLE { LAYER.to_owned() } else { local }, name);
    }

    /// What a path names inside the layer; `None` when it does not lead through it.
    fn in_layer(&self, path: &[String]) -> Option<String> {
        let first = path.first()?;
        let rest = match self.bound.get(first).map(String::as_str) {
            Some(WHOLE) => &path[1..],
            _ if self.packages.contains(first) && path.get(1).is_some_and(|second| second == LAYER) => {
                &path[2..]
            }
            _ => return None,
        };
        Some(rest.first().map_or_else(|| WHOLE.to_owned(), Clone::clone))
    }

    fn usage(&mut self, node: Node<'_>) -> bool {
        match node.kind() {
            "use_declaration" | "extern_crate_declaration" => false,
            "scoped_identifier" | "scoped_type_identifier" => {
                if let Some(name) = self.in_layer(&self.segments(node)) {
                    self.hit(node, HitKind::Use, &name);
                    return false;
                }
                true
            }
            "token_tree" => {
                self.tokens(node);
                true
            }
            "identifier" | "type_identifier" => {
                let text = text_of(node, self.source);
                let starred = (self.star && names::facade(text).is_some()).then(|| text.to_owned());
                if let Some(name) = self.bound.get(text).cloned().or(starred) {
                    self.hit(node, HitKind::Use, &name);
                }
                false
            }
            _ => true,
        }
    }

    /// Paths from the package inside a macro's arguments, where the parser sees loose tokens only.
    fn tokens(&mut self, node: Node<'_>) {
        let mut cursor = node.walk();
        let tokens: Vec<Node<'_>> = node.children(&mut cursor).collect();
        for path in tokens.windows(5) {
            let texts: Vec<&str> = path.iter().map(|token| text_of(*token, self.source)).collect();
            if let [package, "::", LAYER, "::", name] = texts[..]
                && self.packages.contains(package)
            {
                self.hit(path[0], HitKind::Use, name);
            }
        }
    }

    fn hit(&mut self, node: Node<'_>, kind: HitKind, name: &str) {
        let canonical = names::facade(name).unwrap_or("router::Router");
        self.hits.push(Hit::at(node, kind, format!("{LAYER}::{name}"), canonical));
    }

    fn segments(&self, node: Node<'_>) -> Vec<String> {
        let text: String = text_of(node, self.source).split_whitespace().collect();
        text.split("::").filter(|part| !part.is_empty() && *part != "*").map(str::to_owned).collect()
    }
}
