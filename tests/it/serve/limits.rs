//! What is refused: bodies, films, tokens, names, and more at a time than there is room for.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use penumbra::serve::Settings;

use super::{BOUNDARY, Desk, block_on, form, png, request, settings, upload};

/// The head of a PNG file of this size, with nothing behind it.
fn png_head(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 0, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d".to_vec();
    bytes.extend(&chunk);
    bytes.extend(crc32(&chunk).to_be_bytes());
    // The decoder looks for pixels before it tells the size.
    bytes.extend(b"\x00\x00\x00\x00IDAT");
    bytes.extend(crc32(b"IDAT").to_be_bytes());
    bytes
}

/// CRC of ISO 3309, as PNG has it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

#[test]
fn what_is_no_film_is_refused_with_the_reason() {
    let desk = Desk::new(settings());
    block_on(async {
        let whole = png(4);
        for (film, why) in [
            (&b"This is a text and no film."[..], "not a DICOM, PNG"),
            (&whole[..whole.len() / 2], "cut short"),
            (&[], "empty"),
            (&png_head(20_000, 10_000), "100 million pixels"),
        ] {
            let said = desk.predict(film).await.refusal(422);
            assert!(said.contains(why), "{said}");
            assert!(!said.ends_with(": film"), "{said}");
        }
        let dicom = include_bytes!("../../dicom/rle.dcm");
        for film in [&whole[..], dicom] {
            assert_eq!(desk.predict(film).await.status, 200);
        }
    });
}

#[test]
fn forms_without_a_film_are_refused() {
    let desk = Desk::new(settings());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let with = |kind: &str, body: Vec<u8>| {
        request("POST", "/api/predict")
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body))
            .unwrap()
    };
    let whole = form("file", &png(0));
    let cut = whole[..whole.len() - 20].to_vec();
    block_on(async {
        for asked in [
            with(&kind, form("picture", &png(0))),
            with("image/png", png(0)),
            with("multipart/form-data", whole),
            with(&kind, cut),
            request("POST", "/api/predict").body(Body::empty()).unwrap(),
        ] {
            desk.send(asked).await.refusal(400);
        }
        desk.send(request("GET", "/api/predict").body(Body::empty()).unwrap()).await.refusal(405);
        desk.get("/api/nothing").await.refusal(404);
    });
}

#[test]
fn large_bodies_are_refused_and_small_ones_go_on() {
    let desk = Desk::new(Settings { body_limit: 20_000, ..settings() });
    block_on(async {
        for bytes in [20_001, 39_000, 300_000] {
            let said = desk.predict(&vec![7; bytes]).await.refusal(413);
            assert!(said.contains("MiB"), "{said}");
        }
        assert_eq!(desk.predict(&png(1)).await.status, 200);
    });
}

/// A body that never ends, and a computer that never answers.
#[test]
fn nobody_waits_for_ever() {
    let short = Duration::from_millis(50);
    block_on(async {
        let desk = Desk::new(Settings { read_limit: short, ..settings() });
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let asked = request("POST", "/api/predict").header(header::CONTENT_TYPE, kind);
        desk.send(asked.body(endless()).unwrap()).await.refusal(408);
        let desk = Desk::open(Settings { answer_limit: short, ..settings() }, false, |_, _| None);
        desk.predict(&png(1)).await.refusal(504);
    });
}

/// A body of which no byte comes.
fn endless() -> Body {
    struct Endless;
    impl axum::body::HttpBody for Endless {
        type Data = axum::body::Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }
    Body::new(Endless)
}

/// Nothing computes: two films take both places and keep them, the third is told to come again, at once.
#[test]
fn a_full_queue_asks_to_come_again() {
    let answer_limit = Duration::from_millis(200);
    let desk = Desk::open(Settings { queue: 2, answer_limit, ..settings() }, false, |_, _| None);
    block_on(async {
        for number in 0..2 {
            desk.predict(&png(number)).await.refusal(504);
        }
        let refused = desk.predict(&png(2)).await;
        refused.refusal(503);
        assert_eq!(refused.headers[header::RETRY_AFTER], "1");
        // What needs no place is answered all the same.
        assert_eq!(desk.get("/healthz").await.status, 200);
        let figures = desk.get("/metrics").await.text();
        assert!(figures.contains("penumbra_queue_depth 2\n"), "{figures}");
    });
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let token = "0123456789abcdef";
    let desk = Desk::new(Settings { token: Some(token.to_owned()), ..settings() });
    let with = |value: &str, mut asked: Request<Body>| {
        asked.headers_mut().insert(header::AUTHORIZATION, value.parse().unwrap());
        asked
    };
    let plain = |path: &str| request("GET", path).body(Body::empty()).unwrap();
    block_on(async {
        for path in ["/api/models", "/metrics"] {
            let refused = desk.get(path).await;
            assert_eq!(refused.refusal(401), "a token is needed");
            assert_eq!(refused.headers[header::WWW_AUTHENTICATE], "Bearer");
            for wrong in ["Bearer 0123456789abcdeg", "Bearer 0123456789abcde", "Bearer "] {
                desk.send(with(wrong, plain(path))).await.refusal(401);
            }
            desk.send(with(token, plain(path))).await.refusal(401);
            desk.send(with(&format!("Basic {token}"), plain(path))).await.refusal(401);
            let right = format!("bearer {token}");
            assert_eq!(desk.send(with(&right, plain(path))).await.status, 200);
        }
        // The body of a request that may not be made is not read.
        desk.predict(&png(1)).await.refusal(401);
        let right = format!("Bearer {token}");
        let film = upload("/api/predict", &png(1));
        assert_eq!(desk.send(with(&right, film)).await.status, 200);
        // The page has to be there to ask for the token.
        for path in ["/", "/page.js", "/healthz", "/openapi.json"] {
            assert_eq!(desk.get(path).await.status, 200, "{path}");
        }
    });
}

/// A page of another site whose name points at this machine is not answered; with a token names do not matter.
#[test]
fn without_a_token_only_own_names_are_answered() {
    let named = |host: &str| {
        Request::builder()
            .uri("/api/models")
            .header(header::HOST, host)
            .body(Body::empty())
            .unwrap()
    };
    block_on(async {
        let desk = Desk::new(settings());
        desk.send(named("evil.example:8080")).await.refusal(421);
        assert_eq!(desk.send(named("localhost:8080")).await.status, 200);
        let token = Some("0123456789abcdef".to_owned());
        let desk = Desk::new(Settings { token, ..settings() });
        desk.send(named("penumbra.example")).await.refusal(401);
    });
}
