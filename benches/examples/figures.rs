//! The figures of performance: `cargo run --release -p benches --example figures [routing|scaling|mix|fanout|queue|simulation|memory|overload]…`.

use std::io::Write;

use benches::figures::{self, Figure};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let name = |figure: &Figure| format!("{figure:?}").to_lowercase();
    let chosen: Vec<Figure> = Figure::ALL
        .into_iter()
        .filter(|figure| wanted.is_empty() || wanted.contains(&name(figure)))
        .collect();
    for figure in chosen {
        let report = figures::report(&figures::measure(&[figure]));
        for case in &report.cases {
            writeln!(std::io::stdout(), "{} {}: {}", case.outcome.label(), case.name, case.detail)?;
        }
    }
    Ok(())
}
