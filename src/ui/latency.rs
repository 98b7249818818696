//! Time from a key to the next film on the screen, time that a film is in sight, and the reader's pace.

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

/// How long a film has been in sight: what covers it stops the clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sight {
    before: Duration,
    since: Option<Instant>,
}

impl Sight {
    /// Notes whether the film can be seen from now on.
    pub fn set(&mut self, in_sight: bool) {
        if in_sight {
            self.since.get_or_insert_with(Instant::now);
        } else {
            self.before = self.time();
            self.since = None;
        }
    }

    /// Returns the time in sight so far.
    pub fn time(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
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
    /// Time on one film after which the reader has left the room.
    const IDLE: Duration = Duration::from_mins(1);

    /// Records the time that one film was on the screen; more than a minute counts as idle and is left out.
    pub fn record(&mut self, time: Duration) {
        if time > Self::IDLE {
            return;
        }
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
        const STEP: Duration = Duration::from_millis(20);
        let mut sight = Sight::default();
        std::thread::sleep(STEP);
        assert_eq!(sight.time(), Duration::ZERO);
        sight.set(true);
        std::thread::sleep(STEP);
        sight.set(true);
        sight.set(false);
        let seen = sight.time();
        assert!(seen >= STEP, "to be told twice begins anew");
        std::thread::sleep(STEP);
        assert_eq!(sight.time(), seen);
        sight.set(true);
        std::thread::sleep(STEP);
        assert!(sight.time() >= seen + STEP);
    }

    #[test]
    fn idle_time_does_not_slow_the_reader() {
        let mut pace = Pace::default();
        for _ in 0..2 {
            pace.record(Duration::from_secs(5));
        }
        assert_eq!(pace.films_per_minute(), None, "two films are no pace");
        pace.record(Duration::from_hours(1));
        pace.record(Duration::from_secs(5));
        assert!((pace.films_per_minute().unwrap() - 12.0).abs() < 1e-9);
    }
}
