//! Writes that a client may repeat (contract.md section 2.2).

use axum::response::Response;

use crate::{call::Call, fault::Outcome};

/// Answers a call.
pub async fn answered<F, Fut>(call: Call, handler: F) -> Outcome<Response>
where
    F: Fn(Call) -> Fut,
    Fut: Future<Output = Outcome<Response>>,
{
    handler(call).await
}
