//! Finds uses of the names that this router replaces in source trees. Text in, hits out: no files here.

mod names;
mod python;
mod rust;

use serde::Serialize;
use tree_sitter::{Node, Parser, Tree};

/// A language whose sources are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Language {
    /// `.py`, `.pyi`.
    Python,
    /// `.rs`.
    Rust,
}

impl Language {
    /// The language of a file with that extension.
    pub(crate) fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "py" | "pyi" => Some(Language::Python),
            "rs" => Some(Language::Rust),
            _ => None,
        }
    }
}

/// What a hit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HitKind {
    /// An import, in whatever form.
    Import,
    /// A use of what an import brought.
    Use,
}

/// One place that names something replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Hit {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters of one byte, from 1.
    pub(crate) column: usize,
    /// Import or use.
    pub(crate) kind: HitKind,
    /// The name, with its module.
    pub(crate) legacy: String,
    /// What stands in its place.
    pub(crate) canonical: String,
}

impl Hit {
    fn at(node: Node<'_>, kind: HitKind, legacy: String, canonical: &str) -> Self {
        let start = node.start_position();
        Self { line: start.row + 1, column: start.column + 1, kind, legacy, canonical: canonical.to_owned() }
    }
}

/// What is in one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// The hits, in order.
    pub(crate) hits: Vec<Hit>,
    /// Where the first place begins that the parser does not understand: its line, from 1. In it something may have been
    /// missed.
    pub(crate) broken_at: Option<usize>,
}

/// Reads one source. `path` is the file's place in its tree: relative imports are read from it. `Err` when it cannot be
/// read at all; a syntax error somewhere hides nothing but itself.
pub(crate) fn scan(language: Language, path: &[&str], text: &str) -> Result<Scanned, String> {
    let grammar = match language {
        Language::Python => tree_sitter_python::LANGUAGE.into(),
        Language::Rust => tree_sitter_rust::LANGUAGE.into(),
    };
    let mut parser = Parser::new();
    parser.set_language(&grammar).map_err(|error| error.to_string())?;
    let tree: Tree = parser.parse(text, None).ok_or("the parser gave up")?;
    let mut hits = match language {
        Language::Python => python::hits(tree.root_node(), path, text),
        Language::Rust => rust::hits(tree.root_node(), text),
    };
    hits.sort_by_key(|hit| (hit.line, hit.column));
    hits.dedup();
    Ok(Scanned { hits, broken_at: first_error(tree.root_node()) })
}

/// The first error that has no other error in it.
fn first_error(root: Node<'_>) -> Option<usize> {
    if !root.has_error() {
        return None;
    }
    let mut node = root;
    loop {
        let mut cursor = node.walk();
        let inner = node.children(&mut cursor).find(Node::has_error);
        match inner {
            Some(inner) => node = inner,
            None => return Some(node.start_position().row + 1),
        }
    }
}

/// Calls `visit` for the node and every one below, parents first and in order; `false` leaves out what is below the node.
/// Not by recursion: a sum of many terms is as deep as it is long.
fn walk<'t>(node: Node<'t>, visit: &mut dyn FnMut(Node<'t>) -> bool) {
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        if visit(node) {
            let mut cursor = node.walk();
            let below = waiting.len();
            waiting.extend(node.named_children(&mut cursor));
            waiting[below..].reverse();
        }
    }
}

fn text_of<'s>(node: Node<'_>, source: &'s str) -> &'s str {
    &source[node.byte_range()]
}

#[cfg(test)]
mod tests;
