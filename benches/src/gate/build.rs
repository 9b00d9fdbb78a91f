//! The executables of a revision, built once and kept. Executables are kept, timings never are.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use gate_worker::protocol::{Listed, Listing};
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

/// Functions begin at multiples of 64 bytes, the length of a cache line, and blocks that nothing falls into at multiples of
/// 32. Where they begin would else change with every link order and with every change of another function, and that moves
/// a short benchmark by several percent, which is nobody's merit or fault.
const ALIGNED: [&str; 4] =
    ["-C", "llvm-args=-align-all-functions=6", "-C", "llvm-args=-align-all-nofallthru-blocks=5"];

/// Link orders of what goes over sockets: the kernel does half of the work there, and a link takes longer.
const LOOPBACK_ORDERS: u32 = 4;

/// Kept programs that were not used for the longest time go when there are more.
const KEPT_MAX: usize = 30;

/// What a revision is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Counts what needs no clock; not timed.
    Exact,
    /// The router alone, timed.
    Worker,
    /// A server and its clients over loopback sockets, timed.
    Loopback,
}

impl Program {
    /// How every benchmark of [`Program::Loopback`] is called first, so that one knows what to build for it.
    const LOOPBACK: &str = "loopback.";

    /// The program that has a benchmark of that name, if one has.
    pub fn of(benchmark: &str) -> Self {
        if benchmark.starts_with(Self::LOOPBACK) { Self::Loopback } else { Self::Worker }
    }

    const fn bin(self) -> &'static str {
        match self {
            Self::Exact => "gate-exact",
            Self::Worker => "gate-worker",
            Self::Loopback => "gate-loopback",
        }
    }

    /// The package it is built from and its folder.
    const fn package(self) -> (&'static str, &'static str) {
        match self {
            Self::Exact | Self::Worker => ("gate-worker", "benches/worker"),
            Self::Loopback => ("gate-loopback", "benches/loopback"),
        }
    }
}

/// A program that is timed, once per link order.
#[derive(Clone, Debug)]
pub struct Timed {
    /// Which.
    pub program: Program,
    /// Its executables.
    pub workers: Vec<PathBuf>,
    /// A hash of each.
    pub digests: Vec<String>,
    /// What it can measure.
    pub listing: Listing,
}

/// The link orders of one side: seeds in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orders {
    /// The first seed.
    pub first: u32,
    /// How many. Where functions lie moves a short benchmark by several percent, so a set of few is itself faster or
    /// slower than another: see `docs/gate.md`.
    pub count: u32,
}

impl Orders {
    /// As many as the bias of a set needs to be small against the limit.
    pub const DEFAULT: Orders = Orders { first: 1, count: 16 };

    /// As many others, none of them among these.
    #[must_use]
    pub const fn others(self) -> Self {
        Orders { first: self.first + self.count, ..self }
    }

    /// The seeds for a program.
    fn seeds(self, program: Program) -> Range<u32> {
        match program {
            Program::Exact => 0..0,
            Program::Worker => self.first..self.first + self.count,
            Program::Loopback => self.first..self.first + self.count.min(LOOPBACK_ORDERS),
        }
    }
}

/// What is wanted of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whether [`Program::Exact`] is.
    pub exact: bool,
    /// Which of the timed ones.
    pub timed: Vec<Program>,
    /// Their link orders.
    pub orders: Orders,
}

impl Wanted {
    /// What counts.
    pub fn exact() -> Self {
        Self { exact: true, timed: Vec::new(), orders: Orders::DEFAULT }
    }

    /// What times a benchmark, in these link orders.
    pub fn timed(benchmark: &str, orders: Orders) -> Self {
        Self { exact: false, timed: vec![Program::of(benchmark)], orders }
    }
}

/// A revision's programs, as far as they were wanted and the revision has them.
#[derive(Clone, Debug)]
pub struct Executables {
    exact: Option<PathBuf>,
    /// The timed ones.
    pub timed: Vec<Timed>,
}

impl Executables {
    /// The one that counts.
    ///
    /// # Errors
    /// It was not wanted.
    pub fn exact(&self) -> Result<&Path, GateError> {
        let missing = || GateError::Infrastructure("the counting program was not built".to_owned());
        self.exact.as_deref().ok_or_else(missing)
    }

    /// Every benchmark that can be timed, with the program that has it.
    pub fn listed(&self) -> impl Iterator<Item = (&Timed, &Listed)> {
        self.timed.iter().flat_map(|timed| timed.listing.benchmarks.iter().map(move |listed| (timed, listed)))
    }

    /// The benchmark of that name.
    pub fn find(&self, name: &str) -> Option<(&Timed, &Listed)> {
        self.listed().find(|(_, listed)| listed.name == name)
    }

    /// The names of all of them.
    pub fn names(&self) -> Vec<&str> {
        self.listed().map(|(_, listed)| listed.name.as_str()).collect()
    }

    /// A hash of each timed executable.
    pub fn digests(&self) -> Vec<String> {
        self.timed.iter().flat_map(|timed| timed.digests.iter().cloned()).collect()
    }
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

/// What lies beside the kept executables of a program.
#[derive(Serialize, Deserialize)]
struct Kept {
    digests: Vec<String>,
    /// None of one that is not timed.
    listing: Option<Listing>,
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

    /// The programs of a revision. `talk` hears what takes long.
    ///
    /// # Errors
    /// [`GateError::NotComparable`] if the revision has no worker, [`GateError::Infrastructure`] if it does not build.
    pub fn build(
        &self,
        tree: &Tree,
        wanted: &Wanted,
        talk: &mut dyn FnMut(&str),
    ) -> Result<Executables, GateError> {
        if !self.sources.has(tree, "benches/worker/Cargo.toml") {
            return Err(GateError::NotComparable(format!(
                "{} has no benches/worker: it is older than the gate and cannot be measured; give a newer --base",
                tree.commit
            )));
        }
        let mut built = Executables { exact: None, timed: Vec::new() };
        if wanted.exact {
            let (folder, _) = self.program(tree, Program::Exact, wanted.orders, talk)?;
            built.exact = Some(folder.join("0"));
        }
        for program in wanted.timed.iter().copied() {
            // A revision from before a program has none of its benchmarks.
            if !self.sources.has(tree, &format!("{}/Cargo.toml", program.package().1)) {
                continue;
            }
            let (folder, kept) = self.program(tree, program, wanted.orders, talk)?;
            let workers = (0..kept.digests.len()).map(|layout| folder.join(layout.to_string())).collect();
            let listing = kept.listing.ok_or_else(|| not_whole(&folder))?;
            built.timed.push(Timed { program, workers, digests: kept.digests, listing });
        }
        Ok(built)
    }

    /// Where a program's executables lie, one per link order or one, and what is known of them.
    fn program(
        &self,
        tree: &Tree,
        program: Program,
        orders: Orders,
        talk: &mut dyn FnMut(&str),
    ) -> Result<(PathBuf, Kept), GateError> {
        let seeds = if self.toolchain.can_shuffle { orders.seeds(program) } else { 0..0 };
        let folder = self.cache.join("executables").join(self.key(tree, program, &seeds));
        if let Some(kept) = kept(&folder) {
            // Its time of use decides how long it is kept.
            _ = fs::File::open(&folder).and_then(|file| file.set_modified(std::time::SystemTime::now()));
            return Ok((folder, kept));
        }
        talk(&format!("building {} of {} ({})", program.bin(), short(&tree.commit), short(&tree.tree)));
        let built = self.build_into(tree, program, seeds, &folder);
        if built.is_err() {
            // Half of a build must not be found later.
            _ = fs::remove_dir_all(&folder);
        }
        built?;
        self.forget_old();
        kept(&folder).map(|kept| (folder.clone(), kept)).ok_or_else(|| not_whole(&folder))
    }

    fn build_into(
        &self,
        tree: &Tree,
        program: Program,
        seeds: Range<u32>,
        folder: &Path,
    ) -> Result<(), GateError> {
        let sources = self.sources.check_out(tree)?;
        fs::create_dir_all(folder).map_err(|error| GateError::file(folder, &error))?;
        let is_timed = program != Program::Exact;
        let orders = if seeds.is_empty() { vec![None] } else { seeds.map(Some).collect() };
        let mut digests = Vec::new();
        for (layout, seed) in orders.iter().enumerate() {
            self.cargo(sources, program, *seed)?;
            let (from, to) = (self.built(program), folder.join(layout.to_string()));
            fs::copy(&from, &to).map_err(|error| GateError::file(&from, &error))?;
            let bytes = fs::read(&to).map_err(|error| GateError::file(&to, &error))?;
            digests.push(digest(&bytes));
        }
        let listing = is_timed.then(|| list(&folder.join("0"))).transpose()?;
        let text = serde_json::to_string_pretty(&Kept { digests, listing }).unwrap_or_default();
        let path = folder.join("kept.json");
        fs::write(&path, text).map_err(|error| GateError::file(&path, &error))
    }

    fn cargo(&self, sources: &Path, program: Program, link_seed: Option<u32>) -> Result<(), GateError> {
        let (bin, (package, _)) = (program.bin(), program.package());
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(sources).args(["rustc", "--quiet", "--locked", "--package", package]);
        cargo.args(["--bin", bin, "--profile", "gate", "--target-dir"]).arg(self.cache.join("target"));
        for setting in PROFILE {
            cargo.args(["--config", setting]);
        }
        // Where the variable is set, even to nothing, cargo reads no others; else ours join those of the configuration.
        match std::env::var("RUSTFLAGS") {
            Ok(flags) => cargo.env("RUSTFLAGS", format!("{flags} {}", ALIGNED.join(" "))),
            Err(_) => cargo.args(["--config", &format!("build.rustflags={ALIGNED:?}")]),
        };
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
            "{bin} does not build ({}): {}\nsee it in full: cd {folder} && cargo build --package {package}",
            output.status,
            errors.join("; ")
        )))
    }

    fn built(&self, program: Program) -> PathBuf {
        self.cache.join("target/gate").join(program.bin())
    }

    fn key(&self, tree: &Tree, program: Program, seeds: &Range<u32>) -> String {
        let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        let (bin, compiler) = (program.bin(), &self.toolchain.key);
        digest(
            format!("{bin}\n{}\n{compiler}\n{flags}\n{PROFILE:?}\n{ALIGNED:?}\n{seeds:?}", tree.tree)
                .as_bytes(),
        )
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

/// What is known of the executables in a folder, if all of them are there.
fn kept(folder: &Path) -> Option<Kept> {
    let text = fs::read_to_string(folder.join("kept.json")).ok()?;
    let kept: Kept = serde_json::from_str(&text).ok()?;
    let is_whole = (0..kept.digests.len()).all(|layout| folder.join(layout.to_string()).exists());
    is_whole.then_some(kept)
}

fn not_whole(folder: &Path) -> GateError {
    GateError::Infrastructure(format!("{}: not complete; remove the folder and run again", folder.display()))
}

/// What a worker can measure.
fn list(worker: &Path) -> Result<Listing, GateError> {
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
