//! The body of a request and the film in it, within the limits of size and time.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::StatusCode;

use super::error::ApiError;

/// Field of the form that holds the film.
const FIELD: &str = "file";

/// Reads a form and returns the film in it.
pub(super) async fn read_film(
    request: Request,
    limit: usize,
    time: Duration,
) -> Result<Bytes, ApiError> {
    let (parts, body) = request.into_parts();
    let slow = || {
        let error = format!("the request did not arrive within {} s", time.as_secs());
        let remedy = "send the film again, over a faster connection if there is one";
        ApiError::new(StatusCode::REQUEST_TIMEOUT, error, remedy)
    };
    let body = tokio::time::timeout(time, collect(body, limit)).await.map_err(|_| slow())??;
    let request = Request::from_parts(parts, Body::from(body));
    let broken = |fault: &dyn std::fmt::Display| ApiError::broken_form(&fault.to_string());
    let mut form = Multipart::from_request(request, &()).await.map_err(|fault| broken(&fault))?;
    while let Some(field) = form.next_field().await.map_err(|fault| broken(&fault))? {
        if field.name() == Some(FIELD) {
            return field.bytes().await.map_err(|fault| broken(&fault));
        }
    }
    Err(ApiError::broken_form("there is no field `file`"))
}

/// Reads a body of at most `limit` bytes. As much again is read and dropped before it is refused, because a client that
/// still sends sees a closed connection instead of the reason.
async fn collect(mut body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut read = 0usize;
    let mut bytes = Vec::with_capacity(limit.min(body.size_hint().lower() as usize));
    loop {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| ApiError::broken_form(&error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        if read <= limit {
            bytes.extend_from_slice(&data);
        } else if read > 2 * limit {
            break;
        } else {
            bytes = Vec::new();
        }
    }
    if read > limit { Err(ApiError::too_large(limit)) } else { Ok(bytes) }
}
