//! `goldenpath migrate scan` from outside, on small trees that are written here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::Command;
use serde_json::{Value, json};

#[path = "../src/migrate/names.rs"]
#[expect(dead_code, reason = "the table is what this test needs")]
mod names;

/// A tree of sources below a folder of this test's own.
fn tree(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("migrate").join(name);
    let _ = fs::remove_dir_all(&root);
    for (path, source) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, source).expect("written");
    }
    root
}

fn scan(root: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("goldenpath").expect("built");
    let output = command.args(["migrate", "scan"]).arg(root).args(arguments).output().expect("run");
    let code = output.status.code().expect("an exit code");
    (code, String::from_utf8(output.stdout).expect("UTF-8"))
}

fn scanned(root: &Path) -> (i32, Value) {
    let (code, text) = scan(root, &["--json"]);
    (code, serde_json::from_str(&text).expect("JSON"))
}

/// `line:column kind name` of every hit in a file.
fn hits(scan: &Value, root: &Path, file: &str) -> Vec<String> {
    let key = root.join(file).display().to_string();
    let list = scan["hits"][&key].as_array().cloned().unwrap_or_default();
    let told = |hit: &Value| {
        let text = |key: &str| hit[key].as_str().expect("a text").to_owned();
        format!("{}:{} {} {}", hit["line"], hit["column"], text("kind"), text("legacy"))
    };
    list.iter().map(told).collect()
}

/// One Python file with every form of import that there is for a module, as its source and what must be found of it.
fn forms(module: &str) -> (String, usize) {
    let path = format!("backend.app.{module}");
    let (parent, child) = path.rsplit_once('.').expect("a dotted path");
    let lines = [
        format!("import {path}"),
        format!("import os, {path} as aliased"),
        format!("from {path} import Something"),
        format!("from {path} import (\n    Something as Other,  # a comment\n)"),
        format!("from {path} import *"),
        format!("from {parent} import {child}"),
        format!("from {parent} import {child} as again"),
        format!("from {path} \\\n    import Something as Broken"),
        format!("try:\n    from {path} import Late\nexcept ImportError:\n    pass"),
        format!("def f():\n    from {path} import Inner"),
        format!("if TYPE_CHECKING:\n    from {path} import Typed"),
        format!("import importlib\nm = importlib.import_module(\"{path}\")"),
        format!("from importlib import import_module as load\nm = load('{path}')"),
        format!("m = load(\".{child}\", package=\"{parent}\")"),
        format!("m = __import__(\"{path}\")"),
        format!("with mock.patch(\"{path}.Something.method\"):\n    pass"),
        format!("@patch('{path}.Something')\ndef test(a):\n    pass"),
        format!("monkeypatch.setattr(\"{path}.Something\", None)"),
    ];
    (lines.join("\n") + "\n", lines.len())
}

#[test]
fn every_replaced_module_is_found_in_every_form_of_import() {
    let mut files = Vec::new();
    for module in names::MODULES {
        let (source, count) = forms(module.path);
        // From its own package, and from one beside it.
        let folders: Vec<&str> = module.path.split('.').collect();
        let (child, package) = folders.split_last().expect("a module");
        let own = format!("backend/app/{}/neighbour.py", package.join("/"));
        let relative = format!(
            "from .{child} import Something\nfrom . import {child}\nfrom {}{} import {child} as up\n",
            ".".repeat(package.len() + 1),
            package.join(".")
        );
        let beside = format!("backend/app/{}/__init__.py", package.join("/"));
        files.push((format!("absolute/{}.py", module.path), source, count));
        files.push((own, relative, 3));
        files.push((beside, format!("from .{child} import Something as public\n"), 1));
    }
    for (path, source, count) in &files {
        let root = tree("forms", &[(path.as_str(), source)]);
        let (code, found) = scanned(&root);
        let hits = hits(&found, &root, path);
        let imports = hits.iter().filter(|hit| hit.contains(" import ")).count();
        let patches = hits.iter().filter(|hit| hit.contains(" use ")).count();
        assert_eq!((code, imports + patches), (6, *count), "{path}:\n{source}\n{hits:#?}");
    }
}

const LIVE: &str = "\
import backend.app
import backend.app.core.message_router as core
from typing import TYPE_CHECKING, Literal, Optional, cast

from backend.app.websocket_core import handlers, MessageRouter
from backend.app.services.websocket_event_router import (
    WebSocketEventRouter,
    get_websocket_router as find,
)

if TYPE_CHECKING:
    from backend.app.services.websocket_broadcast_service import WebSocketBroadcastService


class Owner(MessageRouter):
    service: \"Optional[WebSocketBroadcastService]\" = None
    kind: Literal[\"MessageRouter\"] = \"MessageRouter\"

    def __init__(self, events: WebSocketEventRouter = find()):
        self.router = handlers.MessageRouter()
        self.core = core.MessageRouter()
        self.whole = backend.app.websocket_core.handlers.get_message_router()

    def take(self, MessageRouter) -> \"WebSocketEventRouter\":
        return cast(\"MessageRouter\", MessageRouter)
";

const QUIET: &str = "\
# from backend.app.websocket_core.handlers import MessageRouter
\"\"\"MessageRouter: from backend.app.core.message_router import MessageRouter\"\"\"
import backend.app.web.handlers as handlers
from backend.app.web.handlers import MessageRouter as Other
from mycore.message_router_v2 import Message
from email.core import Message as Mail

TEXT = 'import backend.app.core.message_router'
LINES = f\"from backend.app.websocket_core.handlers import {TEXT}\"


class MessageRouter:
    \"\"\"Its own; see backend.app.websocket_core.handlers.MessageRouter.\"\"\"

    def get_message_router(self, MessageRouter=None):
        return requests.patch(\"backend/app/websocket_core/handlers\")


def f(handlers, message_router):
    handlers.MessageRouter()
    return message_router(MessageRouter=1), x.MessageRouter, [\"MessageRouter\"]
";

#[test]
fn uses_are_found_where_they_are_and_nothing_else_is() {
    let root = tree("uses", &[("live.py", LIVE), ("quiet.py", QUIET), ("stub.pyi", "import os\n")]);
    let (code, found) = scanned(&root);
    assert_eq!(code, 6);
    assert_eq!(
        hits(&found, &root, "live.py"),
        [
            "2:8 import core.message_router",
            "5:40 import websocket_core.handlers",
            "5:50 import websocket_core.handlers.MessageRouter",
            "7:5 import services.websocket_event_router.WebSocketEventRouter",
            "8:5 import services.websocket_event_router.get_websocket_router",
            "12:66 import services.websocket_broadcast_service.WebSocketBroadcastService",
            "15:13 use websocket_core.handlers.MessageRouter",
            "16:14 use services.websocket_broadcast_service.WebSocketBroadcastService",
            "19:32 use services.websocket_event_router.WebSocketEventRouter",
            "19:55 use services.websocket_event_router.get_websocket_router",
            "20:23 use websocket_core.handlers.MessageRouter",
            "21:21 use core.message_router.MessageRouter",
            "22:22 use websocket_core.handlers.get_message_router",
            "24:38 use services.websocket_event_router.WebSocketEventRouter",
        ]
    );
    assert_eq!(hits(&found, &root, "quiet.py"), [""; 0]);
    assert_eq!(found["files"], 3);
    assert_eq!(found["files_with_hits"], 1);
    assert_eq!(found["counts"], json!({ (root.join("live.py").display().to_string()): 14 }));
    let percent = found["compliance_percent"].as_f64().expect("a number");
    assert!((percent - 200.0 / 3.0).abs() < 1e-9, "{percent}");
}

#[test]
fn the_json_has_its_schema_and_the_text_its_lines() {
    let source = "from app.core.message_router import Message\nm = Message()\n";
    let root = tree("schema", &[("a.py", source), ("b.py", "x = 1\n")]);
    let (_, found) = scanned(&root);
    let keys: Vec<&String> = found.as_object().expect("an object").keys().collect();
    let known = ["broken", "compliance_percent", "counts", "files", "files_with_hits", "hits", "schema"]
        .map(String::from);
    assert_eq!(keys, known.iter().collect::<Vec<_>>());
    assert_eq!(found["schema"], "goldenpath.migration/1");
    let file = root.join("a.py").display().to_string();
    assert_eq!(
        found["hits"][&file][1],
        json!({
            "line": 2, "column": 5, "kind": "use",
            "legacy": "core.message_router.Message", "canonical": "router::routes::Envelope",
        })
    );
    let (code, text) = scan(&root, &[]);
    assert_eq!(
        (code, text),
        (
            6,
            format!(
                "{file}:1:37: import of core.message_router.Message -> router::routes::Envelope\n\
                 {file}:2:5: use of core.message_router.Message -> router::routes::Envelope\n\n\
                 \x20    2  {file}\n\
                 1 of 2 files name something replaced: compliance 50.0 %\n"
            )
        )
    );
}

#[test]
fn the_exit_code_says_clean_too_many_or_unreadable() {
    let clean = tree("clean", &[("a.py", "import os\n"), ("b.rs", "use router::Router;\n"), ("c.txt", "x")]);
    let (code, found) = scanned(&clean);
    assert_eq!((code, &found["files"], &found["compliance_percent"]), (0, &json!(2), &json!(100.0)));
    let half = tree("half", &[("a.py", "import app.core.message_router\n"), ("b.py", "import os\n")]);
    for (arguments, code) in [
        (&[][..], 6),
        (&["--at-least", "50"], 0),
        (&["--at-least", "50.1"], 6),
        (&["--at-least", "0"], 0),
        (&["--at-least", "nan"], 2),
        (&["--at-least", "101"], 2),
    ] {
        assert_eq!(scan(&half, arguments).0, code, "{arguments:?}");
    }
    assert_eq!(scan(&half.join("a.py"), &[]).0, 6, "one file");
    assert_eq!(scan(&half.join("nowhere"), &[]).0, 2);
    assert_eq!(scan(&tree("empty", &[("notes.txt", "x")]), &[]).0, 2, "nothing was looked at");
}

#[test]
fn broken_and_foreign_sources_are_scanned_and_told() {
    let broken = "from app.core.message_router import Message\ndef f(:\n    pass\nm = Message()\n";
    let root = tree("broken", &[("a.py", broken), ("b.rs", "use router::compat::MessageRouter;\nfn f( {\n")]);
    fs::write(root.join("latin.py"), b"# caf\xe9\nimport app.core.message_router\n").expect("written");
    let (code, found) = scanned(&root);
    assert_eq!(code, 6);
    let at = |file: &str| found["broken"][root.join(file).display().to_string()].as_u64();
    assert_eq!((at("a.py"), at("latin.py")), (Some(2), None));
    assert!(at("b.rs").is_some());
    assert_eq!(
        hits(&found, &root, "a.py"),
        ["1:37 import core.message_router.Message", "4:5 use core.message_router.Message"]
    );
    assert_eq!(hits(&found, &root, "b.rs"), ["1:5 import compat::MessageRouter"]);
    assert_eq!(hits(&found, &root, "latin.py"), ["2:8 import core.message_router"]);
    assert!(scan(&root, &[]).1.contains("a.py:2: the parser does not understand"));
}

#[test]
fn a_source_as_deep_as_it_is_long_is_no_trouble() {
    let sum = format!("from app.core.message_router import Message\nx = 1{}\n", " + Message".repeat(50_000));
    let root = tree("deep", &[("a.py", &sum)]);
    let (code, found) = scanned(&root);
    assert_eq!((code, hits(&found, &root, "a.py").len()), (6, 50_001));
}

const RUST: &str = "\
use router as gp;
use router::compat::{self as old, MessageRouter, WebSocketBroadcastService as Service};
use gp::compat::*;

struct Host {
    router: MessageRouter,
    service: Service,
    events: WebSocketEventRouter,
}

fn f(host: &old::CoreRouter) -> gp::compat::Uses {
    // router::compat::MessageRouter
    let text = \"router::compat::MessageRouter\";
    println!(\"{}\", router::compat::MessageRouter::new());
    host.compat_uses().clone()
}
";

const RUST_QUIET: &str = "\
use tokio_util::compat::TokioAsyncReadCompatExt;
use router::{Router, compatible::MessageRouter as Other};

mod compat {
    pub struct MessageRouter;
}

fn f(_: compat::MessageRouter, _: WebSocketEventRouter, _: serde::compat::MessageRouter) {}
";

#[test]
fn rust_paths_through_the_facades_are_found_and_others_are_not() {
    let root = tree("rust", &[("src/lib.rs", RUST), ("src/quiet.rs", RUST_QUIET)]);
    let (code, found) = scanned(&root);
    assert_eq!(code, 6);
    assert_eq!(
        hits(&found, &root, "src/lib.rs"),
        [
            "2:22 import compat::self",
            "2:35 import compat::MessageRouter",
            "2:50 import compat::WebSocketBroadcastService",
            "3:5 import compat::*",
            "6:13 use compat::MessageRouter",
            "7:14 use compat::WebSocketBroadcastService",
            "8:13 use compat::WebSocketEventRouter",
            "11:13 use compat::CoreRouter",
            "11:33 use compat::Uses",
            "14:20 use compat::MessageRouter",
            "14:36 use compat::MessageRouter",
        ]
    );
    assert_eq!(hits(&found, &root, "src/quiet.rs"), [""; 0]);
}
