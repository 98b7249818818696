//! The page: one document with its style, script and icon, and four films to try it with.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::ApiError;

/// Films of the demo's reference set, which no label of the demo's pool is of; by the data's authors the first and the
/// third are normal, the others pneumonia.
const SAMPLES: [&[u8]; 4] = [
    include_bytes!("../../assets/demo/reference/p0007-1.jpg"),
    include_bytes!("../../assets/demo/reference/p0005-1.jpg"),
    include_bytes!("../../assets/demo/reference/p0039-1.jpg"),
    include_bytes!("../../assets/demo/reference/p0014-1.jpg"),
];

fn text(kind: &'static str, body: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, body).into_response()
}

pub(super) async fn document() -> Response {
    text("text/html; charset=utf-8", include_str!("page/index.html"))
}

pub(super) async fn style() -> Response {
    text("text/css; charset=utf-8", include_str!("page/style.css"))
}

pub(super) async fn script() -> Response {
    text("text/javascript; charset=utf-8", include_str!("page/page.js"))
}

pub(super) async fn icon() -> Response {
    text("image/svg+xml", include_str!("page/icon.svg"))
}

pub(super) async fn description() -> Response {
    text("application/json", include_str!("page/openapi.json"))
}

pub(super) async fn sample(Path(name): Path<String>) -> Response {
    let number = name.strip_suffix(".jpg").and_then(|number| number.parse::<usize>().ok());
    let film = number.and_then(|number| number.checked_sub(1)).and_then(|at| SAMPLES.get(at));
    let Some(&film) = film else {
        let error = format!("there are samples 1 to {}", SAMPLES.len());
        return ApiError::new(StatusCode::NOT_FOUND, error, "ask for /samples/1.jpg")
            .into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, film).into_response()
}
