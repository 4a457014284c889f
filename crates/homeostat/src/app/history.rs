//! The journal, as `web` reads it.

use homeostat_core::fact::Fact;
use homeostat_core::name::IncidentId;

use crate::journal::{self, JournalError, Reader};
use crate::web::api::{Filter, History, Page, ReadError};

/// Lets `web` read the journal without knowing it.
#[derive(Debug)]
pub(super) struct Committed(pub(super) Reader);

impl History for Committed {
    fn list(&self, filter: &Filter) -> Result<Page, ReadError> {
        let filter = journal::Filter {
            state: filter.state.clone(),
            policy: filter.policy.clone(),
            target: filter.target.clone(),
            limit: filter.limit,
            before: filter.before,
        };
        let page = self.0.list(&filter).map_err(|error| read_error(&error))?;
        Ok(Page { incidents: page.incidents, next: page.next })
    }

    fn incident(&self, id: IncidentId) -> Result<Option<Vec<Fact>>, ReadError> {
        self.0.incident(id).map_err(|error| read_error(&error))
    }
}

fn read_error(error: &JournalError) -> ReadError {
    ReadError(crate::driver::chain(error))
}
