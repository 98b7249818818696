//! Films from bytes, on the threads that may block.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::imageops::thumbnail;
use image::{GrayImage, ImageFormat};
use serde::Serialize;

use super::App;
use super::compute::plane;
use super::error::ApiError;
use crate::imaging::{Film, Plane, decode_bytes, render};

/// Longest edge of a film as the page shows it, in pixels.
const PREVIEW_EDGE: u32 = 640;

/// A film made ready.
pub(super) struct Decoded {
    pub columns: u32,
    pub rows: u32,
    /// One a model.
    pub planes: Vec<Plane>,
    pub preview: Option<Preview>,
}

/// A film as the viewer opens it, made small.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Preview {
    pub columns: u32,
    pub rows: u32,
    /// PNG in Base64.
    pub png: String,
}

impl Preview {
    /// Shrinks a film to at most `edge` pixels; none if it cannot be encoded.
    pub fn of(film: &Film, edge: u32) -> Option<Self> {
        let mut grey = Vec::new();
        render(film, film.default_view(), false, &mut grey);
        let mut grey = GrayImage::from_raw(film.width, film.height, grey)?;
        let longest = film.width.max(film.height);
        if longest > edge {
            let shrunk = |length: u32| {
                let shrunk = u64::from(length) * u64::from(edge) / u64::from(longest);
                (shrunk as u32).max(1)
            };
            grey = thumbnail(&grey, shrunk(film.width), shrunk(film.height));
        }
        let mut png = Cursor::new(Vec::new());
        grey.write_to(&mut png, ImageFormat::Png).ok()?;
        let png = STANDARD.encode(png.into_inner());
        Some(Self { columns: grey.width(), rows: grey.height(), png })
    }
}

/// Decodes a film when its turn comes and makes its planes.
pub(super) async fn decode(
    app: &Arc<App>,
    bytes: Bytes,
    with_preview: bool,
) -> Result<Decoded, ApiError> {
    let turn = Arc::clone(&app.decoders).acquire_owned().await;
    let turn = turn.map_err(|_| ApiError::closing())?;
    let app = Arc::clone(app);
    let work = move || {
        let _turn = turn;
        // The name that the film was sent under is nobody's business.
        let film = decode_bytes(&bytes, Path::new("film"))
            .map_err(|error| ApiError::undecodable(&error))?;
        drop(bytes);
        let planes = app.models.iter().map(|model| plane(&film, model.preprocess)).collect();
        let preview = with_preview.then(|| Preview::of(&film, PREVIEW_EDGE)).flatten();
        Ok(Decoded { columns: film.width, rows: film.height, planes, preview })
    };
    let failed = |_| ApiError::failed("the film could not be made ready");
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}
