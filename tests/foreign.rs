//! A foreign client against the real server: Python's `websockets` shares no code with ours, so an agreement of our
//! own client and server on something wrong shows here. Never skipped: without the client this test fails.

#![cfg(unix)]

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long the server may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// At least 32 bytes, as the server demands.
const KEY: &str = "a key for tests only, known to all who read this";
const SERVER: &str = env!("CARGO_BIN_EXE_goldenpath");

/// The running server; killed if the test fails on the way.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_foreign_client_walks_the_golden_path() {
    let python = python();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign");
    let key_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign.key");
    fs::write(&key_file, KEY).expect("the target folder can be written");

    let child = Command::new(SERVER)
        .args(["serve", "--listen", "127.0.0.1:0", "--seed", "7", "--jwt-key-file"])
        .arg(&key_file)
        .arg("--scenario")
        .arg(files.join("scenario.toml"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut server = Server(child);
    let url = ready(server.0.stdout.take().expect("a pipe"));

    let client = Command::new(python).arg(files.join("client.py")).arg(&url).arg(&key_file).output();
    let client = client.expect("the client starts");
    let talk =
        [client.stdout, client.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(client.status.success(), "the foreign client is not content:\n{talk}");

    let kill = Command::new("kill").arg("-TERM").arg(server.0.id().to_string()).status();
    assert!(kill.expect("kill is there").success());
    let status = ended(&mut server.0);
    assert_eq!(status.code(), Some(0), "a drain after SIGTERM ends well");
}

/// The interpreter of the virtual environment that `.ci/test` makes in the target folder.
fn python() -> PathBuf {
    if let Some(python) = env::var_os("FOREIGN_PYTHON") {
        return python.into();
    }
    let mut places = Path::new(SERVER).ancestors().take(5).map(|folder| folder.join("venv/bin/python"));
    places.find(|python| python.exists()).expect(
        "the foreign client is not installed: run .ci/test, which makes target/venv, or set FOREIGN_PYTHON to a \
         Python that has the package `websockets`",
    )
}

/// Waits for the one line that the server says when it is ready, and answers its address.
fn ready(stdout: ChildStdout) -> String {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = tell.send(line);
    });
    let line = told.recv_timeout(PATIENCE).expect("the server is ready in time");
    let url = line.trim_end().strip_prefix("listening on ");
    url.unwrap_or_else(|| panic!("expected `listening on ws://…`, got {line:?}")).to_owned()
}

fn ended(child: &mut Child) -> ExitStatus {
    let patience_ends = Instant::now() + PATIENCE;
    while Instant::now() < patience_ends {
        if let Some(status) = child.try_wait().expect("the server can be waited for") {
            return status;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("the server did not end within {PATIENCE:?} of SIGTERM");
}
