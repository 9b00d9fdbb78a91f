//! A real browser without a window, driven over its DevTools protocol: a WebSocket, for which the tests have a client.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// Names under which a browser of this family is installed.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// How long any single answer may take: long enough for a machine that is busy with everything else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Screenshots are answered as text in one message.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// One page in one browser.
pub(crate) struct Browser {
    process: Process,
    socket: WebSocketStream<TcpStream>,
    session: String,
    last_id: u64,
    /// What the page did on its own: requests, complaints, exceptions.
    events: Vec<Value>,
}

/// Ends the browser, however the test ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) width: u32,
    pub(crate) is_dark: bool,
}

impl Browser {
    /// Starts a browser that can reach no network, with an empty profile in `folder`.
    pub(crate) async fn start(folder: &Path) -> Browser {
        let profile = folder.join("profile");
        let _ = fs::remove_dir_all(&profile);
        let mut child = Command::new(program())
            .args([
                "--headless",
                "--disable-gpu",
                "--hide-scrollbars",
                "--no-first-run",
                "--disable-extensions",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            // Only pages of our own are opened; the sandbox needs privileges that containers do not give.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND"])
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let process = Process(child);
        let mut talk = Vec::new();
        let url = loop {
            let Some(line) = lines.next().and_then(Result::ok) else {
                panic!("the browser ended before it listened:\n{}", talk.join("\n"));
            };
            if let Some(url) = line.strip_prefix("DevTools listening on ") {
                break url.trim().to_owned();
            }
            talk.push(line);
        };
        // Whoever no longer reads would block the browser.
        std::thread::spawn(move || lines.for_each(drop));
        let address = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).expect("an address");
        let stream = TcpStream::connect(address).await.expect("the browser listens");
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(MESSAGE_BYTES_MAX);
        config.max_frame_size = Some(MESSAGE_BYTES_MAX);
        let (socket, _) = client_async_with_config(&url, stream, Some(config)).await.expect("a handshake");
        let mut browser = Browser { process, socket, session: String::new(), last_id: 0, events: Vec::new() };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Opens a file as it is seen in `view`, and waits until it is loaded.
    pub(crate) async fn open(&mut self, file: &Path, view: View) {
        let metrics = json!({ "width": view.width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if view.is_dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media).await;
        self.events.clear();
        let answer = self.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) })).await;
        assert!(answer.get("errorText").is_none(), "{}: {answer}", file.display());
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.receive().await;
            self.events.push(event);
        }
    }

    /// Evaluates a script that answers with JSON text.
    pub(crate) async fn evaluate(&mut self, script: &str) -> Value {
        let answer =
            self.call("Runtime.evaluate", json!({ "expression": script, "returnByValue": true })).await;
        let text = answer["result"]["value"].as_str().unwrap_or_else(|| panic!("no answer: {answer}"));
        serde_json::from_str(text).expect("JSON")
    }

    /// What is seen, as PNG; of the whole window or of a rectangle of the page.
    pub(crate) async fn screenshot(&mut self, clip: Option<&Value>) -> Vec<u8> {
        let mut options = json!({ "format": "png" });
        if let Some(clip) = clip {
            options["clip"] = clip.clone();
            options["clip"]["scale"] = json!(1);
            options["captureBeyondViewport"] = json!(true);
        }
        let answer = self.call("Page.captureScreenshot", options).await;
        decoded(answer["data"].as_str().expect("a picture"))
    }

    /// Everything the page asked for since it was opened, itself included.
    pub(crate) fn requests(&self) -> Vec<String> {
        let of = |event: &Value| event["params"]["request"]["url"].as_str().map(ToOwned::to_owned);
        self.events
            .iter()
            .filter(|event| event["method"] == "Network.requestWillBeSent")
            .filter_map(of)
            .collect()
    }

    /// Exceptions, messages on the console, and whatever the browser itself complained about.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let is_one = |event: &&Value| {
            let method = event["method"].as_str().unwrap_or_default();
            ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"].contains(&method)
        };
        self.events.iter().filter(is_one).map(ToString::to_string).collect()
    }

    /// Ends the browser the way it wants to be ended.
    pub(crate) async fn close(mut self) {
        self.session.clear();
        let _ =
            self.socket.send(Message::text(json!({ "id": 0, "method": "Browser.close" }).to_string())).await;
        while let Ok(Some(Ok(_))) = timeout(PATIENCE, self.socket.next()).await {}
        drop(self.process);
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut request = json!({ "id": self.last_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(request.to_string())).await.expect("the browser listens");
        loop {
            let mut message = self.receive().await;
            if message["id"] == self.last_id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    async fn receive(&mut self) -> Value {
        let message = timeout(PATIENCE, self.socket.next()).await.expect("the browser answers in time");
        let message = message.expect("the browser is still there").expect("a message");
        serde_json::from_str(message.to_text().expect("text")).expect("JSON")
    }
}

/// The browser's program: `$CHROMIUM`, or the first of the known names.
fn program() -> PathBuf {
    if let Some(program) = env::var_os("CHROMIUM") {
        return program.into();
    }
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let found = NAMES
        .iter()
        .find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()));
    found.unwrap_or_else(|| {
        panic!(
            "no browser: apt-get install chromium, or set CHROMIUM to one of its family; .ci/test installs it"
        )
    })
}

/// Base64 as the protocol writes it: standard alphabet, padded.
fn decoded(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u32> = text.trim_end_matches('=').bytes().map(value).collect();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let joined = group.iter().fold(0, |joined, digit| joined << 6 | digit) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&joined.to_be_bytes()[1..group.len()]);
    }
    bytes
}
