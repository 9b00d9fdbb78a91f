//! Which server a simulation plays, as the command line names it.

use super::{Hazard, Hazards, shown};

/// The server in the middle of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Played {
    /// The canonical router.
    Router,
    /// The server made of the old parts' models, with these hazards on.
    Legacy(Hazards),
    /// The canonical router with a planted defect.
    #[cfg(feature = "mutants")]
    Mutant(router::Mutant),
}

/// Old parts under one name: the way of an event to its connections.
const DELIVERY: [&str; 4] = ["event_router", "scoped_router", "broadcast", "manager"];

impl Played {
    /// The server of a name: `router`; `legacy`, with the hazards named and no other; `legacy-PART`, with all hazards
    /// of an old part or of a catalogue, unless some are named. A hazard is named with or without its unit; `all`
    /// names all that show in a running server.
    ///
    /// # Errors
    /// What is not known, and what would be near it.
    pub fn named(subject: &str, hazards: &[String]) -> Result<Self, String> {
        let given = hazards.iter().try_fold(Hazards::NONE, |set, name| {
            Ok::<_, String>(if name == "all" { all(|_, _| true, set) } else { set.with(hazard(name)?) })
        })?;
        match subject.strip_prefix("legacy") {
            None if subject == "router" && hazards.is_empty() => Ok(Self::Router),
            #[cfg(feature = "mutants")]
            None if subject.starts_with("mutant-") && hazards.is_empty() => {
                let mutant = router::Mutant::named(&subject["mutant-".len()..]);
                mutant.map(Self::Mutant).ok_or_else(|| format!("no planted defect is called `{subject}`"))
            }
            None if subject == "router" => {
                Err("the router has no hazards: add `--subject legacy`".to_owned())
            }
            Some("") => Ok(Self::Legacy(given)),
            Some(part) if part.starts_with('-') => {
                let of_part = of_part(&part[1..])?;
                Ok(Self::Legacy(if hazards.is_empty() { of_part } else { given }))
            }
            Some(_) | None => Err(format!(
                "no server is called `{subject}`: router, legacy, or legacy-PART with PART one of {}",
                parts()
            )),
        }
    }

    /// Its name, and those of its hazards, as [`named`](Self::named) takes them.
    pub fn name(&self) -> (String, Vec<String>) {
        let subject = match self {
            Self::Router => "router".to_owned(),
            Self::Legacy(_) => "legacy".to_owned(),
            #[cfg(feature = "mutants")]
            Self::Mutant(mutant) => format!("mutant-{}", mutant.name()),
        };
        (subject, self.names().unwrap_or_default())
    }

    /// What the command line adds to name it again.
    pub fn arguments(&self) -> String {
        match self {
            Self::Router => String::new(),
            Self::Legacy(hazards) => hazards
                .iter()
                .fold(" --subject legacy".to_owned(), |text, hazard| format!("{text} --hazard {hazard}")),
            #[cfg(feature = "mutants")]
            Self::Mutant(mutant) => format!(" --subject mutant-{}", mutant.name()),
        }
    }

    /// The hazards in words: the first few by name. The command that repeats the run names them all.
    pub(crate) fn hazards_text(&self) -> String {
        let names = self.names().unwrap_or_default();
        match names.as_slice() {
            [] => "none".to_owned(),
            [first @ .., _, _] if names.len() > NAMES_MAX => {
                let shown = &first[..NAMES_MAX - 1];
                format!("{} and {} more", shown.join(" "), names.len() - shown.len())
            }
            all => all.join(" "),
        }
    }

    /// The names of the hazards that are on; nothing for the router.
    pub(crate) fn names(&self) -> Option<Vec<String>> {
        match self {
            Self::Router => None,
            #[cfg(feature = "mutants")]
            Self::Mutant(_) => None,
            Self::Legacy(hazards) => Some(hazards.iter().map(|hazard| hazard.to_string()).collect()),
        }
    }
}

/// Hazards that are named one by one.
const NAMES_MAX: usize = 4;

/// The hazard of a name that shows in a running server.
fn hazard(name: &str) -> Result<Hazard, String> {
    let Some(hazard) = Hazard::named(name) else {
        return Err(format!("no hazard is called `{name}`: near it are {}", nearest(name).join(", ")));
    };
    if shown::shows(hazard) {
        Ok(hazard)
    } else {
        Err(format!("{hazard} does not show in a running server: {}", shown::why_not(hazard)))
    }
}

fn of_part(part: &str) -> Result<Hazards, String> {
    let within = |catalogue: &str, unit: &str| {
        part == catalogue || part == unit || (part == "delivery" && DELIVERY.contains(&unit))
    };
    if Hazard::rows().any(|(catalogue, row)| within(catalogue.name(), row.unit)) {
        Ok(all(within, Hazards::NONE))
    } else {
        Err(format!("no part is called `{part}`: one of {}", parts()))
    }
}

/// The hazards of some units that show, added to a set.
fn all(within: impl Fn(&str, &str) -> bool, set: Hazards) -> Hazards {
    Hazard::rows()
        .filter(|(catalogue, row)| within(catalogue.name(), row.unit) && shown::shows(row.hazard))
        .fold(set, |set, (_, row)| set.with(row.hazard))
}

fn parts() -> String {
    let mut parts = vec!["delivery"];
    for (catalogue, row) in Hazard::rows() {
        for name in [catalogue.name(), row.unit] {
            if !parts.contains(&name) {
                parts.push(name);
            }
        }
    }
    parts.join(", ")
}

/// The ids that differ least from a name.
fn nearest(name: &str) -> Vec<String> {
    let name = name.rsplit('.').next().unwrap_or(name).to_ascii_uppercase();
    let mut ids: Vec<(usize, String)> =
        Hazard::rows().map(|(_, row)| (distance(&name, &row.hazard.id()), row.hazard.to_string())).collect();
    ids.sort_by_key(|(distance, _)| *distance);
    ids.into_iter().take(3).map(|(_, id)| id).collect()
}

/// Letters to change, add or leave out to make one text the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for column in 0..other.len() {
            let changed = diagonal + usize::from(other[column] != letter);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(subject: &str, hazards: &[&str]) -> Result<Played, String> {
        Played::named(subject, &hazards.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn servers_and_hazards_are_named() {
        assert_eq!(named("router", &[]), Ok(Played::Router));
        assert_eq!(named("legacy", &[]), Ok(Played::Legacy(Hazards::NONE)));
        let one = Played::Legacy(Hazards::of([Hazard::G0]));
        for name in ["G0", "g0", "endpoint.G0"] {
            assert_eq!(named("legacy", &[name]).as_ref(), Ok(&one));
            assert_eq!(named("legacy-emitter", &[name]).as_ref(), Ok(&one), "named ones win");
        }
        let Ok(Played::Legacy(part)) = named("legacy-endpoint", &[]) else { panic!("a server") };
        assert!(part.has(Hazard::G0) && part.iter().all(|hazard| hazard.row().1.unit == "endpoint"));
        let again: Vec<String> = Played::Legacy(part).names().unwrap_or_default();
        assert_eq!(Played::named("legacy", &again), Ok(Played::Legacy(part)));
        for played in [Played::Router, one] {
            let (subject, hazards) = played.name();
            assert_eq!(Played::named(&subject, &hazards), Ok(played));
        }
    }

    #[test]
    fn what_is_not_known_is_said_with_what_is_near_it() {
        for (subject, hazards, near) in [
            ("legacy", &["G00"][..], "endpoint.G0"),
            ("legacy", &["H1x"], "message_router.H1"),
            ("legacy-emiter", &[], "emitter"),
            ("rooter", &[], "legacy"),
            ("router", &["G0"], "--subject legacy"),
        ] {
            let error = named(subject, hazards).expect_err("not known");
            assert!(error.contains(near), "{error}");
        }
    }
}
