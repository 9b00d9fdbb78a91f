//! What a change declares as accepted: a file that is part of the change, so that a reviewer sees it.
//!
//! An entry counts only while the base does not have it: as soon as the change is merged, the base contains its cost,
//! and the entry excuses nothing more.

use std::{fs, path::Path};

use reports::Accepted;
use serde::{Deserialize, Serialize};

use super::error::GateError;

/// Where the file is, from the top of the repository.
pub const PATH: &str = "benches/gate/accepted.json";

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    accepted: Vec<Accepted>,
}

/// The entries of a file's text.
///
/// # Errors
/// It is not such a file.
pub fn parse(text: &str) -> Result<Vec<Accepted>, GateError> {
    let file: File =
        serde_json::from_str(text).map_err(|error| GateError::Usage(format!("{PATH}: {error}")))?;
    Ok(file.accepted)
}

/// The entries that the head has and the base has not.
///
/// # Errors
/// One of the two is no such file.
pub fn declared(base: Option<&str>, head: Option<&str>) -> Result<Vec<Accepted>, GateError> {
    let old = base.map(parse).transpose()?.unwrap_or_default();
    let mut new = head.map(parse).transpose()?.unwrap_or_default();
    new.retain(|entry| !old.contains(entry));
    Ok(new)
}

/// The largest ratio that the change declares as accepted for a time, if it does and it is a number.
pub fn limit(accepted: &[Accepted], title: &str) -> Option<f64> {
    let entry = accepted.iter().find(|entry| entry.what == title)?;
    entry.value.parse().ok().filter(|limit: &f64| limit.is_finite() && *limit >= 1.0)
}

/// Adds entries to the file in `root`; one for the same thing is replaced.
///
/// # Errors
/// The file cannot be read or written.
pub fn add(root: &Path, entries: &[Accepted]) -> Result<(), GateError> {
    let path = root.join(PATH);
    let mut accepted = match fs::read_to_string(&path) {
        Ok(text) => parse(&text)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(GateError::file(&path, &error)),
    };
    accepted.retain(|old| entries.iter().all(|new| new.what != old.what));
    accepted.extend_from_slice(entries);
    accepted.sort_by(|one, other| one.what.cmp(&other.what));
    let text = serde_json::to_string_pretty(&File { accepted }).unwrap_or_default() + "\n";
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| GateError::file(folder, &error))?;
    }
    fs::write(&path, text).map_err(|error| GateError::file(&path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_until_the_base_has_it() {
        let entry = |value: &str| {
            format!(r#"{{"accepted":[{{"what":"route.jsonrpc","value":"{value}","reason":"checks more"}}]}}"#)
        };
        let (old, new) = (entry("1.1"), entry("1.2"));
        assert_eq!(limit(&declared(None, Some(&new)).unwrap(), "route.jsonrpc"), Some(1.2));
        assert_eq!(limit(&declared(Some(&old), Some(&new)).unwrap(), "route.jsonrpc"), Some(1.2));
        assert!(declared(Some(&new), Some(&new)).unwrap().is_empty());
        assert!(declared(Some(&new), None).unwrap().is_empty());
        assert!(declared(None, Some("{}")).is_err());
        assert_eq!(limit(&parse(&entry("all")).unwrap(), "route.jsonrpc"), None);
    }
}
