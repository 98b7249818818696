//! The time of an event as the log writes it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment in UTC to the millisecond, written as `2026-11-24T02:41:00.123Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(jiff::Timestamp);

impl Time {
    /// Reads the system's clock.
    pub fn now() -> Self {
        Self::from_milliseconds(jiff::Timestamp::now().as_millisecond())
    }

    /// Makes the moment that lies `milliseconds` after 1970-01-01T00:00:00Z; the year 1970 if no calendar reaches it.
    pub fn from_milliseconds(milliseconds: i64) -> Self {
        Self(jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default())
    }

    /// Returns the milliseconds after 1970-01-01T00:00:00Z.
    pub fn milliseconds(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Returns how long ago an earlier moment was; nothing if the clock was set back since.
    pub fn since(self, earlier: Self) -> Duration {
        let milliseconds = self.0.as_millisecond().saturating_sub(earlier.0.as_millisecond());
        Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

/// A time that is not written as the log writes it.
#[derive(Debug, thiserror::Error)]
#[error("not a time in UTC with milliseconds: {0:?}")]
pub struct InvalidTime(String);

impl TryFrom<String> for Time {
    type Error = InvalidTime;

    fn try_from(text: String) -> Result<Self, InvalidTime> {
        match text.parse().map(Self) {
            Ok(time) if time.to_string() == text => Ok(time),
            _ => Err(InvalidTime(text)),
        }
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_in_utc_with_three_decimals() {
        assert_eq!(
            Time::from_milliseconds(1_795_488_060_120).to_string(),
            "2026-11-24T02:41:00.120Z"
        );
        assert_eq!(Time::from_milliseconds(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn other_spellings_of_a_moment_are_refused() {
        let time = Time::from_milliseconds(1_795_488_060_120);
        assert_eq!(Time::try_from(time.to_string()).unwrap(), time);
        for text in [
            "2026-11-24T02:41:00.12Z",
            "2026-11-24T02:41:00.120+00:00",
            "2026-11-24 02:41:00.120Z",
            "soon",
        ] {
            assert!(Time::try_from(text.to_owned()).is_err(), "{text} was accepted");
        }
    }
}
