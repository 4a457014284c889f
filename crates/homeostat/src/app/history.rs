//! The journal, as `web` reads it.

use homeostat_core::name::IncidentId;

use crate::deeds::{Deeds, Search};
use crate::incidents::{AllOpen, Closings, Filter, Numbered, Open, Page, Story};
use crate::journal::{JournalError, Reader};
use crate::web::api::{History, ReadError};

/// Lets `web` read the journal without knowing it.
#[derive(Debug)]
pub(super) struct Committed(pub(super) Reader);

impl History for Committed {
    fn list(&self, filter: &Filter) -> Result<Page, ReadError> {
        self.0.list(filter).map_err(|error| read_error(&error))
    }

    fn incident(&self, id: IncidentId) -> Result<Option<Story>, ReadError> {
        self.0.incident(id).map_err(|error| read_error(&error))
    }

    fn open(&self) -> Result<Vec<Open>, ReadError> {
        self.0.open_incidents().map_err(|error| read_error(&error))
    }

    fn last(&self) -> Result<i64, ReadError> {
        self.0.last().map_err(|error| read_error(&error))
    }

    fn follow(&self, after: i64, most: usize) -> Result<Vec<Numbered>, ReadError> {
        self.0.follow(after, most).map_err(|error| read_error(&error))
    }

    fn all_open(&self, most: usize) -> Result<AllOpen, ReadError> {
        self.0.all_open(most).map_err(|error| read_error(&error))
    }

    fn story_before(&self, id: IncidentId, before: i64) -> Result<Story, ReadError> {
        self.0.story_before(id, before).map_err(|error| read_error(&error))
    }

    fn days(&self, from: i64, until: i64) -> Result<Vec<Closings>, ReadError> {
        self.0.days(from, until).map_err(|error| read_error(&error))
    }

    fn deeds(&self, search: &Search) -> Result<Deeds, ReadError> {
        self.0.deeds(search).map_err(|error| read_error(&error))
    }
}

fn read_error(error: &JournalError) -> ReadError {
    ReadError(crate::driver::chain(error))
}
