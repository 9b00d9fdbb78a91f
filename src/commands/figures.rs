//! `goldenpath figures`.

use reports::Verdict;

use crate::{arguments::FiguresOptions, failure::Failure};

pub(crate) fn run(_: &FiguresOptions) -> Result<Verdict, Failure> {
    Err(Failure::Internal("not yet".to_owned()))
}
