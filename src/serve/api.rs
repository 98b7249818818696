//! Routes and what they answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::body::read_film;
use super::compute::{Computed, Job, Served, Wanted};
use super::decoding::{Decoded, Preview, decode};
use super::error::ApiError;
use super::neighbours::Among;
use super::{App, guard, metrics, page};
use crate::imaging::{Plane, Preprocess};
use crate::predict::on_film;
use crate::stats::likeliest;

/// A likeliest class below this probability is no answer: the upper end of a band from .35 to .65 where there are two
/// classes.
const UNSURE_BELOW: f64 = 0.65;
/// However badly a model is calibrated, above this it counts as sure.
const ALWAYS_SURE: f64 = 0.95;
/// Longest edge of a map in an answer; finer ones show no more, since maps are far coarser than this.
const MAP_EDGE: u32 = 64;

pub(super) fn router(app: Arc<App>) -> Router {
    // Bodies are limited where they are read.
    let guarded = Router::new()
        .route("/api/models", get(models))
        .route("/api/map", get(film_map))
        .route("/api/predict", post(predict).layer(DefaultBodyLimit::disable()))
        .route("/metrics", get(figures))
        .route_layer(from_fn_with_state(Arc::clone(&app), guard::ask_for_token));
    Router::new()
        .route("/", get(page::document))
        .route("/style.css", get(page::style))
        .route("/page.js", get(page::script))
        .route("/icon.svg", get(page::icon))
        .route("/samples/{name}", get(page::sample))
        .route("/openapi.json", get(page::description))
        .route("/healthz", get(health))
        .merge(guarded)
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(Arc::clone(&app), guard::ask_for_own_name))
        .layer(from_fn(guard::add_headers))
        .layer(from_fn_with_state(Arc::clone(&app), metrics::count))
        .with_state(app)
}

/// A model as clients see it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ModelInfo {
    name: String,
    classes: Vec<String>,
    /// Edge of the square that the network sees, in pixels.
    size: u32,
    #[serde(flatten)]
    sureness: Sureness,
    /// The stage that made it.
    made_by: Option<String>,
    parent: Option<String>,
    #[serde(skip)]
    pub preprocess: Preprocess,
}

/// From where on a model's answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Sureness {
    /// A likeliest class below this probability is no answer.
    unsure_below: f64,
    /// Expected calibration error by cross-validation, where it was measured.
    calibration_error: Option<f64>,
    /// Films on which it was measured.
    calibration_films: Option<u64>,
}

impl Sureness {
    /// A model that is on average `ece` off may say .65 + `ece` where .65 is right; where nothing was measured, .65 stands
    /// alone.
    fn of(metrics: &serde_json::Value) -> Self {
        let validated = &metrics["cross_validated"];
        let calibration_error = validated["ece"].as_f64().filter(|ece| (0.0..=1.0).contains(ece));
        let unsure_below = (UNSURE_BELOW + calibration_error.unwrap_or(0.0)).min(ALWAYS_SURE);
        let calibration_films = calibration_error.and_then(|_| validated["n"].as_u64());
        Self { unsure_below, calibration_error, calibration_films }
    }
}

impl ModelInfo {
    pub fn of(model: &Served) -> Self {
        let card = &model.predictor.card;
        let stages = ["finetune", "distill", "fixmatch", "supervised"];
        let stage = stages.into_iter().find(|stage| card.made_by.get(stage).is_some());
        Self {
            name: model.name.clone(),
            classes: card.classes.clone(),
            size: card.preprocess.size,
            sureness: Sureness::of(&card.metrics),
            made_by: stage.map(str::to_owned),
            parent: card.parent.clone(),
            preprocess: card.preprocess,
        }
    }

    /// Words what the model computed of a film of this size.
    fn answer(&self, computed: Computed, film: [u32; 2]) -> Answer {
        let Computed { explained, .. } = computed;
        let class = likeliest(&explained.probabilities);
        let probability = explained.probabilities.get(class).copied().unwrap_or(0.0);
        let named = |values: Vec<f32>| {
            self.classes.iter().cloned().zip(values).collect::<BTreeMap<String, f32>>()
        };
        let saliency = (!explained.maps.is_empty())
            .then(|| Saliency::of(&explained.maps, &self.classes, self.preprocess, film));
        Answer {
            model: self.name.clone(),
            class: self.classes.get(class).cloned().unwrap_or_default(),
            probability,
            unsure: f64::from(probability) < self.sureness.unsure_below,
            probabilities: named(explained.probabilities),
            saliency,
        }
    }
}

#[derive(Serialize)]
struct Answer {
    model: String,
    /// The likeliest class.
    class: String,
    probability: f32,
    /// Whether the likeliest class is too unlikely to count.
    unsure: bool,
    probabilities: BTreeMap<String, f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saliency: Option<Saliency>,
}

/// Grad-CAM over the whole film, row by row from the top left, in thousandths of its maximum.
#[derive(Serialize)]
struct Saliency {
    method: &'static str,
    columns: u32,
    rows: u32,
    maps: BTreeMap<String, Vec<u16>>,
}

impl Saliency {
    fn of(maps: &[Plane], classes: &[String], preprocess: Preprocess, film: [u32; 2]) -> Self {
        let longest = f64::from(film[0].max(film[1])).max(1.0);
        let size = film.map(|length| {
            let shrunk = f64::from(length) / longest * f64::from(MAP_EDGE);
            (shrunk.round() as u32).max(1)
        });
        let thousandths = |map: &Plane| {
            let map = on_film(map, preprocess.fit, film, size);
            map.pixels.iter().map(|value| (value * 1000.0).round() as u16).collect()
        };
        let maps = classes.iter().cloned().zip(maps.iter().map(thousandths)).collect();
        Self { method: "grad-cam", columns: size[0], rows: size[1], maps }
    }
}

#[derive(Serialize)]
struct FilmInfo {
    columns: u32,
    rows: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<Preview>,
}

#[derive(Serialize)]
struct Prediction {
    film: FilmInfo,
    predictions: Vec<Answer>,
    #[serde(flatten)]
    among: Option<Among>,
    milliseconds: f64,
}

/// What a client may ask for beside probabilities.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    saliency: bool,
    preview: bool,
    neighbours: bool,
}

async fn predict(
    State(app): State<Arc<App>>,
    asked: Result<Query<Asked>, QueryRejection>,
    request: Request,
) -> Result<Json<Prediction>, ApiError> {
    let Query(asked) = asked.map_err(|fault| {
        let remedy = "saliency, preview and neighbours may be asked for, each with true or false";
        ApiError::new(StatusCode::BAD_REQUEST, fault.body_text(), remedy)
    })?;
    let place = Arc::clone(&app.places).try_acquire_owned().map_err(|_| ApiError::busy())?;
    let film = read_film(request, app.settings.body_limit, app.settings.read_limit).await?;
    let started = Instant::now();
    let work = work(&app, &asked, film, place, started);
    tokio::time::timeout(app.settings.answer_limit, work).await.unwrap_or_else(|_| {
        let error = format!("no answer within {} s", app.settings.answer_limit.as_secs());
        let remedy = "send the film again, or fewer at a time";
        Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, error, remedy))
    })
}

async fn work(
    app: &Arc<App>,
    asked: &Asked,
    film: axum::body::Bytes,
    place: OwnedSemaphorePermit,
    started: Instant,
) -> Result<Json<Prediction>, ApiError> {
    let Decoded { columns, rows, planes, preview } = decode(app, film, asked.preview).await?;
    let neighbours = app.neighbours.as_ref().filter(|_| asked.neighbours);
    let wanted = Wanted { saliency: asked.saliency, embedding: neighbours.is_some() };
    let (reply, answer) = oneshot::channel();
    // There is room for every film that has a place.
    app.jobs.try_send(Job { planes, wanted, reply, place }).map_err(|_| ApiError::closing())?;
    let computed = answer.await.map_err(|_| ApiError::closing())?;
    let mut computed = computed.map_err(|fault| ApiError::failed(&fault))?;
    let embedding = computed.first_mut().and_then(|first| first.embedding.take());
    let among = neighbours.zip(embedding).and_then(|(films, embedding)| films.of(embedding));
    let answers = app.models.iter().zip(computed);
    let predictions = answers.map(|(model, found)| model.answer(found, [columns, rows])).collect();
    Ok(Json(Prediction {
        film: FilmInfo { columns, rows, preview },
        predictions,
        among,
        milliseconds: started.elapsed().as_secs_f64() * 1e3,
    }))
}

async fn models(State(app): State<Arc<App>>) -> Response {
    let neighbours = app.neighbours.as_ref().map(super::Neighbours::len);
    Json(serde_json::json!({
        "models": app.models,
        "max_bytes": app.settings.body_limit,
        "neighbours": neighbours,
        "version": env!("CARGO_PKG_VERSION"),
    }))
    .into_response()
}

async fn film_map(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let films = app.neighbours.as_ref().ok_or_else(|| {
        let remedy = "start the server with --session NAME";
        ApiError::new(
            StatusCode::NOT_FOUND,
            "there are no labelled films to place others among",
            remedy,
        )
    })?;
    Ok(Json(films.map()).into_response())
}

async fn health() -> Response {
    Json(serde_json::json!({ "status": "ok" })).into_response()
}

async fn figures(State(app): State<Arc<App>>) -> Response {
    let capacity = app.settings.queue;
    let depth = capacity.saturating_sub(app.places.available_permits());
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, app.metrics.text(depth, capacity)).into_response()
}

async fn unknown() -> ApiError {
    let remedy = "the page is at /, and /openapi.json describes the rest";
    ApiError::new(StatusCode::NOT_FOUND, "there is nothing here", remedy)
}

async fn other_method() -> ApiError {
    let remedy = "/openapi.json says how each path is asked";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this is not asked in this way", remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unsure_band_widens_by_the_calibration_error() {
        let of = |text: &str| Sureness::of(&serde_json::from_str(text).unwrap());
        let none =
            Sureness { unsure_below: 0.65, calibration_error: None, calibration_films: None };
        for text in ["null", "{}", r#"{"cross_validated": {"ece": -1, "n": 3}}"#] {
            assert_eq!(of(text), none, "{text}");
        }
        let measured = of(r#"{"cross_validated": {"ece": 0.04, "n": 52}}"#);
        assert!((measured.unsure_below - 0.69).abs() < 1e-9);
        assert_eq!(measured.calibration_films, Some(52));
        assert!(
            (of(r#"{"cross_validated": {"ece": 0.7, "n": 2}}"#).unsure_below - 0.95).abs() < 1e-9
        );
    }
}
