//! A `redis-server` of a test's own.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long the server may take to answer after its start.
const PATIENCE: Duration = Duration::from_secs(30);
/// Ports that are tried before giving up: another process may take one in between.
const TRIES: usize = 20;

/// A running server; killed, and its folder removed, when it goes out of scope.
pub(crate) struct Server {
    child: Option<Child>,
    pub(crate) port: u16,
    folder: PathBuf,
    options: Vec<String>,
}

impl Server {
    /// A server that keeps nothing on disk.
    pub(crate) fn start(options: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("goldenpath-store-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        let options = options.iter().map(ToString::to_string).collect();
        let mut server = Self { child: None, port: 0, folder, options };
        for _ in 0..TRIES {
            server.port = free_port();
            server.restart(&[]);
            if server.child.is_some() {
                return server;
            }
        }
        panic!("redis-server does not start on any of {TRIES} free ports");
    }

    /// A cluster of this one process: it has all slots.
    pub(crate) fn start_cluster() -> Self {
        let server = Self::start(&["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]);
        assert_eq!(server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]), "+OK\r\n");
        let begin = Instant::now();
        while !server.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
            assert!(begin.elapsed() < PATIENCE, "the cluster has all slots and is not ok");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Kills the server as a power failure does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again, on its port and in its folder; there is no child if it ended at once.
    pub(crate) fn restart(&mut self, more: &[&str]) {
        self.kill();
        let program = env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let child = Command::new(&program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--enable-debug-command", "yes", "--dir"])
            .arg(&self.folder)
            .args(&self.options)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!(
                "{}: {error}. The store's tests need redis-server 7.0 or later: apt-get install redis-server, \
                 or set REDIS_SERVER to one",
                program.display()
            )
        });
        self.child = Some(child);
        let begin = Instant::now();
        loop {
            // One that answers at all will do: it may still be reading its data.
            if self.try_command(&["PING"]).is_some() {
                return;
            }
            if self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None))) {
                self.child = None;
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "redis-server does not answer");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a command on a connection of its own, and gives the reply: a line as the server wrote it, or a text.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        self.try_command(words).expect("the server answers")
    }

    fn try_command(&self, words: &[&str]) -> Option<String> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        socket.write_all(text.as_bytes()).ok()?;
        let mut replies = BufReader::new(socket);
        let mut reply = String::new();
        replies.read_line(&mut reply).ok()?;
        if let Some(length) = reply.strip_prefix('$') {
            let mut text = vec![0; length.trim_end().parse().ok()?];
            replies.read_exact(&mut text).ok()?;
            reply = String::from_utf8_lossy(&text).into_owned();
        }
        (!reply.is_empty()).then_some(reply)
    }

    /// The commands that this server was ever given, by scripts or directly.
    pub(crate) fn commands_used(&self) -> Vec<String> {
        let info = self.command(&["INFO", "commandstats"]);
        let names = info.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split(':').next());
        names.map(str::to_owned).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that nobody had a moment ago; for a cluster's bus the one 10,000 above it must exist, too.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        if port < 55_000 {
            return port;
        }
    }
}
