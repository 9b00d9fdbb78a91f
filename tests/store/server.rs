//! A `redis-server` of a test's own.

use std::{
    env,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use benches::stage::Redis;

/// How long a cluster may take to be one.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; killed, and its folder removed, when it goes out of scope.
pub(crate) struct Server(Redis);

impl Server {
    /// Without options, a server that keeps nothing on disk.
    pub(crate) fn start(options: &[&str]) -> Self {
        let program = env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let redis = Redis::start(&PathBuf::from(program), options);
        Self(redis.unwrap_or_else(|error| panic!("{error}, by REDIS_SERVER")))
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
        self.0.url()
    }

    /// Kills the server as a power failure does.
    pub(crate) fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts it again, on its port and in its folder.
    pub(crate) fn restart(&mut self, more: &[&str]) {
        assert!(self.0.restart(more).expect("it answers"), "it has its port again");
    }

    /// Sends a command on a connection of its own, and gives the reply: a line as the server wrote it, or a text.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        self.0.command(words).expect("the server answers")
    }

    /// The commands that this server was ever given, by scripts or directly.
    pub(crate) fn commands_used(&self) -> Vec<String> {
        let info = self.command(&["INFO", "commandstats"]);
        let names = info.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split(':').next());
        names.map(str::to_owned).collect()
    }
}
