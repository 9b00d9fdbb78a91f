//! Small worlds explored whole: they are quiet, symmetry counts what it leaves out, and planted defects are found.

use simulator::explore::{End, Options, Outcome, Scope, explore};

fn explored(scope: &str, symmetry: bool) -> Outcome {
    let scope = Scope::parse(scope).unwrap();
    explore(Options { symmetry, ..Options::new(scope) }).unwrap()
}

#[test]
fn probe() {
    for scope in std::env::var("SCOPES").unwrap().split(' ') {
        let started = std::time::Instant::now();
        let one = explored(scope, true);
        println!("{scope} {:?} {:.2?}", Outcome { end: End::Complete, ..one.clone() }, started.elapsed());
        if let End::Broken(example) = &one.end {
            for (step, answers) in &example.steps {
                println!("  {step}");
                answers.iter().for_each(|answer| println!("      {answer}"));
            }
            println!("  {}", example.breach);
        } else {
            println!("{:?}", one.end);
        }
    }
}
