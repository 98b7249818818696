//! Counters in Prometheus' text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::Mutex;

use super::App;

/// Upper ends of the histogram's buckets, in seconds.
const BUCKETS: [f64; 11] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What has been asked for and how long the answers took.
#[derive(Default)]
pub(super) struct Metrics(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// By route and status.
    requests: BTreeMap<(String, u16), u64>,
    /// By route.
    seconds: BTreeMap<String, Histogram>,
}

#[derive(Default)]
struct Histogram {
    /// Answers in each bucket alone; the last took longer than all.
    counts: [u64; BUCKETS.len() + 1],
    sum: f64,
}

impl Metrics {
    fn count(&self, route: &str, status: StatusCode, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.partition_point(|&end| end < seconds);
        let mut counts = self.0.lock();
        *counts.requests.entry((route.to_owned(), status.as_u16())).or_default() += 1;
        let histogram = counts.seconds.entry(route.to_owned()).or_default();
        histogram.counts[bucket] += 1;
        histogram.sum += seconds;
    }

    /// Writes all figures; `depth` is the number of places taken in the queue and `capacity` that of all.
    pub fn text(&self, depth: usize, capacity: usize) -> String {
        let mut text = String::new();
        let counts = self.0.lock();
        head(&mut text, "penumbra_requests_total", "counter", "Requests by route and status.");
        for ((route, status), count) in &counts.requests {
            writeln!(
                text,
                "penumbra_requests_total{{route=\"{route}\",status=\"{status}\"}} {count}"
            )
            .ok();
        }
        let name = "penumbra_request_duration_seconds";
        head(&mut text, name, "histogram", "Time from a request's head to its answer.");
        for (route, histogram) in &counts.seconds {
            let mut total = 0;
            let ends = BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            for (end, count) in ends.zip(histogram.counts) {
                total += count;
                writeln!(text, "{name}_bucket{{route=\"{route}\",le=\"{end}\"}} {total}").ok();
            }
            writeln!(text, "{name}_sum{{route=\"{route}\"}} {}", histogram.sum).ok();
            writeln!(text, "{name}_count{{route=\"{route}\"}} {total}").ok();
        }
        for (name, help, value) in [
            ("penumbra_queue_depth", "Films that are read, wait or are computed.", depth as u64),
            ("penumbra_queue_capacity", "Films for which there are places.", capacity as u64),
        ] {
            head(&mut text, name, "gauge", help);
            writeln!(text, "{name} {value}").ok();
        }
        if let Some(bytes) = crate::device::resident_memory() {
            let name = "process_resident_memory_bytes";
            head(&mut text, name, "gauge", "Memory that the process holds.");
            writeln!(text, "{name} {bytes}").ok();
        }
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
}

/// Counts every request under its route, which visitors cannot invent, and not under its path.
pub(super) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    let route = route.as_deref().unwrap_or("none");
    app.metrics.count(route, response.status(), started.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buckets are cumulative and their ends belong to them, as Prometheus has it.
    #[test]
    fn histograms_are_cumulative() {
        let metrics = Metrics::default();
        for milliseconds in [1, 2, 3, 100, 20_000] {
            metrics.count("/a", StatusCode::OK, Duration::from_millis(milliseconds));
        }
        metrics.count("/b", StatusCode::NOT_FOUND, Duration::ZERO);
        let text = metrics.text(3, 64);
        for line in [
            "penumbra_requests_total{route=\"/a\",status=\"200\"} 5",
            "penumbra_requests_total{route=\"/b\",status=\"404\"} 1",
            "penumbra_request_duration_seconds_bucket{route=\"/a\",le=\"0.002\"} 2",
            "penumbra_request_duration_seconds_bucket{route=\"/a\",le=\"0.005\"} 3",
            "penumbra_request_duration_seconds_bucket{route=\"/a\",le=\"0.1\"} 4",
            "penumbra_request_duration_seconds_bucket{route=\"/a\",le=\"10\"} 4",
            "penumbra_request_duration_seconds_bucket{route=\"/a\",le=\"+Inf\"} 5",
            "penumbra_request_duration_seconds_count{route=\"/a\"} 5",
            "penumbra_queue_depth 3",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
    }
}
