//! Time from a key to the next film on the screen, time for which a film is read, and the reader's pace.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The last times from a labelling key until the pass that drew the next film has been painted and presented.
///
/// The clock starts when the pass begins that carries the key, and stops when the pass after the one that drew begins.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    times: VecDeque<Duration>,
}

impl Latency {
    const KEEP: usize = 4096;

    /// Records one time.
    pub fn record(&mut self, time: Duration) {
        if self.times.len() == Self::KEEP {
            self.times.pop_front();
        }
        self.times.push_back(time);
    }

    /// Returns the number of times kept, at most 4,096.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// Returns the time that a share `quantile` in 0..=1 of all does not exceed (nearest rank), `None` without times.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let mut sorted: Vec<_> = self.times.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (quantile.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }

    /// Returns the median.
    pub fn p50(&self) -> Option<Duration> {
        self.quantile(0.50)
    }

    /// Returns the time that one in twenty exceeds.
    pub fn p95(&self) -> Option<Duration> {
        self.quantile(0.95)
    }

    /// Returns the time that one in a hundred exceeds.
    pub fn p99(&self) -> Option<Duration> {
        self.quantile(0.99)
    }
}

/// Time without key, pointer or wheel after which the reader counts as away: longer gaps are no reading time at all.
pub const IDLE: Duration = Duration::from_mins(1);

/// How long a film has been read: the time in sight, without gaps between inputs of more than [`IDLE`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Sight {
    before: Duration,
    /// When the gap began that goes on: at the last input, or when the film came into sight.
    since: Option<Instant>,
}

impl Sight {
    /// Goes on with a film that was in sight for some time before.
    pub const fn after(before: Duration) -> Self {
        Self { before, since: None }
    }

    /// Notes whether the film can be seen from now on.
    pub fn set(&mut self, in_sight: bool, now: Instant) {
        if in_sight {
            self.since.get_or_insert(now);
        } else {
            self.before = self.time(now);
            self.since = None;
        }
    }

    /// Notes that the reader did something.
    pub fn input(&mut self, now: Instant) {
        if self.since.is_some() {
            self.before = self.time(now);
            self.since = Some(now);
        }
    }

    /// Returns the time so far.
    pub fn time(&self, now: Instant) -> Duration {
        let gap = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.before + if gap > IDLE { Duration::ZERO } else { gap }
    }
}

/// How many films a minute the reader reads, idle time left out.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    reads: VecDeque<Duration>,
}

impl Pace {
    /// Films that the pace is taken over.
    const WINDOW: usize = 20;
    /// Records the time for which one film was read.
    pub fn record(&mut self, time: Duration) {
        if self.reads.len() == Self::WINDOW {
            self.reads.pop_front();
        }
        self.reads.push_back(time);
    }

    /// Returns films a minute over the last 20 films, `None` before the third.
    pub fn films_per_minute(&self) -> Option<f64> {
        let seconds: f64 = self.reads.iter().map(Duration::as_secs_f64).sum();
        (self.reads.len() >= 3 && seconds > 0.0).then(|| 60.0 * self.reads.len() as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let mut latency = Latency::default();
        assert_eq!(latency.p50(), None);
        for ms in (1..=100).rev() {
            latency.record(Duration::from_millis(ms));
        }
        assert_eq!(latency.p50(), Some(Duration::from_millis(50)));
        assert_eq!(latency.p95(), Some(Duration::from_millis(95)));
        assert_eq!(latency.p99(), Some(Duration::from_millis(99)));
        assert_eq!(latency.quantile(1.0), Some(Duration::from_millis(100)));
    }

    #[test]
    fn old_times_are_forgotten() {
        let mut latency = Latency::default();
        latency.record(Duration::from_secs(9));
        for _ in 0..Latency::KEEP {
            latency.record(Duration::from_millis(1));
        }
        assert_eq!(
            (latency.count(), latency.quantile(1.0)),
            (Latency::KEEP, Some(Duration::from_millis(1)))
        );
    }

    #[test]
    fn only_time_in_sight_counts() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut sight = Sight::default();
        assert_eq!(sight.time(at(9)), Duration::ZERO);
        sight.set(true, at(10));
        sight.set(true, at(12));
        sight.set(false, at(15));
        assert_eq!(sight.time(at(40)), Duration::from_secs(5), "to be told twice begins anew");
        sight.set(true, at(50));
        assert_eq!(sight.time(at(57)), Duration::from_secs(12));
        let mut later = Sight::after(sight.time(at(57)));
        later.set(true, at(100));
        assert_eq!(later.time(at(101)), Duration::from_secs(13));
    }

    #[test]
    fn a_gap_of_more_than_a_minute_without_input_does_not_count() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut sight = Sight::default();
        sight.set(true, at(0));
        sight.input(at(5));
        sight.input(at(65));
        assert_eq!(sight.time(at(65)), Duration::from_secs(65), "a minute is still thought");
        sight.input(at(126));
        assert_eq!(sight.time(at(126)), Duration::from_secs(65), "the reader was away");
        sight.input(at(130));
        assert_eq!(sight.time(at(131)), Duration::from_secs(70));
        assert_eq!(sight.time(at(191)), Duration::from_secs(69));
        sight.set(false, at(500));
        assert_eq!(sight.time(at(500)), Duration::from_secs(69));
        sight.input(at(510));
        assert_eq!(sight.time(at(511)), Duration::from_secs(69), "input elsewhere starts no clock");
    }

    #[test]
    fn the_pace_is_that_of_the_last_films() {
        let mut pace = Pace::default();
        for _ in 0..2 {
            pace.record(Duration::from_secs(5));
        }
        assert_eq!(pace.films_per_minute(), None, "two films are no pace");
        pace.record(Duration::from_secs(5));
        assert!((pace.films_per_minute().unwrap() - 12.0).abs() < 1e-9);
    }
}
