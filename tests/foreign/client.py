"""A client that shares no code with the server: the PyPI package `websockets` and the standard library.

    client.py ws://127.0.0.1:PORT/ws KEY_FILE

It signs its own tokens and then does what a browser would: log in, talk, get lost, come back. Ends with 0 and one
line per check, or with 1 and what it expected.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
from contextlib import contextmanager

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PATIENCE_S = 10
FIVE = {"agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"}


class Wrong(Exception):
    """The server did something else than the wire's page says."""


def expect(holds, text):
    if not holds:
        raise Wrong(text)


def token(user, key, life_s=300):
    """A JWT (RFC 7519) signed with HMAC-SHA-256, by hand."""

    def part(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = part(json.dumps({"sub": user, "exp": int(time.time()) + life_s}).encode())
    signature = part(hmac.new(key, head + b"." + body, hashlib.sha256).digest())
    return b".".join((head, body, signature)).decode()


def receive(socket):
    """The next frame that is not a heartbeat."""
    while True:
        try:
            frame = json.loads(socket.recv(timeout=PATIENCE_S))
        except TimeoutError:
            raise Wrong(f"no frame within {PATIENCE_S} s") from None
        expect(isinstance(frame, dict), f"a frame is an object, not {frame!r}")
        if frame.get("type") != "heartbeat":
            return frame


class Server:
    """Where the server is and how to get in."""

    def __init__(self, url, key):
        self.url, self.key = url, key

    @contextmanager
    def login(self, user, *, header=False, resume=None):
        """An open connection whose welcome was checked, and that welcome."""
        url = self.url if resume is None else f"{self.url}?resume={resume}"
        bearer = token(user, self.key)
        offer = f"jwt.{bearer}"
        options = (
            {"additional_headers": {"Authorization": f"Bearer {bearer}"}} if header else {"subprotocols": [offer]}
        )
        with connect(url, proxy=None, open_timeout=PATIENCE_S, close_timeout=PATIENCE_S, **options) as socket:
            if not header:
                expect(socket.subprotocol == offer, "the subprotocol comes back as offered")
            welcome = receive(socket)
            expect(welcome["type"] == "connection_established", f"the first frame is the welcome, not {welcome}")
            data = welcome["data"]
            shown = f"{user[:8]}..."  # the welcome may end up in a log
            expect(data["user_id"] == shown, f"the welcome names {data['user_id']}, not {shown}")
            expect(set(data["golden_path_events"]) == FIVE, "the welcome names the five events")
            expect(data["connection_id"] and isinstance(data["cursor"], int), "the welcome has id and cursor")
            yield socket, data


class Run:
    """The events of one run, checked as they come."""

    def __init__(self, request_id, cursor):
        self.request_id, self.cursor = request_id, cursor
        self.types, self.open_tools, self.run_id, self.recovered = [], {}, None, 0

    @property
    def is_over(self):
        return self.types[-1:] == ["agent_completed"]

    def take(self, event):
        kind = event["type"]
        expect(kind in FIVE, f"an event of the golden path, not {event}")
        expect(event["request_id"] == self.request_id, f"{kind} belongs to {event['request_id']}")
        self.run_id = self.run_id or event["run_id"]
        expect(event["run_id"] == self.run_id, f"{kind} belongs to run {event['run_id']}, not {self.run_id}")
        expect(not self.is_over, f"{kind} after the end")
        expect(event["seq"] == len(self.types) + 1, f"{kind}: seq {event['seq']} after {len(self.types)}")
        expect(event["cursor"] > self.cursor, f"{kind}: cursor {event['cursor']} after {self.cursor}")
        self.cursor = event["cursor"]
        expect((kind == "agent_started") == (not self.types), f"{kind} at seq {event['seq']}")
        if kind == "tool_executing":
            call = event["tool_call_id"]
            expect(call not in self.open_tools, f"tool call {call} opened twice")
            self.open_tools[call] = event["tool_name"]
        elif kind == "tool_completed":
            name = self.open_tools.pop(event["tool_call_id"], None)
            expect(name == event["tool_name"], f"tool call {event['tool_call_id']} was never opened")
        elif kind == "agent_completed":
            expect(not self.open_tools, f"ended with open tools {self.open_tools}")
            expect(event["final_response"], "an answer with text")
        self.types.append(kind)
        self.recovered += event.get("recovered") is True

    def follow(self, socket, until=lambda run: run.is_over):
        while not until(self):
            self.take(receive(socket))
        return self

    def check_complete(self):
        expect(set(self.types) == FIVE, f"all five types, not {self.types}")
        expect(self.types[1] == "agent_thinking", f"thinking comes first, not {self.types}")


def say(socket, message_id, text="How do I get there?"):
    message = {"type": "user_message", "message_id": message_id, "payload": {"message": text}}
    socket.send(json.dumps(message))


def golden_path(server):
    """Login by subprotocol; one message gives one whole run on every tab of its user and nowhere else."""
    with (
        server.login("foreign-eve", header=True) as (stranger, _),
        server.login("foreign-ada") as (socket, welcome),
        server.login("foreign-ada", header=True) as (tab, _),
    ):
        say(socket, "m-1")
        here = Run("m-1", welcome["cursor"]).follow(socket)
        there = Run("m-1", welcome["cursor"]).follow(tab)
        here.check_complete()
        expect((here.types, here.run_id) == (there.types, there.run_id), "both tabs see the same run")
        say(socket, "m-1")
        answer = receive(socket)
        expect(answer.get("status") == "duplicate", f"the same message again starts nothing, but {answer}")
        stranger.send('{"type":"ping"}')
        expect(receive(stranger)["type"] == "pong", "a stranger sees nothing of the run")


def small_talk(server):
    """Login by header; ping, an unknown type and a broken frame are answered, and the connection lives."""
    with server.login("foreign-bob", header=True) as (socket, _):
        socket.send('{"type":"ping"}')
        pong = receive(socket)
        expect(pong["type"] == "pong" and pong["data"]["user_id"] == "foreign-bob", f"a pong, not {pong}")
        socket.send('{"type":"never_heard_of_it"}')
        ack = receive(socket)
        expect(ack["type"] == "ack" and ack["received_type"] == "never_heard_of_it", f"an ack, not {ack}")
        socket.send('{"type":')
        error = receive(socket)
        expect(error.get("error_code") == "JSON_PARSE_ERROR", f"an error, not {error}")
        socket.send('{"type":"ping"}')
        expect(receive(socket)["type"] == "pong", "a pong after the error")


def reconnect(server):
    """Lost in the middle of a run and back with the cursor: nothing is missing and nothing comes twice."""
    user = "foreign-cy"
    with server.login(user) as (socket, welcome):
        say(socket, "m-2")
        run = Run("m-2", welcome["cursor"])
        run.follow(socket, until=lambda run: run.open_tools)
    time.sleep(0.5)  # longer than any tool of scenario.toml
    with server.login(user, resume=run.cursor) as (socket, _):
        run.follow(socket)
    run.check_complete()
    expect(run.recovered > 0, "what was missed comes flagged as recovered")
    with server.login(user, resume=run.cursor) as (socket, welcome):
        expect(welcome["cursor"] == run.cursor, f"the welcome's cursor is {welcome['cursor']}, not {run.cursor}")
        socket.send('{"type":"ping"}')
        answer = receive(socket)
        expect(answer["type"] == "pong", f"nothing comes twice, but {answer}")


def stranger_without_key(server):
    """A token signed with another key: told AUTH_FAILED, closed with 1008."""
    offer = f"jwt.{token('foreign-mallory', b'not the key of this server, but long enough')}"
    with connect(server.url, subprotocols=[offer], proxy=None, open_timeout=PATIENCE_S) as socket:
        frame = receive(socket)
        expect(frame.get("error_code") == "AUTH_FAILED", f"AUTH_FAILED, not {frame}")
        try:
            frame = receive(socket)
        except ConnectionClosed as closed:
            code = closed.rcvd and closed.rcvd.code
            expect(code == 1008, f"closed with 1008, not {code}")
        else:
            raise Wrong(f"a close, not {frame}")


def main():
    url, key_file = sys.argv[1:]
    with open(key_file, "rb") as file:
        server = Server(url, file.read().strip())
    for check in (golden_path, small_talk, reconnect, stranger_without_key):
        try:
            check(server)
        except (Wrong, KeyError, ConnectionClosed, OSError) as fault:
            print(f"FAILED {check.__name__}: {type(fault).__name__}: {fault}", file=sys.stderr)
            return 1
        print(f"ok {check.__name__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
