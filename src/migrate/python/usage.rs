//! What is done with imported names, and the texts that name a module or a type.

use tree_sitter::Node;

use super::{Bound, File, told};
use crate::migrate::{Hit, HitKind, names, text_of, walk};

/// Calls whose first argument is the path of a module.
const IMPORTERS: &[&str] =
    &["importlib.import_module", "importlib.util.find_spec", "__import__", "pytest.importorskip"];
/// Calls whose first argument is the path of something that is put aside for a test, by the end of their name.
const PATCHERS: &[&str] =
    &["patch", "patch.dict", "patch.multiple", "monkeypatch.setattr", "monkeypatch.delattr"];

impl File<'_> {
    /// Finds uses; answers whether what is below the node is still to be looked at.
    pub(super) fn usage(&mut self, node: Node<'_>) -> bool {
        match node.kind() {
            "import_statement" | "import_from_statement" => false,
            // Only the value of `name=value` can be a use.
            "keyword_argument" => {
                if let Some(value) = node.child_by_field_name("value") {
                    walk(value, &mut |node| self.usage(node));
                }
                false
            }
            "call" => {
                self.call(node);
                true
            }
            "function_definition" | "lambda" => {
                self.function(node);
                false
            }
            "class_definition" => {
                self.below(node, &["name"]);
                false
            }
            "type" => {
                self.annotation(node);
                true
            }
            "attribute" => self.attribute(node),
            "identifier" => {
                self.identifier(node);
                false
            }
            _ => true,
        }
    }

    /// Everything below a node but these fields of it.
    fn below(&mut self, node: Node<'_>, without: &[&str]) {
        let mut cursor = node.walk();
        let children: Vec<_> = node.named_children(&mut cursor).collect();
        let left_out: Vec<_> = without.iter().filter_map(|field| node.child_by_field_name(field)).collect();
        for child in children.into_iter().filter(|child| !left_out.contains(child)) {
            walk(child, &mut |node| self.usage(node));
        }
    }

    /// A function: within its body the names of its parameters are its own.
    fn function(&mut self, node: Node<'_>) {
        let before = self.hidden.len();
        let mut own = Vec::new();
        if let Some(parameters) = node.child_by_field_name("parameters") {
            let mut cursor = parameters.walk();
            for parameter in parameters.named_children(&mut cursor) {
                let name = match parameter.kind() {
                    "identifier" => Some(parameter),
                    "typed_parameter" | "list_splat_pattern" | "dictionary_splat_pattern" => {
                        parameter.named_child(0)
                    }
                    _ => parameter.child_by_field_name("name"),
                };
                own.extend(name.map(|name| text_of(name, self.source).to_owned()));
                // Defaults and annotations are looked up where the function stands.
                for field in ["value", "type"] {
                    if let Some(part) = parameter.child_by_field_name(field) {
                        walk(part, &mut |node| self.usage(node));
                    }
                }
            }
        }
        self.hidden.append(&mut own);
        self.below(node, &["name", "parameters", "return_type"]);
        self.hidden.truncate(before);
        if let Some(returned) = node.child_by_field_name("return_type") {
            walk(returned, &mut |node| self.usage(node));
        }
    }

    /// `module.name`; answers whether what is below can still be a use.
    fn attribute(&mut self, node: Node<'_>) -> bool {
        let (Some(object), Some(name)) =
            (node.child_by_field_name("object"), node.child_by_field_name("attribute"))
        else {
            return true;
        };
        let (object_text, name) = (text_of(object, self.source), text_of(name, self.source));
        let root = object_text.split('.').next().unwrap_or_default();
        let visible = !self.hidden.iter().any(|hidden| hidden == root);
        if let Some(Bound::Module(module)) = self.bound.get(object_text).filter(|_| visible) {
            let module = *module;
            self.hit(node, &Bound::Name(module, name.to_owned()));
        } else if let Some(bound) = self.way(node) {
            self.hit(node, &bound);
        } else {
            // The name after the dot is no name of this file.
            walk(object, &mut |node| self.usage(node));
        }
        false
    }

    /// A dotted path that begins at another import and leads to a replaced module, or to one name in it.
    fn way(&self, node: Node<'_>) -> Option<Bound> {
        let text = text_of(node, self.source);
        let (root, rest) = text.split_once('.')?;
        let begin = self.others.get(root).filter(|_| !self.hidden.iter().any(|name| name == root))?;
        let path = format!("{begin}.{rest}");
        let (module, rest) = names::longest(&path)?;
        match rest {
            None => Some(Bound::Module(module)),
            Some(name) if !name.contains('.') => Some(Bound::Name(module, name.to_owned())),
            // Something of what the module has: the node below is the use.
            Some(_) => None,
        }
    }

    fn identifier(&mut self, node: Node<'_>) {
        if let Some(bound) = self.named(text_of(node, self.source)) {
            self.hit(node, &bound);
        }
    }

    /// What a plain name stands for.
    fn named(&self, name: &str) -> Option<Bound> {
        if self.hidden.iter().any(|hidden| hidden == name) {
            return None;
        }
        match self.bound.get(name) {
            Some(Bound::Module(module)) => Some(Bound::Module(module)),
            Some(Bound::Name(module, name)) => Some(Bound::Name(module, name.clone())),
            None => {
                let module = self.stars.iter().find(|module| module.has(name))?;
                Some(Bound::Name(module, name.to_owned()))
            }
        }
    }

    /// A call that takes the path of a module, or of something in one, as a text.
    fn call(&mut self, call: Node<'_>) {
        let (Some(function), Some(arguments)) =
            (call.child_by_field_name("function"), call.child_by_field_name("arguments"))
        else {
            return;
        };
        let function = text_of(function, self.source);
        let Some(first) = arguments.named_child(0).filter(|first| first.kind() == "string") else { return };
        let Some(text) = plain(text_of(first, self.source)) else { return };
        let spelled = self.spelled(function);
        if IMPORTERS.contains(&spelled.as_str()) {
            let path = self.relative_to(text, arguments);
            if let Some(module) = names::module(&path) {
                self.hits.push(Hit::at(first, HitKind::Import, module.path.to_owned(), module.canonical));
            }
        } else if PATCHERS.iter().any(|name| function == *name || function.ends_with(&format!(".{name}"))) {
            if let Some((module, rest)) = names::longest(text) {
                let name = rest.and_then(|rest| rest.split('.').next());
                let bound = name.map_or(Bound::Module(module), |name| Bound::Name(module, name.to_owned()));
                self.hit(first, &bound);
            }
        } else if spelled == "typing.cast" {
            self.named_in(first, text);
        }
    }

    /// A function's name with the path behind the import that brought it.
    fn spelled(&self, function: &str) -> String {
        let (root, rest) = function.split_once('.').map_or((function, ""), |(root, rest)| (root, rest));
        match self.others.get(root) {
            Some(path) if rest.is_empty() => path.clone(),
            Some(path) => format!("{path}.{rest}"),
            None => function.to_owned(),
        }
    }

    /// The path that `import_module(text, package)` loads.
    fn relative_to(&self, text: &str, arguments: Node<'_>) -> String {
        if !text.starts_with('.') {
            return text.to_owned();
        }
        let second = arguments.named_child(1).map(|second| {
            if second.kind() == "keyword_argument" {
                second.child_by_field_name("value")
            } else {
                Some(second)
            }
        });
        match second.flatten().and_then(|package| plain(text_of(package, self.source))) {
            Some(package) => {
                let name = text.trim_start_matches('.');
                let up = text.len() - name.len() - 1;
                let mut parts: Vec<&str> = package.split('.').collect();
                parts.truncate(parts.len().saturating_sub(up));
                parts.push(name);
                parts.join(".")
            }
            None => self.resolve(text),
        }
    }

    /// Texts in an annotation are names, too, but for those of a `Literal`.
    fn annotation(&mut self, node: Node<'_>) {
        let of_literal = |node: Node<'_>| {
            ["generic_type", "subscript"].contains(&node.kind())
                && node.named_child(0).is_some_and(|of| text_of(of, self.source).ends_with("Literal"))
        };
        let parameter = node.parent().filter(|parent| parent.kind() == "type_parameter");
        if parameter.and_then(|parent| parent.parent()).is_some_and(of_literal) {
            return;
        }
        let mut texts = Vec::new();
        walk(node, &mut |below| {
            if below.kind() == "string" {
                texts.push(below);
            }
            // A type within a type is walked for itself.
            !of_literal(below) && (below == node || below.kind() != "type")
        });
        for text in texts {
            if let Some(inner) = plain(text_of(text, self.source)) {
                self.named_in(text, inner);
            }
        }
    }

    /// The names in a text that is an annotation; the hit is where the text stands.
    fn named_in(&mut self, node: Node<'_>, text: &str) {
        for path in text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')) {
            let found = match path.rsplit_once('.') {
                None => self.named(path),
                Some((object, name)) => match self.bound.get(object) {
                    Some(Bound::Module(module)) => Some(Bound::Name(module, name.to_owned())),
                    Some(Bound::Name(..)) | None => None,
                },
            };
            if let Some(bound) = found {
                self.hit(node, &bound);
            }
        }
    }

    fn hit(&mut self, node: Node<'_>, bound: &Bound) {
        let (legacy, canonical) = told(bound);
        self.hits.push(Hit::at(node, HitKind::Use, legacy, canonical));
    }
}

/// The content of a plain string literal.
fn plain(literal: &str) -> Option<&str> {
    ["\"\"\"", "'''", "\"", "'"].into_iter().find_map(|mark| literal.strip_prefix(mark)?.strip_suffix(mark))
}
