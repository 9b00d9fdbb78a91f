//! `goldenpath migrate`.

use std::{collections::BTreeMap, fs, path::Path};

use ignore::WalkBuilder;
use reports::Verdict;
use serde::Serialize;

use crate::{
    arguments::{MigrateCommand, MigrateOptions},
    failure::Failure,
    migrate::{self, Hit, Language},
    output,
};

/// What a scan found; printed as JSON on request.
#[derive(Serialize)]
struct Scan {
    schema: &'static str,
    /// Sources that were read.
    files: usize,
    /// Those that name something replaced.
    files_with_hits: usize,
    /// Share of files without a hit, percent.
    compliance_percent: f64,
    /// Files with a place that the parser does not understand, and the line at which the first begins: in it something
    /// may have been missed.
    broken: BTreeMap<String, usize>,
    /// Hits per file.
    counts: BTreeMap<String, usize>,
    hits: BTreeMap<String, Vec<Hit>>,
}

pub(crate) fn run(options: &MigrateOptions) -> Result<Verdict, Failure> {
    let MigrateCommand::Scan { path, at_least, json } = &options.command;
    let scan = scan(path)?;
    let text = if *json {
        let text =
            serde_json::to_string_pretty(&scan).map_err(|error| Failure::Internal(error.to_string()))?;
        text + "\n"
    } else {
        told(&scan)
    };
    output::data(&text)?;
    Ok(if scan.compliance_percent < *at_least { Verdict::Findings } else { Verdict::Pass })
}

fn scan(root: &Path) -> Result<Scan, Failure> {
    let (mut hits, mut broken) = (BTreeMap::new(), BTreeMap::new());
    let mut files = 0;
    // Hidden directories and what .gitignore names are left out, as in every tool that walks sources.
    for entry in WalkBuilder::new(root).sort_by_file_path(Path::cmp).require_git(false).build() {
        let entry = entry.map_err(|error| Failure::Usage(error.to_string()))?;
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let Some(language) = Language::of_extension(extension).filter(|_| path.is_file()) else { continue };
        let bytes = fs::read(path).map_err(|error| Failure::unreadable(path, &error))?;
        files += 1;
        let parts: Vec<String> =
            path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        // A source in another encoding is still searched: names are ASCII.
        let scanned = migrate::scan(language, &parts, &String::from_utf8_lossy(&bytes))
            .map_err(|error| Failure::Internal(format!("{}: {error}", path.display())))?;
        if let Some(line) = scanned.broken_at {
            broken.insert(path.display().to_string(), line);
        }
        if !scanned.hits.is_empty() {
            hits.insert(path.display().to_string(), scanned.hits);
        }
    }
    if files == 0 {
        return Err(Failure::Usage(format!("{}: no .py, .pyi or .rs file in it", root.display())));
    }
    let counts = hits.iter().map(|(path, hits)| (path.clone(), hits.len())).collect();
    let compliance_percent = 100.0 * (files - hits.len()) as f64 / files as f64;
    let files_with_hits = hits.len();
    let schema = "goldenpath.migration/1";
    Ok(Scan { schema, files, files_with_hits, compliance_percent, broken, counts, hits })
}

fn told(scan: &Scan) -> String {
    let mut text = String::new();
    for (path, hits) in &scan.hits {
        for hit in hits {
            let kind = match hit.kind {
                migrate::HitKind::Import => "import of",
                migrate::HitKind::Use => "use of",
            };
            let Hit { line, column, legacy, canonical, .. } = hit;
            text.push_str(&format!("{path}:{line}:{column}: {kind} {legacy} -> {canonical}\n"));
        }
    }
    if !scan.counts.is_empty() {
        text.push('\n');
    }
    for (path, count) in &scan.counts {
        text.push_str(&format!("{count:>6}  {path}\n"));
    }
    for (path, line) in &scan.broken {
        text.push_str(&format!(
            "{path}:{line}: the parser does not understand what begins here; something in it may have been missed\n"
        ));
    }
    text.push_str(&format!(
        "{} of {} files name something replaced: compliance {:.1} %\n",
        scan.files_with_hits, scan.files, scan.compliance_percent
    ));
    text
}
