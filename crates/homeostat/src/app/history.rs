//! The journal, as `web` reads it.

use homeostat_core::name::IncidentId;

use crate::deeds::{Deeds, Search};
use crate::journal::{self, JournalError, Reader};
use crate::web::api::{Filter, History, Open, Page, ReadError, Story};

/// Lets `web` read the journal without knowing it.
#[derive(Debug)]
pub(super) struct Committed(pub(super) Reader);

impl History for Committed {
    fn list(&self, filter: &Filter) -> Result<Page, ReadError> {
        let filter = journal::Filter {
            state: filter.state.clone(),
            policy: filter.policy.clone(),
            policies: filter.policies.clone(),
            target: filter.target.clone(),
            limit: filter.limit,
            before: filter.before,
        };
        let page = self.0.list(&filter).map_err(|error| read_error(&error))?;
        let incidents = page.incidents.into_iter().map(|(id, read)| (id, story(read)));
        Ok(Page { incidents: incidents.collect(), next: page.next })
    }

    fn incident(&self, id: IncidentId) -> Result<Option<Story>, ReadError> {
        let read = self.0.incident(id).map_err(|error| read_error(&error))?;
        Ok(read.map(story))
    }

    fn open(&self) -> Result<Vec<Open>, ReadError> {
        let open = self.0.open_incidents().map_err(|error| read_error(&error))?;
        let view = |(policy, target, state)| Open { policy, target, state };
        Ok(open.into_iter().map(view).collect())
    }

    fn deeds(&self, search: &Search) -> Result<Deeds, ReadError> {
        self.0.deeds(search).map_err(|error| read_error(&error))
    }
}

fn story(read: journal::Story) -> Story {
    Story { facts: read.facts, left_out: read.left_out }
}

fn read_error(error: &JournalError) -> ReadError {
    ReadError(crate::driver::chain(error))
}
