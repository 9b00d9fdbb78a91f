//! A server of ours in a process of its own: its memory and its processor time are not the measurement's.

use std::{
    ffi::OsStr,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use super::StageError;

/// A running server.
#[derive(Debug)]
pub struct Node {
    child: Child,
    url: String,
}

impl Node {
    /// Starts `program serve` with these arguments, and waits until it listens. Without `--listen` among them it takes a
    /// free port of this machine.
    ///
    /// # Errors
    /// It cannot be started, or says something else than where it listens.
    pub fn start<A: AsRef<OsStr>>(program: &Path, args: &[A]) -> Result<Self, StageError> {
        let failed = |what: &str, why: &dyn std::fmt::Display| {
            StageError::new("the server did not start", format!("{what}: {why}"))
        };
        let mut command = Command::new(program);
        command.arg("serve").args(args);
        if !args.iter().any(|arg| arg.as_ref() == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let child = command
            // Bad frames and faults are part of the trial: their records would only hide what matters.
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "error".to_owned()))
            .env_remove("GOLDENPATH_JWT_KEY_FILE")
            .env_remove("GOLDENPATH_REDIS")
            // The child ends when our end of this pipe does, however we come to ours.
            .arg("--until-stdin-ends")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed("spawn", &error))?;
        let mut line = String::new();
        let mut node = Self { url: String::new(), child };
        if let Some(stdout) = node.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| failed("stdout", &error))?;
        }
        match line.trim().strip_prefix("listening on ") {
            Some(url) => url.clone_into(&mut node.url),
            None => return Err(failed("first line", &format!("`{}`", line.trim()))),
        }
        Ok(node)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The part of the URL that `--listen` takes.
    pub fn address(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split_once('/').map_or(rest, |(address, _)| address)
    }

    /// A line of what the system says about the process, in bytes; `None` where it says nothing.
    pub fn memory(&self, line: &str) -> Option<i64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let kib = status.lines().find_map(|text| text.strip_prefix(line))?.trim().strip_suffix(" kB")?;
        kib.parse().ok().map(|kib: i64| kib * 1_024)
    }

    /// Time that all its threads were on a processor; `None` where the system does not say.
    pub fn processor_time(&self) -> Option<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let of = |thread: io::Result<fs::DirEntry>| -> Option<u64> {
            let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse().ok()
        };
        threads.map(of).sum::<Option<u64>>().map(Duration::from_nanos)
    }

    /// A figure that it tells of itself, by its name without the prefix; `None` if it does not.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let mut socket = TcpStream::connect(self.address()).ok()?;
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n").ok()?;
        let mut text = String::new();
        socket.read_to_string(&mut text).ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix("goldenpath_")?.strip_prefix(name)?.trim().parse().ok())
    }

    /// Ends it as a power failure does.
    pub fn kill(&mut self) {
        // One that is gone already is as good as killed.
        _ = self.child.kill();
        _ = self.child.wait();
    }

    /// Asks it to stop, the way an operator would; whether it could be asked.
    pub fn terminate(&self) -> bool {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().is_ok_and(|status| status.success())
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Ends it the way an operator would, and waits.
    ///
    /// # Errors
    /// It ended otherwise than it should.
    pub fn stop(mut self) -> Result<(), StageError> {
        let asked = self.terminate();
        if !asked {
            _ = self.child.kill();
        }
        let status = self.child.wait().map_err(|error| StageError::new("the server", error))?;
        if asked && !status.success() {
            return Err(StageError::new("the server ended with", status));
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
