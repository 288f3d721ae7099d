//! Which page of a list to show.

use pgmill::ListRequest;

use crate::args;

#[derive(Debug, clap::Args)]
pub(crate) struct PageArgs {
    /// How many to skip.
    #[arg(long, value_name = "N", value_parser = args::uint)]
    offset: Option<u64>,
    /// How many to list, at most 100. Default 100; with 0 only their number is told.
    #[arg(long, value_name = "N", value_parser = args::uint)]
    limit: Option<u64>,
}

impl PageArgs {
    pub(crate) fn request(&self) -> ListRequest {
        ListRequest { offset: self.offset.unwrap_or(0), limit: self.limit }
    }
}
