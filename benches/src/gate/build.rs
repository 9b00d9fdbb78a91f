//! The executables of a revision, built once and kept. Executables are kept, timings never are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use gate_worker::protocol::Listing;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{
    error::GateError,
    repository::{Repository, Sources, Tree},
};

/// How both sides are built, whatever their manifests say of profiles.
const PROFILE: [&str; 7] = [
    r#"profile.gate.inherits="release""#,
    r#"profile.gate.lto="off""#,
    "profile.gate.codegen-units=1",
    "profile.gate.debug=false",
    r#"profile.gate.strip="symbols""#,
    "profile.gate.incremental=false",
    "profile.gate.opt-level=3",
];

/// Link orders per side, where the linker can change the order.
pub const LAYOUTS: u32 = 4;

/// Kept executables that were not used for the longest time go when there are more.
const KEPT_MAX: usize = 40;

/// Everything a verdict about a revision needs of it.
#[derive(Clone, Debug)]
pub struct Executables {
    /// The timed one, once per link order.
    pub workers: Vec<PathBuf>,
    /// The counted one.
    pub exact: PathBuf,
    /// A hash of each worker.
    pub digests: Vec<String>,
    /// What the worker can measure.
    pub listing: Listing,
}

/// The compiler and its linker.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// `rustc -vV`, the first line.
    pub version: String,
    key: String,
    /// Whether the linker can shuffle sections.
    pub can_shuffle: bool,
}

/// Builds and keeps.
#[derive(Debug)]
pub struct Builder {
    cache: PathBuf,
    sources: Sources,
    /// The toolchain in use.
    pub toolchain: Toolchain,
    // Held as long as we may write to the cache.
    _lock: fs::File,
}

/// What lies beside kept executables.
#[derive(Serialize, Deserialize)]
struct Kept {
    layouts: u32,
    digests: Vec<String>,
    listing: Listing,
}

impl Builder {
    /// Uses `cache`, which no other gate uses meanwhile: a second one waits, for the processor's sake too.
    ///
    /// # Errors
    /// The cache cannot be written, or there is no compiler.
    pub fn new(cache: &Path, repository: &Repository) -> Result<Self, GateError> {
        fs::create_dir_all(cache).map_err(|error| GateError::file(cache, &error))?;
        let lock_path = cache.join("lock");
        let lock = fs::File::create(&lock_path).map_err(|error| GateError::file(&lock_path, &error))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| GateError::file(&lock_path, &error.into()))?;
        let sources = Sources::new(cache, repository)?;
        let toolchain = Toolchain::find(cache)?;
        Ok(Self { cache: cache.to_owned(), sources, toolchain, _lock: lock })
    }

    /// Where revisions' files appear.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The executables of a revision; `seeds` are the link orders. `talk` hears what takes long.
    ///
    /// # Errors
    /// [`GateError::NotComparable`] if the revision has no worker, [`GateError::Infrastructure`] if it does not build.
    pub fn build(
        &self,
        tree: &Tree,
        seeds: &[u32],
        talk: &mut dyn FnMut(&str),
    ) -> Result<Executables, GateError> {
        let seeds = if self.toolchain.can_shuffle { seeds } else { &seeds[..1] };
        let folder = self.cache.join("executables").join(self.key(tree, seeds));
        if let Some(kept) = kept(&folder) {
            // Its time of use decides how long it is kept.
            _ = fs::File::open(&folder).and_then(|file| file.set_modified(std::time::SystemTime::now()));
            return Ok(kept);
        }
        talk(&format!("building {} ({})", short(&tree.commit), short(&tree.tree)));
        let built = self.build_into(tree, seeds, &folder);
        if built.is_err() {
            // Half of a build must not be found later.
            _ = fs::remove_dir_all(&folder);
        }
        built?;
        self.forget_old();
        kept(&folder).ok_or_else(|| GateError::Infrastructure(format!("{}: not complete", folder.display())))
    }

    fn build_into(&self, tree: &Tree, seeds: &[u32], folder: &Path) -> Result<(), GateError> {
        let sources = self.sources.check_out(tree)?;
        if !sources.join("benches/worker/Cargo.toml").exists() {
            return Err(GateError::NotComparable(format!(
                "{} has no benches/worker: it is older than the gate and cannot be measured; give a newer --base",
                tree.commit
            )));
        }
        fs::create_dir_all(folder).map_err(|error| GateError::file(folder, &error))?;
        let copy = |name: &str, to: &str| {
            let (from, to) = (self.built(name), folder.join(to));
            fs::copy(&from, &to).map_err(|error| GateError::file(&from, &error))
        };
        self.cargo(sources, "gate-exact", None)?;
        copy("gate-exact", "exact")?;
        for (layout, seed) in seeds.iter().enumerate() {
            self.cargo(sources, "gate-worker", self.toolchain.can_shuffle.then_some(*seed))?;
            copy("gate-worker", &format!("worker-{layout}"))?;
        }
        let worker = folder.join("worker-0");
        let listing = list(&worker)?;
        let digests = (0..seeds.len())
            .map(|layout| {
                let path = folder.join(format!("worker-{layout}"));
                fs::read(&path).map(|bytes| digest(&bytes)).map_err(|error| GateError::file(&path, &error))
            })
            .collect::<Result<_, _>>()?;
        let kept = Kept { layouts: seeds.len() as u32, digests, listing };
        let text = serde_json::to_string_pretty(&kept).unwrap_or_default();
        let path = folder.join("kept.json");
        fs::write(&path, text).map_err(|error| GateError::file(&path, &error))
    }

    fn cargo(&self, sources: &Path, bin: &str, link_seed: Option<u32>) -> Result<(), GateError> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(sources).args(["rustc", "--quiet", "--locked", "--package", "gate-worker"]);
        cargo.args(["--bin", bin, "--profile", "gate", "--target-dir"]).arg(self.cache.join("target"));
        for setting in PROFILE {
            cargo.args(["--config", setting]);
        }
        // Ours, or cargo's own when a test runs under cargo, must not decide where things are built.
        cargo.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR");
        if let Some(seed) = link_seed {
            cargo.args(["--", "-C"]).arg(format!("link-arg=-Wl,--shuffle-sections=*={seed}"));
        }
        let output = cargo
            .stdin(Stdio::null())
            .output()
            .map_err(|error| GateError::Infrastructure(format!("cargo: {error}")))?;
        if output.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&output.stderr);
        let errors: Vec<&str> = why.lines().filter(|line| line.starts_with("error")).take(5).collect();
        let folder = sources.display();
        Err(GateError::Infrastructure(format!(
            "{bin} does not build ({}): {}\nsee it in full: cd {folder} && cargo build --package gate-worker",
            output.status,
            errors.join("; ")
        )))
    }

    fn built(&self, name: &str) -> PathBuf {
        self.cache.join("target/gate").join(name)
    }

    fn key(&self, tree: &Tree, seeds: &[u32]) -> String {
        let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        digest(format!("{}\n{}\n{flags}\n{PROFILE:?}\n{seeds:?}", tree.tree, self.toolchain.key).as_bytes())
    }

    fn forget_old(&self) {
        let Ok(entries) = fs::read_dir(self.cache.join("executables")) else { return };
        let mut folders: Vec<_> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        folders.sort();
        let idle = folders.len().saturating_sub(KEPT_MAX);
        for (_, path) in folders.drain(..idle) {
            // What cannot be removed is tried again next time.
            _ = fs::remove_dir_all(path);
        }
    }
}

impl Toolchain {
    fn find(cache: &Path) -> Result<Self, GateError> {
        let output = Command::new("rustc").arg("-vV").output().map_err(|error| {
            GateError::Infrastructure(format!("rustc: {error}; install Rust 1.88 or later"))
        })?;
        let key = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = key.lines().next().unwrap_or_default().to_owned();
        let can_shuffle = can_shuffle(cache);
        Ok(Self { version, key, can_shuffle })
    }
}

/// Whether the default linker understands `--shuffle-sections`: tried, not guessed.
fn can_shuffle(cache: &Path) -> bool {
    let source = cache.join("probe.rs");
    let linked = fs::write(&source, "fn main() {}\n").is_ok()
        && Command::new("rustc")
            .args(["-C", "link-arg=-Wl,--shuffle-sections=*=7", "-o"])
            .arg(cache.join("probe"))
            .arg(&source)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    _ = fs::remove_file(source);
    _ = fs::remove_file(cache.join("probe"));
    linked
}

/// The executables in a folder, if all of them are there.
fn kept(folder: &Path) -> Option<Executables> {
    let text = fs::read_to_string(folder.join("kept.json")).ok()?;
    let Kept { layouts, digests, listing } = serde_json::from_str(&text).ok()?;
    let workers: Vec<PathBuf> = (0..layouts).map(|layout| folder.join(format!("worker-{layout}"))).collect();
    let exact = folder.join("exact");
    let is_whole = workers.iter().chain([&exact]).all(|path| path.exists());
    is_whole.then_some(Executables { workers, exact, digests, listing })
}

/// What a worker can measure.
pub(super) fn list(worker: &Path) -> Result<Listing, GateError> {
    let output =
        Command::new(worker).arg("list").output().map_err(|error| GateError::file(worker, &error))?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        GateError::NotComparable(format!(
            "{}: its list of benchmarks is not one this gate reads ({error}); the worker's protocol changed",
            worker.display()
        ))
    })
}

/// FNV-1a, 128 bits: names a file, and defends against nobody.
fn digest(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    format!("{hash:032x}")
}

/// The first letters of a hash.
pub(super) fn short(hash: &str) -> &str {
    if hash.len() >= 40 { &hash[..12] } else { hash }
}
