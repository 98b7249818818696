//! What is answered when a request cannot be: `{"error": …, "remedy": …}` with a status.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::imaging::DecodeError;

/// Seconds after which a full server asks clients to come again.
const RETRY_AFTER: &str = "1";

/// A refusal: what happened, and what to do about it.
#[derive(Debug, Serialize)]
pub(super) struct ApiError {
    #[serde(skip)]
    pub status: StatusCode,
    pub error: String,
    pub remedy: String,
}

impl ApiError {
    pub fn new(status: StatusCode, error: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status, error: error.into(), remedy: remedy.into() }
    }

    pub fn busy() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "as many films wait as may wait", "send the film again in a second")
    }

    pub fn closing() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "the server is stopping", "send the film again once it has been started")
    }

    pub fn too_large(limit: usize) -> Self {
        let error = format!("the request has more than {} MiB", limit >> 20);
        let remedy = "send one film, as PNG or JPEG, or start the server with a larger --max-mib";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, error, remedy)
    }

    pub fn broken_form(fault: &str) -> Self {
        let error = format!("the request is not a form that can be read ({fault})");
        let remedy = "send multipart/form-data with the film in the field `file`, as \
                      `curl -F file=@film.png` does";
        Self::new(StatusCode::BAD_REQUEST, error, remedy)
    }

    pub fn undecodable(error: &DecodeError) -> Self {
        let remedy = match error {
            DecodeError::Empty { .. } | DecodeError::Truncated { .. } => {
                "copy the film again from its source and send that"
            }
            DecodeError::TooLarge { .. } => {
                "make the film smaller; the network sees far fewer pixels"
            }
            DecodeError::Damaged { .. } => "open the film in another program and save it as PNG",
            _ => "send a chest X-ray in one of the formats that are read",
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.reason(), remedy)
    }

    pub fn failed(fault: &str) -> Self {
        let error = format!("the film could not be computed ({fault})");
        let remedy = "try another film; if none works, start the server again";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error, remedy)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        let again = (status == StatusCode::SERVICE_UNAVAILABLE)
            .then_some((header::RETRY_AFTER, RETRY_AFTER));
        let token =
            (status == StatusCode::UNAUTHORIZED).then_some((header::WWW_AUTHENTICATE, "Bearer"));
        for (name, value) in again.into_iter().chain(token) {
            response.headers_mut().insert(name, header::HeaderValue::from_static(value));
        }
        response
    }
}
