use super::*;

fn found(language: Language, path: &[&str], source: &str) -> Vec<String> {
    let scanned = scan(language, path, source).expect("parsed");
    scanned
        .hits
        .iter()
        .map(|hit| format!("{}:{} {:?} {}", hit.line, hit.column, hit.kind, hit.legacy))
        .collect()
}

fn python(source: &str) -> Vec<String> {
    found(Language::Python, &["app", "websocket_core", "utils.py"], source)
}

#[test]
fn every_form_of_a_python_import_is_found() {
    let table = [
        ("import app.websocket_core.handlers\n", "1:8 Import websocket_core.handlers"),
        ("import os, app.core.message_router as mr\n", "1:12 Import core.message_router"),
        (
            "from app.websocket_core.handlers import MessageRouter\n",
            "1:41 Import websocket_core.handlers.MessageRouter",
        ),
        ("from app.websocket_core import handlers\n", "1:32 Import websocket_core.handlers"),
        (
            "from app.agents.message_router import (\n    MessageRouter as R,\n)\n",
            "2:5 Import agents.message_router.MessageRouter",
        ),
        ("from app.websocket_core.handlers import *\n", "1:41 Import websocket_core.handlers.*"),
        ("from .handlers import MessageRouter\n", "1:23 Import websocket_core.handlers.MessageRouter"),
        ("from . import handlers\n", "1:15 Import websocket_core.handlers"),
        (
            "from ..services.websocket_event_router import broadcast_to_user\n",
            "1:47 Import services.websocket_event_router.broadcast_to_user",
        ),
        (
            "try:\n    from app.tools.tool_dispatcher import X\nexcept ImportError:\n    X = None\n",
            "2:43 Import tools.tool_dispatcher.X",
        ),
        (
            "def f():\n    from app.core.message_router import Message\n",
            "2:41 Import core.message_router.Message",
        ),
        (
            "x = importlib.import_module(\"app.websocket_core.handlers\")\n",
            "1:29 Import websocket_core.handlers",
        ),
        ("m = __import__('app.core.message_router')\n", "1:16 Import core.message_router"),
        (
            "from app.websocket_core.handlers \\\n    import MessageRouter\n",
            "2:12 Import websocket_core.handlers.MessageRouter",
        ),
    ];
    for (source, expected) in table {
        assert_eq!(python(source).first().map(String::as_str), Some(expected), "{source}");
    }
}

#[test]
fn uses_are_found_under_their_names_of_the_file() {
    let source = "import app.websocket_core.handlers\nfrom app.core import message_router as mr\n\
                  from app.websocket_core.handlers import MessageRouter as R\n\
                  a = R()\nb = mr.MessageRouter()\nc = app.websocket_core.handlers.get_message_router()\n";
    let uses: Vec<String> = python(source).into_iter().filter(|hit| hit.contains("Use")).collect();
    assert_eq!(
        uses,
        [
            "4:5 Use websocket_core.handlers.MessageRouter",
            "5:5 Use core.message_router.MessageRouter",
            "6:5 Use websocket_core.handlers.get_message_router",
        ]
    );
}

#[test]
fn what_only_looks_like_a_use_is_none() {
    let sources = [
        "# from app.websocket_core.handlers import MessageRouter\n",
        "\"\"\"from app.websocket_core.handlers import MessageRouter\"\"\"\n",
        "text = 'import app.core.message_router'\n",
        "from app.web.handlers import MessageRouter\nr = MessageRouter()\n",
        "from mycore.message_router_v2 import MessageRouter\n",
        "class MessageRouter:\n    pass\nr = MessageRouter()\n",
        "call(MessageRouter=1)\nx.MessageRouter\n",
        "from app.notcore.message_router import MessageRouter\n",
    ];
    for source in sources {
        assert_eq!(python(source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn rust_paths_through_the_compatibility_layer_are_found() {
    let source = "use router::compat::{MessageRouter, WebSocketBroadcastService as Service};\n\
                  use router::compat;\n\
                  fn f() { let _ = MessageRouter::new(); let _: Service; compat::QualityMessageRouter::new(); }\n\
                  fn g() { router::compat::MessageRouter::new(); }\n\
                  // router::compat::MessageRouter\n\
                  const TEXT: &str = \"router::compat::MessageRouter\";\n\
                  fn h() { other::Router::new(); }\n";
    let hits = found(Language::Rust, &["lib.rs"], source);
    let names: Vec<&str> = hits.iter().map(|hit| hit.rsplit(' ').next().unwrap_or_default()).collect();
    assert_eq!(
        names,
        [
            "compat::MessageRouter",
            "compat::WebSocketBroadcastService",
            "compat::self",
            "compat::MessageRouter",
            "compat::WebSocketBroadcastService",
            "compat::QualityMessageRouter",
            "compat::MessageRouter",
        ]
    );
}

#[test]
fn whatever_is_cut_off_is_scanned() {
    let python = "from . import (handlers as h)\n@patch('a.core.message_router.M')\ndef f(a: \"h.X\", *b, c=h) -> h.Y:\n    \
                  return load(\"..x\", package=\"a.b\"), lambda h, *i: h.z\n";
    let rust = "use router::{compat::{self as old, *}, Router as R};\nfn f(x: old::Uses) { m!(router::compat::Lent, [x]) }\n";
    for (language, source) in [(Language::Python, python), (Language::Rust, rust)] {
        for end in 0..=source.len() {
            scan(language, &["a", "websocket_core", "x"], &source[..end]).expect("read");
            scan(language, &[], &source[end..]).expect("read");
        }
    }
}
