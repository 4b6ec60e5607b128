//! What all answers to changes share: the controller's refusals in the protocol's words, and answers to whole requests that
//! could not be decided.

use alloc::string::String;
use flumen_controller::{CommandResponse, Refusal};
use flumen_protocol::{ErrorCode, Text};

/// An error and its sentence.
pub(super) type Fault = (ErrorCode, Text);

/// A refusal of the controller.
pub(super) fn refused(refusal: &Refusal) -> Fault {
    (refusal.reason.code(), Text::from(refusal.message.as_str()))
}

/// An error and its sentence for no outcome at all, or one that is for another command.
///
/// A change that could not be decided may still happen, which is what clients expect of a timeout.
pub(super) fn undecided(decision: &Result<CommandResponse, String>) -> Fault {
    match decision {
        Ok(CommandResponse::Refused(refusal)) => refused(refusal),
        Ok(_) => (ErrorCode::UnknownServerError, Text::from_static("The controller answered another question.")),
        Err(why) => (ErrorCode::RequestTimedOut, Text::from(why.as_str())),
    }
}
