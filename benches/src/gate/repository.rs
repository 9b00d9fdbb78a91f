//! The user's repository, read and never written: revisions by name, and their files in a directory of our own.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::error::GateError;

/// The name of what is in the user's directory, changes that are not committed included.
pub const WORKING_TREE: &str = "working tree";

/// Branches that a change is meant for, in the order in which they are looked for.
const MAIN: [&str; 4] = ["origin/HEAD", "origin/main", "main", "master"];

/// A git repository.
#[derive(Clone, Debug)]
pub struct Repository {
    root: PathBuf,
}

/// A revision that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The commit, or [`WORKING_TREE`].
    pub commit: String,
    /// The hash of its files: equal hashes, equal files.
    pub tree: String,
}

impl Repository {
    /// The repository that `folder` is in.
    ///
    /// # Errors
    /// It is in none, or git is missing.
    pub fn find(folder: &Path) -> Result<Self, GateError> {
        let found = git(folder, ["rev-parse", "--show-toplevel"]).map_err(|why| {
            GateError::Usage(format!("the gate compares revisions of a git repository: {why}"))
        })?;
        Ok(Self { root: PathBuf::from(found) })
    }

    /// Its top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The commit that `name` names.
    ///
    /// # Errors
    /// There is none. In a shallow clone that is no mistake of the user's: the sides are not comparable.
    pub fn commit(&self, name: &str) -> Result<Tree, GateError> {
        let found = git(&self.root, ["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]);
        match found {
            Ok(commit) => {
                let tree =
                    git(&self.root, ["rev-parse", "--verify", "--quiet", &format!("{commit}^{{tree}}")]);
                let tree = tree.map_err(|_| missing(name))?;
                Ok(Tree { commit, tree })
            }
            Err(_) if self.is_shallow() => Err(missing(name)),
            Err(_) => Err(GateError::Usage(format!("no revision is called `{name}`"))),
        }
    }

    /// The merge base of `head` with the main branch; its parent, if `head` is on the main branch.
    ///
    /// # Errors
    /// No main branch, no common ancestor, or a history that is cut off.
    pub fn merge_base(&self, head: &str) -> Result<Tree, GateError> {
        let main = MAIN.into_iter().find(|name| {
            git(&self.root, ["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]).is_ok()
        });
        let Some(main) = main else {
            return Err(GateError::Usage(format!("none of {} exists: give --base", MAIN.join(", "))));
        };
        match git(&self.root, ["merge-base", main, head]) {
            Ok(base) => self.commit(&base),
            Err(_) if self.is_shallow() => Err(missing(&format!("the merge base of {main} and {head}"))),
            Err(_) => Err(GateError::NotComparable(format!(
                "{main} and {head} have no common ancestor: give --base"
            ))),
        }
    }

    /// Whether `name` is an ancestor of `other`, or the same.
    pub fn is_ancestor(&self, name: &str, other: &str) -> bool {
        git(&self.root, ["merge-base", "--is-ancestor", name, other]).is_ok()
    }

    /// Commits after `good` up to `bad`, the oldest first, along first parents.
    ///
    /// # Errors
    /// Git cannot list them.
    pub fn between(&self, good: &str, bad: &str) -> Result<Vec<String>, GateError> {
        let list = git(
            &self.root,
            ["rev-list", "--reverse", "--first-parent", "--ancestry-path", &format!("{good}..{bad}")],
        );
        Ok(list.map_err(GateError::Usage)?.lines().map(ToOwned::to_owned).collect())
    }

    /// The subject line of a commit; empty for what is none.
    pub fn subject(&self, commit: &str) -> String {
        git(&self.root, ["log", "-1", "--format=%s", commit]).unwrap_or_default()
    }

    /// The newest release tag that `name` contains.
    pub fn last_tag(&self, name: &str) -> Option<String> {
        git(&self.root, ["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", name]).ok()
    }

    /// A file of a revision; `None` if it has none of that name.
    pub fn file_through(&self, sources: &Sources, tree: &Tree, path: &str) -> Option<String> {
        // Our folder knows the user's objects and those of the working tree.
        let output =
            command(&sources.folder).arg("show").arg(format!("{}:{path}", tree.tree)).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What is in the user's folder now, as a tree of `sources`: nothing is written to the user's repository.
    ///
    /// # Errors
    /// Git fails.
    pub fn working_tree(&self, sources: &Sources) -> Result<Tree, GateError> {
        let index = sources.folder.join("working-tree-index");
        let run = |arguments: &[&str]| {
            let mut command = command(&self.root);
            command.args(arguments).env("GIT_INDEX_FILE", &index);
            command.env("GIT_OBJECT_DIRECTORY", sources.objects());
            command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.objects()?);
            output(command).map_err(GateError::Infrastructure)
        };
        // A copy of the user's index knows what did not change: only the rest is read.
        let user = git(&self.root, ["rev-parse", "--path-format=absolute", "--git-path", "index"]);
        if let Ok(user) = user {
            // Without it everything is read, which only takes longer.
            _ = fs::copy(user, &index);
        }
        run(&["add", "--all", "--", ":/"])?;
        let tree = run(&["write-tree"])?;
        _ = fs::remove_file(&index);
        let head = git(&self.root, ["rev-parse", "--verify", "--quiet", "HEAD^{tree}"]).unwrap_or_default();
        let commit = if tree == head {
            git(&self.root, ["rev-parse", "HEAD"]).unwrap_or_else(|_| WORKING_TREE.to_owned())
        } else {
            WORKING_TREE.to_owned()
        };
        Ok(Tree { commit, tree })
    }

    fn is_shallow(&self) -> bool {
        git(&self.root, ["rev-parse", "--is-shallow-repository"]).is_ok_and(|answer| answer == "true")
    }

    fn objects(&self) -> Result<String, GateError> {
        git(&self.root, ["rev-parse", "--path-format=absolute", "--git-path", "objects"])
            .map_err(GateError::Infrastructure)
    }
}

/// A folder of our own in which the files of one revision after the other appear, at one and the same path: equal
/// files then give equal executables, byte for byte.
#[derive(Clone, Debug)]
pub struct Sources {
    folder: PathBuf,
}

impl Sources {
    /// Makes the folder inside `cache`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(cache: &Path, repository: &Repository) -> Result<Self, GateError> {
        let folder = cache.join("sources");
        fs::create_dir_all(&folder).map_err(|error| GateError::file(&folder, &error))?;
        if !folder.join(".git").exists() {
            git(&folder, ["init", "--quiet"]).map_err(GateError::Infrastructure)?;
        }
        let sources = Self { folder };
        // The user's objects are read where they are: nothing is copied.
        let alternates = sources.objects().join("info/alternates");
        fs::write(&alternates, repository.objects()? + "\n")
            .map_err(|error| GateError::file(&alternates, &error))?;
        Ok(sources)
    }

    /// Puts the files of a tree there. Only those that differ are written, so only they are built again.
    ///
    /// # Errors
    /// Objects are missing, or the disk is full.
    pub fn check_out(&self, tree: &Tree) -> Result<&Path, GateError> {
        git(&self.folder, ["read-tree", "--reset", "-u", &tree.tree]).map_err(|why| {
            GateError::Infrastructure(format!("the files of {} cannot be written: {why}", tree.commit))
        })?;
        Ok(&self.folder)
    }

    /// Whether a tree has that file.
    pub fn has(&self, tree: &Tree, path: &str) -> bool {
        git(&self.folder, ["cat-file", "-e", &format!("{}:{path}", tree.tree)]).is_ok()
    }

    fn objects(&self) -> PathBuf {
        self.folder.join(".git/objects")
    }
}

fn missing(what: &str) -> GateError {
    GateError::NotComparable(format!(
        "{what} is not in this clone, whose history is cut off: fetch it (git fetch --unshallow, or fetch-depth: 0 in \
         the workflow's checkout step) and run again"
    ))
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder);
    // A hook's environment must not lead us to another repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}

fn git<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Result<String, String> {
    let mut command = command(folder);
    command.args(arguments);
    output(command)
}

fn output(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("git: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        let why = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        Err(if why.is_empty() { format!("git ended with {}", output.status) } else { why })
    }
}
