//! The prediction page and its JSON API over HTTP.
//!
//! ```text
//! connection ─ guard ─ place in the queue ─ body ─ decode ─► compute thread (batches of what waits) ─► answer
//!              401     503                  408    422        504
//!              421                          413
//! ```
//!
//! A request takes a place before its body is read and keeps it until it is computed, so that memory and waiting are
//! bounded: beyond [`Settings::queue`] places the answer is 503 at once. Tokio's threads read and write; decoding runs on
//! its blocking threads, as many at a time as there are cores; every tensor belongs to the thread that calls
//! [`compute`](Inbox::compute). Nothing that is sent is kept, and neither names nor pixels are logged.

mod api;
mod body;
mod compute;
mod decoding;
mod error;
mod guard;
mod listen;
mod metrics;
mod neighbours;
mod page;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use crossbeam_channel::Sender;
use tokio::sync::Semaphore;

pub use self::compute::{Inbox, Served};
pub use self::listen::{run, shutdown_signal};
pub use self::neighbours::Neighbours;

use self::api::ModelInfo;
use self::compute::Job;
use self::guard::Token;
use self::metrics::Metrics;

/// The fewest characters of a token.
pub const TOKEN_LENGTH: usize = 16;

/// What a server allows.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen at.
    pub address: SocketAddr,
    /// What requests have to carry as bearer token; needed where others than this machine can connect.
    pub token: Option<String>,
    /// Requests that may wait or be computed at a time.
    pub queue: usize,
    /// Bytes of a request's body.
    pub body_limit: usize,
    /// Time for a request's body to arrive.
    pub read_limit: Duration,
    /// Time from a whole body to its answer.
    pub answer_limit: Duration,
}

impl Settings {
    /// The limits that the command line starts from.
    pub fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self {
            address,
            token,
            queue: 64,
            body_limit: 32 << 20,
            read_limit: Duration::from_secs(30),
            answer_limit: Duration::from_secs(30),
        }
    }

    /// Checks that a server open to other machines asks for a token worth the name.
    ///
    /// # Errors
    /// Says, in words, what is wrong and what to do.
    pub fn check(&self) -> Result<(), String> {
        match &self.token {
            None if !is_loopback(self.address.ip()) => Err(format!(
                "{} can be reached from other machines, and whoever reaches it could use it: set a token with --token \
                 or PENUMBRA_TOKEN, or listen at 127.0.0.1",
                self.address.ip()
            )),
            Some(token) if token.len() < TOKEN_LENGTH => Err(format!(
                "a token of fewer than {TOKEN_LENGTH} characters can be guessed: make one with `openssl rand -hex 16`"
            )),
            Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err("a token is of printable ASCII characters without spaces".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// What handlers share.
struct App {
    models: Vec<ModelInfo>,
    neighbours: Option<Neighbours>,
    jobs: Sender<Job>,
    /// Places in the queue.
    places: Arc<Semaphore>,
    /// Films that are decoded at a time: a decoded film may take hundreds of megabytes.
    decoders: Arc<Semaphore>,
    token: Option<Token>,
    metrics: Metrics,
    settings: Settings,
}

/// Makes the routes of a server for `models`, and the other end of its queue, which has to be computed by the thread that
/// owns the models' tensors.
pub fn server(
    models: &[Served],
    neighbours: Option<Neighbours>,
    settings: Settings,
) -> (Router, Inbox) {
    let (jobs, inbox) = compute::queue(settings.queue);
    let app = App {
        models: models.iter().map(ModelInfo::of).collect(),
        neighbours,
        jobs,
        places: Arc::new(Semaphore::new(settings.queue)),
        decoders: Arc::new(Semaphore::new(crate::device::cores())),
        token: settings.token.as_deref().map(Token::new),
        metrics: Metrics::default(),
        settings,
    };
    (api::router(Arc::new(app)), inbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_needs_no_token() {
        let check = |host: &str, token: Option<&str>| {
            let address = SocketAddr::new(host.parse().unwrap(), 80);
            Settings::new(address, token.map(str::to_owned)).check()
        };
        for host in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(check(host, None), Ok(()), "{host}");
        }
        for host in ["0.0.0.0", "::", "192.168.0.7", "fe80::1"] {
            assert!(check(host, None).unwrap_err().contains("--token"), "{host}");
            assert_eq!(check(host, Some("0123456789abcdef")), Ok(()));
        }
        assert!(check("127.0.0.1", Some("short")).is_err());
        assert!(check("0.0.0.0", Some("0123456789 abcdef")).is_err());
    }
}
