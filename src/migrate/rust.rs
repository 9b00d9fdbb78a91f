//! Rust: paths through the compatibility layer.

use std::collections::BTreeMap;

use tree_sitter::Node;

use super::{Hit, HitKind, names, text_of, walk};

/// The module that holds the facades with the old names.
const LAYER: &str = "compat";

pub(super) fn hits(root: Node<'_>, source: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    // Names that `use` brought into the file, and the facade behind each.
    let mut bound: BTreeMap<String, String> = BTreeMap::new();
    walk(root, &mut |node| {
        if node.kind() == "use_declaration" {
            if let Some(argument) = node.child_by_field_name("argument") {
                tree(argument, &mut Vec::new(), source, &mut bound, &mut hits);
            }
            return false;
        }
        true
    });
    walk(root, &mut |node| usage(node, source, &bound, &mut hits));
    hits
}

/// One branch of a `use` below `prefix`.
fn tree(
    node: Node<'_>,
    prefix: &mut Vec<String>,
    source: &str,
    bound: &mut BTreeMap<String, String>,
    hits: &mut Vec<Hit>,
) {
    let depth = prefix.len();
    match node.kind() {
        "scoped_use_list" => {
            if let Some(path) = node.child_by_field_name("path") {
                prefix.extend(segments(path, source));
            }
            if let Some(list) = node.child_by_field_name("list") {
                tree(list, prefix, source, bound, hits);
            }
        }
        "use_list" => {
            let mut cursor = node.walk();
            for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
                tree(child, prefix, source, bound, hits);
            }
        }
        "use_as_clause" => {
            if let (Some(path), Some(alias)) =
                (node.child_by_field_name("path"), node.child_by_field_name("alias"))
            {
                prefix.extend(segments(path, source));
                bind(node, prefix, Some(text_of(alias, source)), bound, hits);
            }
        }
        "use_wildcard" => {
            prefix.extend(segments(node, source));
            prefix.push("*".to_owned());
            bind(node, prefix, None, bound, hits);
        }
        "identifier" | "scoped_identifier" | "self" | "crate" | "super" => {
            prefix.extend(segments(node, source));
            bind(node, prefix, None, bound, hits);
        }
        _ => {}
    }
    prefix.truncate(depth);
}

fn bind(
    node: Node<'_>,
    path: &[String],
    alias: Option<&str>,
    bound: &mut BTreeMap<String, String>,
    hits: &mut Vec<Hit>,
) {
    let Some(facade) = facade(path) else { return };
    let (legacy, canonical) = (format!("{LAYER}::{facade}"), names::facade(&facade));
    hits.push(Hit::at(node, HitKind::Import, legacy, canonical));
    let name = alias.map(str::to_owned).or_else(|| path.last().cloned()).unwrap_or_default();
    bound.insert(if name == "self" { LAYER.to_owned() } else { name }, facade);
}

/// What a path names inside the layer; `None` when it does not lead through it.
fn facade(path: &[String]) -> Option<String> {
    let at = path.iter().position(|segment| segment == LAYER)?;
    Some(path.get(at + 1).map_or_else(|| "self".to_owned(), Clone::clone))
}

fn usage(node: Node<'_>, source: &str, bound: &BTreeMap<String, String>, hits: &mut Vec<Hit>) -> bool {
    match node.kind() {
        "use_declaration" => false,
        "scoped_identifier" | "scoped_type_identifier" => {
            let path = segments(node, source);
            let through_layer = path
                .first()
                .is_some_and(|first| bound.get(first).is_some_and(|f| f == "self"))
                .then(|| path.get(1).cloned())
                .flatten();
            if let Some(facade) = through_layer.or_else(|| facade(&path)) {
                hit(node, &facade, hits);
                return false;
            }
            true
        }
        "identifier" | "type_identifier" => {
            if let Some(facade) = bound.get(text_of(node, source)) {
                hit(node, facade, hits);
            }
            false
        }
        _ => true,
    }
}

fn hit(node: Node<'_>, facade: &str, hits: &mut Vec<Hit>) {
    hits.push(Hit::at(node, HitKind::Use, format!("{LAYER}::{facade}"), names::facade(facade)));
}

fn segments(node: Node<'_>, source: &str) -> Vec<String> {
    let text: String = text_of(node, source).split_whitespace().collect();
    text.split("::").filter(|part| !part.is_empty() && *part != "*").map(str::to_owned).collect()
}
