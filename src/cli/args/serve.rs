//! What can be typed after `serve`.

use std::net::IpAddr;
use std::time::Duration;

use super::values::at_least_one;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Classifier; given again, the next one is shown beside it
    #[arg(long, required = true)]
    pub model: Vec<String>,
    /// Session whose labelled films are compared with a film; the first model finds the nearest
    #[arg(long)]
    pub session: Option<String>,
    /// Address to listen at; one that other machines can reach needs a token
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen at; 0 for any that is free
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Token that requests have to carry, at least 16 characters [default: `PENUMBRA_TOKEN`, which other users of this
    /// machine do not see in its list of processes]
    #[arg(long)]
    pub token: Option<String>,
    /// Films that may be read, wait or be computed at a time; more are told to come again
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
    pub queue: usize,
    /// Largest request in MiB
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub max_mib: u32,
    /// Seconds for a request to arrive, and again for its answer
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub time_limit: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=600).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "this is a number from 1 to 600".to_owned())
}
