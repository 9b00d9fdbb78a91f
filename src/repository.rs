//! What git says about the folder that the program runs in.

use std::process::Command;

use reports::{Accepted, Changes, Commit};
use serde::Deserialize;

/// Where a change declares its costs as accepted, from the top of the repository.
const ACCEPTED: &str = "benches/gate/accepted.json";

/// A git repository around the present folder.
pub(crate) struct Repository(());

#[derive(Deserialize)]
struct AcceptedFile {
    accepted: Vec<Accepted>,
}

impl Repository {
    /// `None` if there is none, or no git.
    pub(crate) fn here() -> Option<Repository> {
        let inside = git(&["rev-parse", "--is-inside-work-tree"]).ok()?;
        (inside.trim() == "true").then_some(Repository(()))
    }

    /// What stands here: the commit, and whether files differ from it.
    pub(crate) fn head(&self) -> String {
        let described = git(&["describe", "--always", "--tags", "--dirty=, with changed files"]);
        described.map_or("a repository without commits".to_owned(), |text| text.trim().to_owned())
    }

    /// The commit of a revision, or why it is not known, with what to do about it.
    pub(crate) fn commit(&self, revision: &str) -> Result<String, String> {
        let peeled = format!("{revision}^{{commit}}");
        match git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &peeled]) {
            // Older versions of git print the option as well.
            Ok(text) => Ok(text.lines().last().unwrap_or_default().to_owned()),
            Err(_) => {
                let is_shallow =
                    git(&["rev-parse", "--is-shallow-repository"]).is_ok_and(|text| text.trim() == "true");
                Err(if is_shallow {
                    format!("{revision} is not in this shallow clone: git fetch --unshallow --tags")
                } else {
                    format!("{revision} is no revision of this repository; if it is a tag: git fetch --tags")
                })
            }
        }
    }

    /// What lies between a revision and the present commit, newest first.
    pub(crate) fn changes(&self, since: &str) -> Result<Changes, String> {
        let range = format!("{}..HEAD", self.commit(since)?);
        let log = git(&["log", "--no-merges", "--format=%h%x09%s", &range])?;
        let commits: Vec<Commit> = log
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(hash, subject)| Commit { hash: hash.to_owned(), subject: subject.to_owned() })
            .collect();
        let extent = git(&["diff", "--shortstat", &range])?.trim().to_owned();
        Ok(Changes { commits_total: commits.len() as u64, commits, extent, unknown: None })
    }

    /// Accepted costs that a revision did not have. A file that cannot be read accepts nothing.
    pub(crate) fn accepted_since(&self, since: &str) -> Vec<Accepted> {
        let at = |revision: &str| -> Vec<Accepted> {
            let text = git(&["show", &format!("{revision}:{ACCEPTED}")]).unwrap_or_default();
            serde_json::from_str(&text).map(|file: AcceptedFile| file.accepted).unwrap_or_default()
        };
        let before = self.commit(since).map(|commit| at(&commit)).unwrap_or_default();
        at("HEAD").into_iter().filter(|entry| !before.contains(entry)).collect()
    }
}

/// What git prints, or its complaint.
fn git(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git").args(arguments).output().map_err(|error| format!("git: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
