//! A `redis-server` of a trial's own.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::StageError;

/// How long the server may take to answer after its start.
const PATIENCE: Duration = Duration::from_secs(30);
/// Ports that are tried before giving up: another process may take one in between.
const TRIES: usize = 20;
/// What everybody who has none is told.
const NEEDED: &str = "version 7.0 or later is needed: apt-get install redis-server, or name one";

/// A running server with an empty folder of its own, which is removed with it.
#[derive(Debug)]
pub struct Redis {
    program: PathBuf,
    options: Vec<String>,
    folder: PathBuf,
    child: Option<Child>,
    port: u16,
}

impl Redis {
    /// Starts `program` on a free port of this machine. Without options it keeps nothing on disk.
    ///
    /// # Errors
    /// It cannot be started, or does not answer.
    pub fn start(program: &Path, options: &[&str]) -> Result<Self, StageError> {
        let folder = own_folder()?;
        let options = options.iter().map(ToString::to_string).collect();
        let mut redis = Self { program: program.to_owned(), options, folder, child: None, port: 0 };
        for _ in 0..TRIES {
            redis.port = free_port()?;
            if redis.restart(&[])? {
                return Ok(redis);
            }
        }
        Err(StageError::new("redis-server", format!("does not start on any of {TRIES} free ports")))
    }

    /// The settings with which what it accepted survives its own death.
    pub const STRICT: [&'static str; 6] =
        ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"];

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address())
    }

    /// Kills the server as a power failure does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that is gone already is as good as killed.
            _ = child.kill();
            _ = child.wait();
        }
    }

    /// Starts it again, on its port and in its folder. Whether it runs: one that finds its port taken ends at once.
    ///
    /// # Errors
    /// It cannot be started, or does not answer.
    pub fn restart(&mut self, more: &[&str]) -> Result<bool, StageError> {
        self.kill();
        let failed = |why: &dyn std::fmt::Display| StageError::new(&self.program.display().to_string(), why);
        let child = Command::new(&self.program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--enable-debug-command", "yes", "--dir"])
            .arg(&self.folder)
            .args(&self.options)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(&format!("{error}; {NEEDED}")))?;
        self.child = Some(child);
        let begin = Instant::now();
        // One that answers at all will do: it may still be reading its data.
        while self.command(&["PING"]).is_none() {
            if self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None))) {
                self.child = None;
                return Ok(false);
            }
            if begin.elapsed() > PATIENCE {
                return Err(StageError::new("redis-server", "does not answer"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(true)
    }

    /// Sends a command on a connection of its own, and gives the reply: a line as the server wrote it, or a text. `None` if
    /// there is none.
    pub fn command(&self, words: &[&str]) -> Option<String> {
        let mut socket = TcpStream::connect(self.address()).ok()?;
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
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        // What is left of it is a temporary file.
        _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that nobody had a moment ago; for a cluster's bus the one 10,000 above it must exist, too.
fn free_port() -> Result<u16, StageError> {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = listener.map_err(|error| StageError::new("a free port", error))?.port();
        if port < 55_000 {
            return Ok(port);
        }
    }
}

/// A folder that nobody else has, called after a port that was free when it was made.
fn own_folder() -> Result<PathBuf, StageError> {
    loop {
        let folder =
            env::temp_dir().join(format!("goldenpath-redis-{}-{}", std::process::id(), free_port()?));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(StageError::new(&folder.display().to_string(), error)),
        }
    }
}
