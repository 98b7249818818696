//! What a file says of how it wants to be seen: VOI LUT and windows (PS3.3 C.11.2).

use std::sync::Arc;

use dicom_dictionary_std::tags;

use super::super::{About, NamedWindow, VoiLut};
use super::dataset::{DataSet, fit_to_show};
use super::lut::Lut;
use super::values::Mapping;

/// The most windows that are kept.
const MAX_WINDOWS: usize = 32;

/// How a window maps values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Function {
    Linear,
    LinearExact,
    Sigmoid,
}

/// Reads the VOI LUT and the windows of a file into what is known of it.
pub fn read(set: &DataSet<'_>, mapping: &Mapping, about: &mut About) {
    let given = set.voi_lut.is_some() || set.top.element(tags::WINDOW_CENTER).is_some();
    if !mapping.sound {
        if given {
            about
                .notes
                .push("windows and VOI LUT are of values that are unknown: left out".to_owned());
        }
        return;
    }
    let function = match set.top.code(tags::VOILUT_FUNCTION).as_deref() {
        None | Some("LINEAR") => Function::Linear,
        Some("LINEAR_EXACT") => Function::LinearExact,
        Some("SIGMOID") => Function::Sigmoid,
        Some(_) => {
            about.notes.push("the VOI LUT function is unknown: taken as linear".to_owned());
            Function::Linear
        }
    };
    let windows = windows(set, function, about);
    if let (Function::Sigmoid, Some((centre, width))) = (function, windows) {
        let curve = |value: f64| 1.0 / (1.0 + (-4.0 * (value - centre) / width).exp());
        about.voi_lut = Some(table(mapping, about, |value| curve(value) * 65535.0));
    }
    let Some(item) = &set.voi_lut else { return };
    match Lut::read(item, mapping.signed) {
        Ok(lut) => {
            let full = f64::from((1_u32 << lut.bits) - 1);
            let entry = |value: f64| f64::from(lut.map(value.round() as i32)) * 65535.0 / full;
            about.voi_lut = Some(table(mapping, about, entry));
        }
        Err(flaw) => {
            let instead = match (&about.voi_lut, about.windows.first()) {
                (None, None) => "shown by percentiles",
                _ => "the window is used",
            };
            about.notes.push(format!("the VOI LUT is malformed ({flaw}): {instead}"));
        }
    }
}

/// Makes the table over all film values of a function of the file's own units.
fn table(mapping: &Mapping, about: &About, function: impl Fn(f64) -> f64) -> Arc<VoiLut> {
    let (scale, offset) = (f64::from(about.scale), f64::from(about.offset));
    let entry = |value: u16| function(f64::from(value) * scale + offset).round() as u16;
    Arc::new(VoiLut { first: 0, table: (0..=mapping.highest).map(entry).collect() })
}

/// Reads the windows, and returns centre and width of the first in the file's own units.
fn windows(set: &DataSet<'_>, function: Function, about: &mut About) -> Option<(f64, f64)> {
    let centres = set.top.numbers(tags::WINDOW_CENTER);
    let widths = set.top.numbers(tags::WINDOW_WIDTH);
    let names = set.top.text(tags::WINDOW_CENTER_WIDTH_EXPLANATION).unwrap_or_default();
    let names: Vec<&str> = names.split('\\').collect();
    let mut first = None;
    let least = if function == Function::Linear { 1.0 } else { f64::MIN_POSITIVE };
    let mut malformed = centres.len() != widths.len();
    for (n, (&centre, &width)) in centres.iter().zip(&widths).enumerate().take(MAX_WINDOWS) {
        if !(centre.abs() < 1e9 && width >= least && width < 1e9) {
            malformed = true;
            continue;
        }
        first.get_or_insert((centre, width));
        let name = fit_to_show(names.get(n).copied().unwrap_or_default().trim());
        // LINEAR_EXACT runs over the whole width about the centre itself; a sigmoid's window is its tangent in the middle.
        let window = match function {
            Function::Linear => about.window(centre, width),
            Function::LinearExact | Function::Sigmoid => about.window(centre + 0.5, width + 1.0),
        };
        about.windows.push(NamedWindow { name, window });
    }
    if malformed {
        let instead = if about.windows.is_empty() { "left out" } else { "the others are used" };
        about.notes.push(format!("a window is malformed: {instead}"));
    }
    first
}
