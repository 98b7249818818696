//! What can be typed about the random views of a film.

use crate::imaging::Augment;

/// How a view is made.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Views")]
pub struct ViewArgs {
    /// Smallest share of a film's area that a view shows
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = crop)]
    pub crop: f32,
    /// Probability of a left-right flip
    #[arg(long, value_name = "P", default_value_t = 0.5, value_parser = probability)]
    pub flip: f32,
    /// Probability that brightness and contrast change
    #[arg(long, value_name = "P", default_value_t = 0.8, value_parser = probability)]
    pub jitter: f32,
    /// Greatest change of brightness either way, as a part of it
    #[arg(long, value_name = "S", default_value_t = 0.4, value_parser = strength)]
    pub brightness: f32,
    /// Greatest change of contrast either way, as a part of it
    #[arg(long, value_name = "S", default_value_t = 0.4, value_parser = strength)]
    pub contrast: f32,
    /// Probability of a Gaussian blur
    #[arg(long, value_name = "P", default_value_t = 0.5, value_parser = probability)]
    pub blur: f32,
    /// Least and greatest standard deviation of the blur in pixels of the view
    #[arg(long, value_name = "MIN,MAX", default_value = "0.1,2", value_parser = sigmas)]
    pub blur_sigma: (f32, f32),
    /// Greatest rotation either way in degrees
    #[arg(long, value_name = "DEGREES", default_value_t = 10.0, value_parser = degrees)]
    pub rotate: f32,
    /// Greatest shift either way, as a part of the film's width and height
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = shift)]
    pub translate: f32,
}

impl ViewArgs {
    /// The distribution of views; the ratio of a crop's sides stays SimCLR's.
    pub fn augment(&self) -> Augment {
        let Self { crop, flip, jitter, brightness, contrast, blur, blur_sigma, rotate, translate } =
            *self;
        Augment {
            crop_area: (crop, 1.0),
            flip,
            rotate_degrees: rotate,
            translate,
            jitter,
            brightness,
            contrast,
            blur,
            blur_sigma,
            ..Augment::simclr()
        }
    }
}

/// Reads a number in a range.
fn within(text: &str, low: f32, high: f32, what: &str) -> Result<f32, String> {
    let number = text.trim().parse().ok().filter(|number| (low..=high).contains(number));
    number.ok_or_else(|| format!("{what} is between {low} and {high}"))
}

fn crop(text: &str) -> Result<f32, String> {
    within(text, 0.01, 1.0, "the share that a view shows")
}

fn probability(text: &str) -> Result<f32, String> {
    within(text, 0.0, 1.0, "a probability")
}

fn strength(text: &str) -> Result<f32, String> {
    within(text, 0.0, 1.0, "a strength")
}

fn degrees(text: &str) -> Result<f32, String> {
    within(text, 0.0, 180.0, "a rotation")
}

fn shift(text: &str) -> Result<f32, String> {
    within(text, 0.0, 0.5, "a shift")
}

fn sigmas(text: &str) -> Result<(f32, f32), String> {
    let Some((low, high)) = text.split_once(',') else {
        return Err("two numbers with a comma between them, such as 0.1,2".to_owned());
    };
    let number = |text| within(text, 0.01, 20.0, "a standard deviation");
    let (low, high) = (number(low)?, number(high)?);
    if low > high {
        return Err("the least standard deviation comes first".to_owned());
    }
    Ok((low, high))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        views: ViewArgs,
    }

    fn typed(text: &str) -> Result<Augment, String> {
        let words = ["pretrain"].into_iter().chain(text.split_whitespace());
        let parsed = Typed::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(parsed.views.augment())
    }

    #[test]
    fn nothing_typed_is_simclrs_views() {
        assert_eq!(typed("").unwrap(), Augment::simclr());
    }

    #[test]
    fn every_flag_reaches_its_range() {
        let text = "--crop 0.08 --flip 0 --jitter 1 --brightness 0.2 --contrast 0.3 --blur 0.1 \
                    --blur-sigma 0.5,1.5 --rotate 20 --translate 0.1";
        let expected = Augment {
            crop_area: (0.08, 1.0),
            aspect: Augment::simclr().aspect,
            flip: 0.0,
            rotate_degrees: 20.0,
            translate: 0.1,
            jitter: 1.0,
            brightness: 0.2,
            contrast: 0.3,
            blur: 0.1,
            blur_sigma: (0.5, 1.5),
            strong: None,
        };
        assert_eq!(typed(text).unwrap(), expected);
    }

    #[test]
    fn what_is_out_of_range_is_refused_with_the_range() {
        for (text, why) in [
            ("--crop 0", "between 0.01 and 1"),
            ("--crop 1.1", "between 0.01 and 1"),
            ("--flip 2", "a probability is between 0 and 1"),
            ("--jitter nan", "a probability is between 0 and 1"),
            ("--blur x", "a probability is between 0 and 1"),
            ("--brightness 1.5", "a strength is between 0 and 1"),
            ("--contrast inf", "a strength is between 0 and 1"),
            ("--rotate 181", "a rotation is between 0 and 180"),
            ("--translate 0.6", "a shift is between 0 and 0.5"),
            ("--blur-sigma 1", "two numbers with a comma"),
            ("--blur-sigma 0,1", "a standard deviation is between 0.01 and 20"),
            ("--blur-sigma 2,1", "the least standard deviation comes first"),
        ] {
            let error = typed(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
