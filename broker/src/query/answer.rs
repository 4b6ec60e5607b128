//! Answers in the order of the questions.

use flumen_protocol::ErrorCode;

use crate::mail::Answer;

/// The next answer; there is one for each question asked.
pub(crate) fn next(answers: &mut dyn Iterator<Item = Answer>) -> Answer {
    answers.next().unwrap_or(Answer::Refused { error: ErrorCode::UnknownServerError })
}
