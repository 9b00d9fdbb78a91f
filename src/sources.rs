//! Scenarios by name or by file.

use std::{fs, path::Path};

use simulator::scenario::{self, Scenario};

use crate::failure::Failure;

/// The scenario that plain `sim` and `serve` use.
pub(crate) const DEFAULT_SCENARIO: &str = "golden-path";

/// The text of a scenario, and the name errors call it by.
pub(crate) fn scenario_text(name_or_path: &str) -> Result<(String, String), Failure> {
    let embedded = scenario::embedded().iter().find(|(name, _)| *name == name_or_path);
    if let Some((name, text)) = embedded {
        return Ok((format!("scenarios/{name}.toml"), (*text).to_owned()));
    }
    let path = Path::new(name_or_path);
    let looks_like_path = path.extension().is_some() || name_or_path.contains(std::path::MAIN_SEPARATOR);
    if !looks_like_path {
        let names: Vec<&str> = scenario::embedded().iter().map(|(name, _)| *name).collect();
        return Err(Failure::Usage(format!(
            "no scenario is called `{name_or_path}`: give a file, or one of {}",
            names.join(", ")
        )));
    }
    let text = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
    Ok((name_or_path.to_owned(), text))
}

/// A scenario, parsed.
pub(crate) fn scenario(name_or_path: &str) -> Result<Scenario, Failure> {
    let (name, text) = scenario_text(name_or_path)?;
    Scenario::parse(&name, &text).map_err(|error| Failure::Usage(error.to_string()))
}
