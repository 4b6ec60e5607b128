//! From what the log says of a batch to what Kafka calls it. Exhaustive on purpose: a new reason must be given its code.

use alloc::string::ToString;
use flumen_log::{
    Offset,
    batch::{BatchError, BatchErrorKind},
    producer::ProducerError,
    store::AppendError,
};
use flumen_protocol::ErrorCode;

use crate::mail::ProduceResult;

/// Why a batch is not fit to be appended (P03–P11).
pub(crate) fn batch_refusal(error: BatchError) -> ProduceResult {
    let code = match error.kind {
        BatchErrorKind::Corrupt => ErrorCode::CorruptMessage,
        BatchErrorKind::MessageTooLarge => ErrorCode::MessageTooLarge,
        BatchErrorKind::RecordListTooLarge => ErrorCode::RecordListTooLarge,
        BatchErrorKind::InvalidTimestamp => ErrorCode::InvalidTimestamp,
        BatchErrorKind::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
        BatchErrorKind::InvalidRecord => ErrorCode::InvalidRecord,
    };
    let record_errors = error.record_errors.into_iter().map(|record| (record.batch_index, record.message)).collect();
    ProduceResult { record_errors, ..ProduceResult::refused(code, error.message) }
}

/// Why a batch was not appended. Where the log itself refused it, the answer says where the log starts (P24); a batch that was found
/// unfit before its log was asked is answered without, where Kafka says it, too.
pub(crate) fn append_refusal(error: &AppendError, log_start: Option<Offset>) -> ProduceResult {
    let refused = |code, message: &alloc::string::String| ProduceResult {
        log_start: log_start.unwrap_or(Offset(-1)),
        ..ProduceResult::refused(code, message.clone())
    };
    match error {
        // The partition is on its way in or out: the client asks again and finds out which.
        AppendError::NotReady | AppendError::StaleEpoch => ProduceResult::refused(ErrorCode::NotLeaderOrFollower, None),
        AppendError::Offline | AppendError::DirectoryFailed | AppendError::OffsetOverflow => {
            ProduceResult::refused(ErrorCode::KafkaStorageError, None)
        }
        // What Kafka says of a disk that takes nothing; clients look for the leader again and retry.
        AppendError::NoSpace => ProduceResult::refused(
            ErrorCode::KafkaStorageError,
            "the disk has less free space than the broker keeps in reserve".to_string(),
        ),
        AppendError::JournalGrows => ProduceResult::refused(
            ErrorCode::NotEnoughReplicas,
            "the journal has no file yet that can hold a batch of this size; one is being made".to_string(),
        ),
        AppendError::TooLarge { bytes_max } => ProduceResult::refused(
            ErrorCode::MessageTooLarge,
            alloc::format!("the batch is larger than {bytes_max} bytes, the most this log takes"),
        ),
        AppendError::Sequence(ProducerError::OutOfOrderSequence(message)) => {
            refused(ErrorCode::OutOfOrderSequenceNumber, message)
        }
        AppendError::Sequence(ProducerError::InvalidProducerEpoch(message)) => refused(ErrorCode::InvalidProducerEpoch, message),
    }
}
