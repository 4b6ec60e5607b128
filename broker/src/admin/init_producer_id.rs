//! InitProducerId: which requests get a producer id. The shard draws the id itself from its block.

use super::BrokerSettings;
use flumen_controller::MetadataImage;
use flumen_protocol::ErrorCode;
use flumen_protocol::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

/// Why a request for a producer id is refused; `None` if it gets a fresh one, at epoch zero (T01).
#[must_use]
pub fn refuse_producer_id(
    request: &InitProducerIdRequest,
    settings: &BrokerSettings,
    image: &MetadataImage,
) -> Option<InitProducerIdResponse> {
    let error_code = fault(request, settings, image)?;
    Some(InitProducerIdResponse { error_code, producer_id: -1, producer_epoch: -1, ..InitProducerIdResponse::default() })
}

fn fault(request: &InitProducerIdRequest, settings: &BrokerSettings, image: &MetadataImage) -> Option<ErrorCode> {
    let known = (request.producer_id == -1, request.producer_epoch == -1);
    if known.0 != known.1 || request.producer_id < -1 || request.producer_epoch < -1 {
        return Some(ErrorCode::InvalidRequest);
    }
    let transactional_id = request.transactional_id.as_deref()?;
    if transactional_id.is_empty() {
        return Some(ErrorCode::InvalidRequest);
    }
    let longest_ms = settings.layers(image).number("transaction.max.timeout.ms").unwrap_or(i64::MAX);
    if !(1..=longest_ms).contains(&i64::from(request.transaction_timeout_ms)) {
        return Some(ErrorCode::InvalidTransactionTimeout);
    }
    // There are no transactions in this version, and this error is none that producers retry.
    Some(ErrorCode::TransactionalIdAuthorizationFailed)
}
