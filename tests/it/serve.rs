//! The prediction page and its API: routes in process, then the program over a real socket.

mod limits;
mod socket;

use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use burn::tensor::Device;
use penumbra::config::Home;
use penumbra::fsutil::write_atomic;
use penumbra::imaging::{Fit, Preprocess};
use penumbra::model::folder::{Kind, VERSION, save};
use penumbra::model::{Architecture, Classifier, LinearHead, ModelCard, Pretrained, Stem};
use penumbra::predict::Predictor;
use penumbra::serve::{Inbox, Neighbours, Served, Settings, server};
use penumbra::session::{Answer, Event, Session, Shown, Source};
use penumbra::study::Workspace;
use penumbra::study::workspace::{self, NewSession};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const BOUNDARY: &str = "x-penumbra-test";

/// Saves a small classifier of random weights whose probe has something to say.
pub(super) fn classifier(folder: &Path, seed: u64, metrics: Value) {
    let (device, architecture) = (Device::flex(), Architecture::resnet(10, 0.0625, Stem::Small));
    let blocks = architecture.embedding_blocks().to_vec();
    let dim = blocks.iter().sum::<usize>();
    let mut random = penumbra::rng::stream(seed, "probe", &[]);
    let weights = (0..2 * dim).map(|_| penumbra::rng::uniform(&mut random, -0.1, 0.1)).collect();
    let head = LinearHead { centre: vec![0.3; dim], blocks, weights, bias: vec![0.0; 2] };
    let start = Pretrained::init(&architecture, seed, &device);
    let model = Classifier::from_pretrained(start, 2, &device).with_probe(&head, &device);
    let card = ModelCard {
        version: VERSION,
        kind: Kind::Classifier,
        architecture,
        preprocess: Preprocess { size: 32, fit: Fit::Pad },
        classes: vec!["normal".to_owned(), "pneumonia".to_owned()],
        parent: None,
        seed,
        made_by: json!({ "finetune": {} }),
        metrics,
        weights_hash: String::new(),
    };
    save(&model, card, folder).unwrap();
}

/// A server in process, with the thread that computes for it unless it is to be left waiting.
struct Desk {
    app: Router,
    computing: Option<JoinHandle<()>>,
    _waiting: Option<Inbox>,
    _folder: tempfile::TempDir,
}

fn settings() -> Settings {
    Settings::new(SocketAddr::from(([127, 0, 0, 1], 0)), None)
}

impl Desk {
    fn new(settings: Settings) -> Self {
        Self::open(settings, true, |_, _| None)
    }

    /// A server with a session whose labelled films are the first eight of [`png`].
    fn with_labelled_films() -> Self {
        Self::open(settings(), true, |home, model| {
            let workspace = labelled_films(home);
            Some(Neighbours::of_session(&workspace, model, 1).unwrap())
        })
    }

    fn open(
        settings: Settings,
        computes: bool,
        neighbours: impl FnOnce(&Path, &Served) -> Option<Neighbours>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, seed, metrics) in [
            ("one", 1, json!({ "cross_validated": { "ece": 0.03, "n": 52 } })),
            ("two", 2, Value::Null),
        ] {
            classifier(&folder.path().join(name), seed, metrics);
        }
        let load = |name: &str| {
            let predictor = Predictor::load(&folder.path().join(name), &Device::flex()).unwrap();
            Served::new(name.to_owned(), predictor).unwrap()
        };
        let models = vec![load("one"), load("two")];
        let (app, inbox) = server(&models, neighbours(folder.path(), &models[0]), settings);
        let (computing, waiting) = if computes {
            let compute = move || inbox.compute(&models);
            let thread = std::thread::Builder::new().name("compute".to_owned());
            (Some(thread.spawn(compute).unwrap()), None)
        } else {
            (None, Some(inbox))
        };
        Self { app, computing, _waiting: waiting, _folder: folder }
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), 64 << 20).await.unwrap().to_vec();
        Reply { status, headers, body }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(request("GET", path).body(Body::empty()).unwrap()).await
    }

    async fn predict(&self, film: &[u8]) -> Reply {
        self.send(upload("/api/predict", film)).await
    }
}

impl Drop for Desk {
    /// The computing thread ends with the routes.
    fn drop(&mut self) {
        self.app = Router::new();
        if let Some(computing) = self.computing.take() {
            computing.join().unwrap();
        }
    }
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Asserts a refusal that says what to do, and returns what it says.
    fn refusal(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let said = self.json();
        let [error, remedy] = ["error", "remedy"].map(|part| said[part].as_str().unwrap());
        assert!(!error.is_empty() && !remedy.is_empty(), "{said}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        error.to_owned()
    }
}

/// Makes a session of eight films, their labels in turn.
fn labelled_films(home: &Path) -> Workspace {
    let (images, home) = (home.join("films"), Home::find(Some(home)));
    for number in 0..8 {
        write_atomic(&images.join(format!("{number}.png")), &png(number)).unwrap();
    }
    let new = NewSession::new("ward".to_owned(), images);
    let films = workspace::create(&home, &new, &|_, _| {}).unwrap().films;
    let (mut session, _) = Session::open(&home.session("ward")).unwrap();
    for film in films {
        let even = film.file.as_bytes()[0] % 2 == 0;
        let event = Event::Label {
            film: film.id,
            answer: Answer::Class(if even { "normal" } else { "pneumonia" }.to_owned()),
            ms: 1,
            source: Source::Browse,
            shown: Shown::NOTHING,
        };
        session.append("R1", event).unwrap();
    }
    session.flush().unwrap();
    drop(session);
    Workspace::open(&home, "ward").unwrap()
}

fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:8080")
}

fn form(field: &str, film: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"f\"\r\n\r\n"
    );
    [head.as_bytes(), film, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

fn upload(path: &str, film: &[u8]) -> Request<Body> {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = request("POST", path).header(header::CONTENT_TYPE, kind);
    request.body(Body::from(form("file", film))).unwrap()
}

/// A film of 60 × 40 pixels as PNG, each number another.
fn png(number: u32) -> Vec<u8> {
    let film = image::GrayImage::from_fn(60, 40, |x, y| {
        image::Luma([((x * (number % 5 + 1) + y * 3 + number * 7) % 200) as u8])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    film.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_film_is_classified_by_both_models() {
    let desk = Desk::new(settings());
    let film = png(3);
    let answer = block_on(desk.predict(&film));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!((&answer["film"]["columns"], &answer["film"]["rows"]), (&60.into(), &40.into()));
    assert!(answer["film"].get("preview").is_none() && answer.get("neighbours").is_none());
    let mut said = Vec::new();
    for (prediction, name) in answer["predictions"].as_array().unwrap().iter().zip(["one", "two"]) {
        assert_eq!(prediction["model"], name);
        let [normal, pneumonia] = ["normal", "pneumonia"]
            .map(|class| prediction["probabilities"][class].as_f64().unwrap());
        assert!((normal + pneumonia - 1.0).abs() < 1e-5);
        let class = if normal > pneumonia { "normal" } else { "pneumonia" };
        assert_eq!(prediction["class"], class);
        assert_eq!(prediction["probability"].as_f64().unwrap(), normal.max(pneumonia));
        let below = if name == "one" { 0.68 } else { 0.65 };
        assert_eq!(prediction["unsure"], normal.max(pneumonia) < below);
        assert!(prediction.get("saliency").is_none());
        said.push(pneumonia);
    }
    assert!((said[0] - said[1]).abs() > 1e-4, "two models said the same: {said:?}");
}

#[test]
fn maps_and_pictures_come_when_asked_for() {
    let desk = Desk::new(settings());
    let path = "/api/predict?saliency=true&preview=true&neighbours=true";
    let answer = block_on(desk.send(upload(path, &png(1)))).json();
    // A film of 60 × 40 in maps of at most 64.
    for prediction in answer["predictions"].as_array().unwrap() {
        let saliency = &prediction["saliency"];
        assert_eq!((&saliency["columns"], &saliency["rows"]), (&64.into(), &43.into()));
        for class in ["normal", "pneumonia"] {
            let map = saliency["maps"][class].as_array().unwrap();
            assert_eq!(map.len(), 64 * 43);
            assert!(map.iter().all(|value| value.as_u64().unwrap() <= 1000));
        }
    }
    let preview = &answer["film"]["preview"];
    let bytes = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.decode(preview["png"].as_str().unwrap()).unwrap()
    };
    let picture = image::load_from_memory(&bytes).unwrap();
    assert_eq!((picture.width(), picture.height()), (60, 40));
    // This server has no session to find neighbours in.
    assert!(answer.get("neighbours").is_none());
    let refused = block_on(desk.send(upload("/api/predict?saliency=maybe", &png(1))));
    refused.refusal(400);
}

/// A film alone and the same among others that wait give the same answer.
#[test]
fn films_sent_together_are_answered_as_alone() {
    let desk = Desk::new(settings());
    let films: Vec<Vec<u8>> = (0..50).map(png).collect();
    block_on(async {
        let mut alone = Vec::new();
        for film in &films {
            alone.push(desk.predict(film).await.json()["predictions"].clone());
        }
        let tasks: Vec<_> = films
            .iter()
            .map(|film| {
                let (app, request) = (desk.app.clone(), upload("/api/predict", film));
                tokio::spawn(async move {
                    let response = app.oneshot(request).await.unwrap();
                    assert_eq!(response.status(), 200);
                    to_bytes(response.into_body(), 1 << 20).await.unwrap()
                })
            })
            .collect();
        for (task, alone) in tasks.into_iter().zip(alone) {
            let together: Value = serde_json::from_slice(&task.await.unwrap()).unwrap();
            let pairs =
                alone.as_array().unwrap().iter().zip(together["predictions"].as_array().unwrap());
            for (alone, together) in pairs {
                let [alone, together] = [alone, together]
                    .map(|prediction| prediction["probabilities"]["normal"].as_f64().unwrap());
                assert!((alone - together).abs() < 1e-5, "{alone} and {together}");
            }
        }
    });
}

#[test]
fn the_page_brings_all_that_it_needs() {
    let desk = Desk::new(settings());
    block_on(async {
        let page = desk.get("/").await;
        assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let document = page.text();
        assert!(document.contains("not a medical device"));
        // Nothing from elsewhere, and nothing that the policy forbids.
        let script = desk.get("/page.js").await.text();
        let style = desk.get("/style.css").await.text();
        for text in [&document, &script, &style] {
            assert!(!text.contains("http://") && !text.contains("https://"));
        }
        assert!(!document.contains("style=") && !document.contains("<script>"));
        let link = regex::Regex::new("(?:href|src)=\"(/[^\"]+)\"").unwrap();
        let paths: Vec<&str> =
            link.captures_iter(&document).map(|found| found.get(1).unwrap().as_str()).collect();
        assert!(paths.len() >= 7, "{paths:?}");
        for path in paths {
            let found = desk.get(path).await;
            assert_eq!(found.status, 200, "{path}");
            assert!(!found.body.is_empty());
        }
        for number in 1..=4 {
            let film = desk.get(&format!("/samples/{number}.jpg")).await;
            assert_eq!(desk.predict(&film.body).await.status, 200);
        }
        desk.get("/samples/5.jpg").await.refusal(404);
    });
}

#[test]
fn every_answer_carries_the_headers_that_browsers_need() {
    let desk = Desk::new(settings());
    block_on(async {
        for path in ["/", "/page.js", "/healthz", "/metrics", "/api/models", "/nothing"] {
            let headers = desk.get(path).await.headers;
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(
                policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'")
            );
            assert!(!policy.contains("unsafe"));
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
            let cached = if ["/", "/page.js"].contains(&path) { "no-cache" } else { "no-store" };
            assert_eq!(headers[header::CACHE_CONTROL], cached, "{path}");
        }
    });
}

#[test]
fn health_and_figures_tell_how_the_server_does() {
    let desk = Desk::new(settings());
    block_on(async {
        assert_eq!(desk.get("/healthz").await.json(), json!({ "status": "ok" }));
        desk.predict(&png(0)).await;
        desk.predict(b"no film").await;
        desk.get("/some/other/path").await;
        let figures = desk.get("/metrics").await;
        assert_eq!(
            figures.headers[header::CONTENT_TYPE],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        let text = figures.text();
        for line in [
            "penumbra_requests_total{route=\"/api/predict\",status=\"200\"} 1",
            "penumbra_requests_total{route=\"/api/predict\",status=\"422\"} 1",
            "penumbra_requests_total{route=\"none\",status=\"404\"} 1",
            "penumbra_request_duration_seconds_count{route=\"/api/predict\"} 2",
            "penumbra_queue_depth 0",
            "penumbra_queue_capacity 64",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
        let models = desk.get("/api/models").await.json();
        assert_eq!(models["models"][0]["name"], "one");
        assert_eq!(models["models"][0]["calibration_error"], 0.03);
        assert_eq!(models["models"][1]["unsure_below"], 0.65);
        assert_eq!(models["models"][1]["made_by"], "finetune");
        assert_eq!(models["neighbours"], Value::Null);
    });
}

/// A labelled film is the most like itself and lies where the map has it.
#[test]
fn a_film_is_placed_among_the_labelled_ones() {
    let desk = Desk::with_labelled_films();
    block_on(async {
        assert_eq!(desk.get("/api/models").await.json()["neighbours"], 8);
        let map = desk.get("/api/map").await.json();
        let films = map["films"].as_array().unwrap();
        assert_eq!(films.len(), 8);
        let explained = map["explained"].as_f64().unwrap();
        assert!(explained > 0.2 && explained <= 1.0, "{explained}");
        let near = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-4;
        for number in [2, 5] {
            let path = "/api/predict?neighbours=true";
            let answer = desk.send(upload(path, &png(number))).await.json();
            let label = if number % 2 == 0 { "normal" } else { "pneumonia" };
            let first = &answer["neighbours"][0];
            assert_eq!(first["label"], label);
            assert!(first["similarity"].as_f64().unwrap() > 0.9999, "{first}");
            assert_eq!(answer["neighbours"].as_array().unwrap().len(), 4);
            let here = |film: &&Value| {
                film["label"] == label
                    && (0..2).all(|axis| near(&film["place"][axis], &answer["place"][axis]))
            };
            assert_eq!(films.iter().filter(here).count(), 1, "{map} {}", answer["place"]);
        }
        let asked = desk.send(upload("/api/predict", &png(2))).await.json();
        assert!(asked.get("place").is_none() && asked.get("neighbours").is_none());
    });
    let alone = Desk::new(settings());
    block_on(async { assert_eq!(alone.get("/api/map").await.status, 404) });
}

/// Each documented path and method is answered otherwise than by "nothing here", and the answer has what is required.
#[test]
fn the_description_is_of_this_server() {
    let desk = Desk::with_labelled_films();
    block_on(async {
        let description = desk.get("/openapi.json").await.json();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                let method = method.to_uppercase();
                let asked = request(&method, path).body(Body::empty()).unwrap();
                let status = desk.send(asked).await.status;
                assert!(status != 404 && status != 405, "{method} {path}: {status}");
            }
        }
        let schemas = &description["components"]["schemas"];
        let path = "/api/predict?saliency=true&preview=true&neighbours=true";
        for (answer, name) in [
            (desk.send(upload(path, &png(2))).await.json(), "Prediction"),
            (desk.get("/api/models").await.json(), "Models"),
            (desk.get("/api/map").await.json(), "Map"),
        ] {
            check(&schemas[name], &answer, schemas, name);
        }
    });
}

/// Checks required and undocumented fields, all the way down.
fn check(schema: &Value, value: &Value, schemas: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return check(&schemas[name], value, schemas, name);
    }
    if let (Some(known), Some(found)) = (schema["properties"].as_object(), value.as_object()) {
        for name in schema["required"].as_array().unwrap() {
            assert!(found.contains_key(name.as_str().unwrap()), "{at} lacks {name}");
        }
        for (name, value) in found {
            let part = known.get(name).unwrap_or_else(|| panic!("{at}.{name} is not described"));
            check(part, value, schemas, &format!("{at}.{name}"));
        }
    }
    if let Some(values) = value.as_array() {
        for value in values {
            check(&schema["items"], value, schemas, at);
        }
    }
}

#[test]
fn only_classifiers_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    // The shipped model embeds and does not classify.
    let output = super::cli::penumbra(&home, &["serve", "--model", "demo"]);
    assert_eq!(super::cli::code(&output), 3);
    let said = super::cli::text(&output);
    assert!(said.contains("penumbra finetune"), "{said}");
    classifier(&home.join("models/tiny"), 1, Value::Null);
    for (more, why) in [
        (&["--host", "0.0.0.0"][..], "--token"),
        (&["--host", "0.0.0.0", "--token", "short"], "fewer than 16"),
        (&["--model", "tiny"], "twice"),
        (&["--session", "none"], "none"),
    ] {
        let output =
            super::cli::penumbra(&home, &[&["serve", "--model", "tiny"][..], more].concat());
        assert_eq!(super::cli::code(&output), 3, "{more:?}");
        let said = super::cli::text(&output);
        assert!(said.contains(why), "{more:?}: {said}");
    }
}
