//! How single values are read.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::config::readers;
use crate::imaging::Fit;
use crate::session::Class;
use crate::simulate::{METHODS, Method};

/// What a film can show.
#[derive(Clone, Debug)]
pub struct ClassSet(pub Vec<Class>);

pub fn classes(text: &str) -> Result<ClassSet, String> {
    Class::parse_set(text).map(ClassSet)
}

pub fn reader(text: &str) -> Result<String, String> {
    readers::check(text).map(str::to_owned)
}

pub fn share(text: &str) -> Result<f32, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is between 0 and 1".to_owned())
}

pub fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "this is a number from 1".to_owned())
}

pub fn at_least_two(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 1).ok_or_else(|| "this is a number from 2".to_owned())
}

pub fn positive(text: &str) -> Result<f64, String> {
    let number =
        text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "this is a number above 0".to_owned())
}

pub fn fit(text: &str) -> Result<Fit, String> {
    match text {
        "pad" => Ok(Fit::Pad),
        "crop" => Ok(Fit::Crop),
        _ => Err("a film is fitted by pad or crop".to_owned()),
    }
}

pub fn window(text: &str) -> Result<(f64, f64), String> {
    let (centre, width) = text.split_once(',').ok_or("give centre and width, as in 2048,4096")?;
    match (centre.trim().parse::<f64>(), width.trim().parse::<f64>()) {
        (Ok(centre), Ok(width)) if centre.is_finite() && width.is_finite() && width >= 1.0 => {
            Ok((centre, width))
        }
        _ => Err("centre and width are numbers, the width at least 1".to_owned()),
    }
}

pub fn seconds_per_film(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|&s: &f64| s.is_finite() && s > 0.0);
    seconds.ok_or_else(|| "a film takes a number of seconds above 0".to_owned())
}

/// Reads a method of `simulate`; `--help` lists them all.
pub fn methods() -> impl TypedValueParser<Value = Method> {
    let listed = METHODS.map(|named| PossibleValue::new(named.name).help(named.about));
    PossibleValuesParser::new(listed).try_map(|name| name.parse::<Method>())
}
