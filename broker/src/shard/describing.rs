//! DescribeConfigs, a piece in every turn.
//!
//! Invariant: a connection has at most one, and waits for its next turn as long as it has one.

use flumen_log::io::ConnectionId;
use flumen_protocol::describe_configs::DescribeConfigsRequest;

use super::{Return, Shard};
use crate::admin::ConfigDescription;

/// A DescribeConfigs under way.
#[derive(Debug)]
pub(crate) struct Describing {
    way: Return,
    description: ConfigDescription,
}

impl Shard {
    pub(super) fn start_describe_configs(&mut self, way: Return, request: DescribeConfigsRequest) {
        let id = way.ticket.connection;
        let description = ConfigDescription::new(request, self.settings.limits.reply_bytes);
        self.describing.insert(id, Describing { way, description });
        self.describe_on(id);
    }

    /// Describe as much as the turn has room for.
    pub(super) fn describe_on(&mut self, id: ConnectionId) {
        let Some(mut describing) = self.describing.remove(&id) else { return };
        while self.fairness.may_start(self.settings.limits.control_bytes_per_turn) {
            let Some(bytes) = describing.description.next(&self.metadata.image, &self.settings.admin) else {
                let Describing { way, description } = describing;
                return self.answer(&way, description.into_response());
            };
            self.fairness.spend(id, bytes);
        }
        self.describing.insert(id, describing);
        self.fairness.defer(id);
    }
}
