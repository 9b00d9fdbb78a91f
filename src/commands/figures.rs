//! `goldenpath figures`.

use reports::Verdict;

use crate::{arguments::FiguresOptions, failure::Failure, output};

pub(crate) fn run(options: &FiguresOptions) -> Result<Verdict, Failure> {
    output::report(&benches::figures::run(), &options.report)
}
