//! A sweep as tables that every format shows.

use std::collections::BTreeMap;

use super::Sweep;
use crate::{
    Unit,
    quantity::grouped,
    table::{DASH, Table},
};

/// Headings and tables; those without a row are left out.
pub(crate) fn tables(sweep: &Sweep) -> Vec<(&'static str, Table)> {
    let all = [
        ("Failing seeds, the fastest of each rule", failing(sweep)),
        ("Conditions", conditions(sweep)),
        ("Run state × event × fault", triples(sweep)),
        ("On this machine (not deterministic)", measured(sweep)),
    ];
    all.into_iter().filter(|(_, table)| !table.rows.is_empty()).collect()
}

fn failing(sweep: &Sweep) -> Table {
    let mut rows = Vec::new();
    for (rule, broken) in &sweep.rules {
        for failing in &broken.fastest {
            rows.push(vec![
                rule.clone(),
                grouped(broken.seeds),
                failing.seed.to_string(),
                grouped(failing.inputs),
                Unit::Microseconds.amount(failing.virtual_us as f64),
                failing.finding.detail.clone(),
            ]);
        }
    }
    Table::new(&["Rule", "#Seeds", "#Seed", "#Inputs", "#Virtual time", "First finding"], rows)
}

/// Those never met first, then the rarest.
pub(crate) fn conditions(sweep: &Sweep) -> Table {
    let mut sorted: Vec<_> = sweep.conditions.iter().collect();
    sorted.sort_by_key(|condition| condition.seeds);
    let row = |condition: &&super::Condition| {
        let first = condition.first_seed.map_or(DASH.to_owned(), |seed| seed.to_string());
        vec![condition.name.clone(), grouped(condition.seeds), first, condition.about.clone()]
    };
    Table::new(&["Condition", "#Seeds", "#First seed", "What it is"], sorted.iter().map(row).collect())
}

/// One line per fault, the one with most first.
fn triples(sweep: &Sweep) -> Table {
    let mut faults: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for triple in &sweep.triples.met {
        let row = faults.entry(&triple.fault).or_insert((0, 0, u64::MAX));
        *row = (row.0 + 1, row.1 + triple.times, row.2.min(triple.first_seed));
    }
    let mut rows: Vec<_> = faults.into_iter().collect();
    rows.sort_by_key(|(_, (met, _, _))| std::cmp::Reverse(*met));
    let row = |(fault, (met, times, first)): (&str, (u64, u64, u64))| {
        vec![fault.to_owned(), grouped(met), grouped(times), first.to_string()]
    };
    Table::new(
        &["Fault in force", "#Pairs met", "#Times", "#First seed"],
        rows.into_iter().map(row).collect(),
    )
}

fn measured(sweep: &Sweep) -> Table {
    let Some(measured) = &sweep.measured else { return Table::new(&["What", "#Value"], Vec::new()) };
    let totals = &sweep.totals;
    let per_s = |count: u64, us: u64| Unit::PerSecond.amount(count as f64 * 1e6 / us as f64);
    let rows = [
        ("threads", measured.jobs.to_string()),
        ("time by the clock", Unit::Microseconds.amount(measured.wall_us as f64)),
        ("processor time", Unit::Microseconds.amount(measured.cpu_us as f64)),
        ("seeds by the clock", per_s(totals.seeds, measured.wall_us)),
        ("frames delivered per processor second", per_s(totals.delivered, measured.cpu_us)),
    ];
    let rows = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]);
    Table::new(&["What", "#Value"], rows.collect())
}
