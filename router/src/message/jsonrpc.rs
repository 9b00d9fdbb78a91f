//! JSON-RPC 2.0 inside a frame: recognised by its members, whatever the frame's `type` says.

use super::{Envelope, Fields, Kind, Raw};

/// A JSON-RPC object, and what it is.
///
/// As a message it has the kind [`JsonRpc::kind`], the whole object as its payload, the router's clock as its
/// timestamp, and none of the envelope's ids: JSON-RPC has a correlation of its own.
#[derive(Clone, Copy, Debug)]
pub struct JsonRpc<'a> {
    /// [`Kind::JsonrpcRequest`], [`Kind::JsonrpcResponse`] or [`Kind::JsonrpcNotification`].
    pub kind: Kind,
    /// `method`, any JSON value; a well-behaved client sends a text.
    pub method: Option<Raw<'a>>,
    /// `id`, if it is there and not null: a request without it asks for no answer.
    pub id: Option<Raw<'a>>,
}

impl<'a> JsonRpc<'a> {
    /// The JSON-RPC message that an object is: `jsonrpc` is exactly the text `2.0`, and at least one of `method`,
    /// `result` and `error` is there, null included.
    pub fn recognise(fields: &Fields<'a>) -> Option<Self> {
        let version = fields.find("jsonrpc")?.text()?;
        let rpc = Self::read(fields);
        (version == "2.0" && rpc.kind != Kind::JsonrpcNotification).then_some(rpc)
    }

    /// Reads an object that says by its `type` that it is JSON-RPC; its version is not looked at.
    ///
    /// `method` makes a request, else `result` or `error` a response; with none of them it is a notification.
    pub fn read(fields: &Fields<'a>) -> Self {
        let method = fields.find("method");
        let kind = match method {
            Some(_) => Kind::JsonrpcRequest,
            None if fields.find("result").or_else(|| fields.find("error")).is_some() => Kind::JsonrpcResponse,
            None => Kind::JsonrpcNotification,
        };
        Self { kind, method, id: fields.find("id").filter(|id| !id.is_null()) }
    }
}

impl<'a> Envelope<'a> {
    /// The JSON-RPC message that the frame is, if it is one. Costs nothing for a frame without `jsonrpc`.
    pub fn json_rpc(&self) -> Option<JsonRpc<'a>> {
        self.jsonrpc.and_then(|_| JsonRpc::recognise(&self.top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::scan;

    #[test]
    fn members_decide_and_the_first_of_them_wins() {
        for (frame, kind) in [
            (r#"{"jsonrpc":"2.0","method":"m"}"#, Some(Kind::JsonrpcRequest)),
            (r#"{"jsonrpc":"2.0","method":null}"#, Some(Kind::JsonrpcRequest)),
            (r#"{"jsonrpc":"2.\u0030","method":"m","result":1}"#, Some(Kind::JsonrpcRequest)),
            (r#"{"type":"ping","jsonrpc":"2.0","result":null,"id":2}"#, Some(Kind::JsonrpcResponse)),
            (r#"{"jsonrpc":"2.0","error":{}}"#, Some(Kind::JsonrpcResponse)),
            (r#"{"jsonrpc":"2.0","id":1}"#, None),
            (r#"{"jsonrpc":"1.0","method":"m"}"#, None),
            (r#"{"jsonrpc":2.0,"method":"m"}"#, None),
            (r#"{"method":"m"}"#, None),
        ] {
            let envelope = scan(frame, b"ada", 64).expect("good");
            assert_eq!(envelope.json_rpc().map(|rpc| rpc.kind), kind, "{frame}");
        }
    }

    #[test]
    fn an_id_of_null_asks_for_no_answer() {
        for (frame, id) in [
            (r#"{"jsonrpc":"2.0","method":"m","id":7}"#, Some("7")),
            (r#"{"jsonrpc":"2.0","method":"m","id":"x"}"#, Some("\"x\"")),
            (r#"{"jsonrpc":"2.0","method":"m","id":null}"#, None),
            (r#"{"jsonrpc":"2.0","method":"m"}"#, None),
        ] {
            let envelope = scan(frame, b"ada", 64).expect("good");
            let rpc = envelope.json_rpc().expect("JSON-RPC");
            assert_eq!((rpc.id.map(Raw::json), rpc.method.map(Raw::json)), (id, Some("\"m\"")), "{frame}");
        }
    }

    #[test]
    fn an_object_that_calls_itself_json_rpc_is_read_without_a_version() {
        let read = |frame| JsonRpc::read(&scan(frame, b"ada", 64).expect("good").top).kind;
        assert_eq!(read(r#"{"jsonrpc":2,"method":"m"}"#), Kind::JsonrpcRequest);
        assert_eq!(read(r#"{"error":null}"#), Kind::JsonrpcResponse);
        assert_eq!(read("{}"), Kind::JsonrpcNotification);
    }
}
