//! A running worker: one process, asked and answered over its pipes.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::error::GateError;

/// How a worker is started.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// The benchmark.
    pub name: &'a str,
    /// Further units per million.
    pub inject_ppm: u64,
    /// The processor it stays on.
    pub cpu: Option<u32>,
    /// Bytes of environment that it does not need: they move its stack.
    pub padding: usize,
}

/// What a slot took.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Wall clock, nanoseconds.
    pub wall_ns: u64,
    /// Processor time, nanoseconds.
    pub cpu_ns: u64,
    /// Times of single units and how many there were of each.
    pub times: Vec<(u64, u64)>,
}

/// A worker that waits to be asked.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    line: String,
    what: String,
    copy: Option<PathBuf>,
}

impl Worker {
    /// Starts an executable. `copy` is removed when the worker ends.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(executable: &Path, start: &Start<'_>, copy: Option<PathBuf>) -> Result<Self, GateError> {
        let mut command = Command::new(executable);
        command.args(["run", start.name, "--inject-ppm", &start.inject_ppm.to_string()]);
        if let Some(cpu) = start.cpu {
            command.args(["--cpu", &cpu.to_string()]);
        }
        // Nothing of the user's environment may differ between two runs but what we vary ourselves.
        command.env_clear().env("PADDING", "x".repeat(start.padding));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| GateError::file(executable, &error))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(GateError::Infrastructure("a worker has no pipes".to_owned()));
        };
        Ok(Self {
            child,
            requests: Some(requests),
            answers: BufReader::new(answers),
            line: String::new(),
            what: start.name.to_owned(),
            copy,
        })
    }

    /// Runs `units` and times them together.
    ///
    /// # Errors
    /// The worker died.
    pub fn time(&mut self, units: u64) -> Result<Answer, GateError> {
        self.ask('t', units)
    }

    /// Runs `units` and times each.
    ///
    /// # Errors
    /// The worker died.
    pub fn time_each(&mut self, units: u64) -> Result<Answer, GateError> {
        self.ask('e', units)
    }

    fn ask(&mut self, how: char, units: u64) -> Result<Answer, GateError> {
        let asked = match &mut self.requests {
            Some(requests) => writeln!(requests, "{how} {units}").and_then(|()| requests.flush()),
            None => Ok(()),
        };
        self.line.clear();
        let read = asked.and_then(|()| self.answers.read_line(&mut self.line));
        match (read, parse(&self.line)) {
            (Ok(_), Some(answer)) => Ok(answer),
            (Ok(_) | Err(_), _) => Err(self.died()),
        }
    }

    fn died(&mut self) -> GateError {
        self.requests = None;
        let how = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        GateError::Infrastructure(format!(
            "a worker of {} died ({how}): nothing follows from a run in which that happens; \
             see that nothing kills it (memory?) and run again",
            self.what
        ))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its input ends it; should it hang, so would we.
        self.requests = None;
        _ = self.child.kill();
        _ = self.child.wait();
        if let Some(copy) = &self.copy {
            _ = fs::remove_file(copy);
        }
    }
}

fn parse(line: &str) -> Option<Answer> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let mut number = || words.next()?.parse().ok();
    let (wall_ns, cpu_ns, _effects): (u64, u64, u64) = (number()?, number()?, number()?);
    let times = words
        .map(|word| {
            let (time, count) = word.split_once(':')?;
            Some((time.parse().ok()?, count.parse().ok()?))
        })
        .collect::<Option<_>>()?;
    (wall_ns > 0).then_some(Answer { wall_ns, cpu_ns, times })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_answer_is_none() {
        let answer = parse("12 13 5 100:2 200:1\n").unwrap();
        assert_eq!((answer.wall_ns, answer.cpu_ns, answer.times), (12, 13, vec![(100, 2), (200, 1)]));
        for line in ["", "12 13", "12 13 5", "12 13 x\n", "0 0 0\n", "1 1 1 7\n"] {
            assert!(parse(line).is_none(), "{line:?}");
        }
    }
}
