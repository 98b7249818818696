//! Who may ask, and what browsers may do with the answers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::App;
use super::error::ApiError;

/// A token as its hash: hashes are compared in constant time, and their length does not tell the token's.
pub(super) struct Token(blake3::Hash);

impl Token {
    pub fn new(token: &str) -> Self {
        Self(blake3::hash(token.as_bytes()))
    }

    fn is(&self, given: &str) -> bool {
        self.0 == blake3::hash(given.as_bytes())
    }
}

/// Lets requests pass that carry the token, if there is one.
pub(super) async fn ask_for_token(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.split_once(' '));
    let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let passes = match (&app.token, given) {
        (None, _) => true,
        (Some(token), Some((_, given))) => token.is(given.trim()),
        (Some(_), None) => false,
    };
    if passes {
        return next.run(request).await;
    }
    let error = if given.is_some() { "the token is wrong" } else { "a token is needed" };
    let remedy = "send the header `Authorization: Bearer TOKEN` with the token that the server was started with";
    ApiError::new(StatusCode::UNAUTHORIZED, error, remedy).into_response()
}

/// Without a token, answers only requests to this machine by one of its own names: a page of another site whose name has
/// been pointed at 127.0.0.1 (DNS rebinding) carries that site's name.
pub(super) async fn ask_for_own_name(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    if app.token.is_some() || names_this_machine(request.headers(), request.uri()) {
        return next.run(request).await;
    }
    let remedy = "use http://127.0.0.1 or http://localhost, or start the server with a token";
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, "this is no name of this server", remedy)
        .into_response()
}

fn names_this_machine(headers: &HeaderMap, uri: &Uri) -> bool {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = named.or(uri.authority().map(Authority::as_str)) else {
        return false;
    };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: std::net::IpAddr| super::is_loopback(address))
}

/// The page runs what it came with and nothing else, is shown in no other site's frame, and tells no other site of itself.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds what browsers are told to every answer.
pub(super) async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_answered() {
        let named = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            names_this_machine(&headers, &Uri::from_static("/"))
        };
        for host in
            ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "[::1]:8080", "[::1]"]
        {
            assert!(named(host), "{host}");
        }
        for host in
            ["example.org", "localhost.example.org", "127.0.0.1.example.org:80", "10.0.0.1", ""]
        {
            assert!(!named(host), "{host}");
        }
        assert!(!names_this_machine(&HeaderMap::new(), &Uri::from_static("/")));
    }

    #[test]
    fn tokens_are_equal_only_to_themselves() {
        let token = Token::new("0123456789abcdef");
        assert!(token.is("0123456789abcdef"));
        assert!(!token.is("0123456789abcdeg") && !token.is("0123456789abcdef0") && !token.is(""));
    }
}
