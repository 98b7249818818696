//! Figures as the window writes them: no more digits than the number of films allows, and times in words.

use crate::learn::metrics::{Estimate, wilson};

/// Writes a share in 0..=1 that was counted over `n` films: ".9" below 30 films, ".93" below 1,000, ".931" from there.
pub fn share(value: f64, n: usize) -> String {
    let digits = match n {
        0..30 => 1,
        30..1000 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    text.strip_prefix('0').map_or_else(|| text.clone(), str::to_owned)
}

/// Writes a share with Wilson's 95 % interval and its n, as in ".93 (.88–.96) on 58 random films".
///
/// Below ten films a share says less than its counts: "7 of 8 random films".
pub fn estimate(correct: usize, n: usize, of: &str) -> String {
    if n < 10 {
        return format!("{correct} of {n} {of}");
    }
    let Estimate { value, low, high } = wilson(correct, n);
    // One more digit than the point estimate deserves would not show that the interval is wide; the same number does.
    let digits = n.max(30);
    format!("{} ({}–{}) on {n} {of}", share(value, digits), share(low, digits), share(high, digits))
}

/// Writes how long something still takes: "40 s", "3 min", "2 h 5 min".
pub fn time(seconds: f32) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0).round() as u64 } else { 0 };
    match seconds {
        0..90 => format!("{seconds} s"),
        90..3600 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Writes a count with its noun: "1 film", "2 films".
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_the_digits_that_n_allows() {
        assert_eq!(share(0.934, 20), ".9");
        assert_eq!(share(0.934, 58), ".93");
        assert_eq!(share(0.9341, 2000), ".934");
        assert_eq!(share(1.0, 58), "1.00");
    }

    #[test]
    fn few_films_are_counted_not_estimated() {
        assert_eq!(estimate(7, 8, "random films"), "7 of 8 random films");
        assert_eq!(estimate(54, 58, "random films"), ".93 (.84–.97) on 58 random films");
    }

    #[test]
    fn times_are_read_at_a_glance() {
        let texts: Vec<_> = [0.4, 40.0, 95.0, 3599.0, 7500.0, f32::NAN].map(time).into();
        assert_eq!(texts, ["0 s", "40 s", "2 min", "60 min", "2 h 5 min", "0 s"]);
        assert_eq!([count(1, "film"), count(0, "film")], ["1 film", "0 films"]);
    }
}
