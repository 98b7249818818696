//! Keys as the programs have them that readers know.
//!
//! Sources: the default bindings of OHIF v3 and Weasis in their source code, of Horos in its manual. Where a program has
//! no key for a command of ours, or none for lack of the command, the key is ours.

use super::{Preset, Tool, UiCommand, View};
use crate::config::Profile;

/// A command with its keys.
pub type Row = (UiCommand, &'static [&'static str]);

/// Returns the rows in which a profile differs from [`PENUMBRA`].
pub const fn own(profile: Profile) -> &'static [Row] {
    match profile {
        Profile::Penumbra | Profile::LeftHand => &[],
        Profile::Ohif => OHIF,
        Profile::Weasis => WEASIS,
        Profile::Horos => HOROS,
    }
}

/// Our keys: answers, undo and what follows a film under the right hand; 0 to 6 for windows, as in Weasis.
pub const PENUMBRA: &[Row] = &[
    (UiCommand::Uninterpretable, &[";"]),
    (UiCommand::Later, &["N"]),
    (UiCommand::Undo, &["U", "Ctrl+Z"]),
    (UiCommand::Preset(Preset::Auto), &["0"]),
    (UiCommand::Preset(Preset::Default), &["1"]),
    (UiCommand::Preset(Preset::Second), &["2"]),
    (UiCommand::Preset(Preset::Lung), &["3"]),
    (UiCommand::Preset(Preset::Mediastinum), &["4"]),
    (UiCommand::Preset(Preset::Bone), &["5"]),
    (UiCommand::Preset(Preset::Full), &["6"]),
    (UiCommand::ToggleInvert, &["I"]),
    (UiCommand::RotateRight, &["."]),
    (UiCommand::RotateLeft, &[","]),
    (UiCommand::FlipAcross, &["H"]),
    (UiCommand::FlipDown, &["V"]),
    (UiCommand::ResetWindow, &["Backspace"]),
    (UiCommand::FitView, &["="]),
    (UiCommand::ResetView, &["R"]),
    (UiCommand::OneToOne, &["O"]),
    (UiCommand::ZoomIn, &["+"]),
    (UiCommand::ZoomOut, &["-"]),
    (UiCommand::Tool(Tool::Window), &["W"]),
    (UiCommand::Tool(Tool::Move), &["X"]),
    (UiCommand::Tool(Tool::Zoom), &["Z"]),
    (UiCommand::Tool(Tool::Ruler), &["D"]),
    (UiCommand::Tool(Tool::Region), &["A"]),
    (UiCommand::Magnifier, &["M"]),
    (UiCommand::Overlay, &["Y"]),
    (UiCommand::Clear, &["Esc"]),
    (UiCommand::Equalise, &["C"]),
    (UiCommand::HeatMap, &["S"]),
    (UiCommand::NextFilm, &["Page down"]),
    (UiCommand::PreviousFilm, &["Page up"]),
    (UiCommand::HidePanels, &["F"]),
    (UiCommand::ShowPanels, &["Tab"]),
    (UiCommand::View(View::Read), &["F1"]),
    (UiCommand::View(View::Learn), &["F2"]),
    (UiCommand::View(View::Films), &["G", "F3"]),
    (UiCommand::View(View::Review), &["F4"]),
    (UiCommand::Reader, &["F5"]),
    (UiCommand::BackToQueue, &["Q"]),
    (UiCommand::Note, &["T"]),
    (UiCommand::AcceptChange, &["Enter"]),
    (UiCommand::Export, &["E"]),
    (UiCommand::Settings, &["P"]),
    (UiCommand::Help, &["?"]),
];

const OHIF: &[Row] = &[
    // OHIF's 1 to 5 are soft tissue, lung, liver, bone, brain.
    (UiCommand::Preset(Preset::Mediastinum), &["1"]),
    (UiCommand::Preset(Preset::Lung), &["2"]),
    (UiCommand::Preset(Preset::Default), &["3"]),
    (UiCommand::Preset(Preset::Bone), &["4"]),
    (UiCommand::Preset(Preset::Auto), &["5"]),
    (UiCommand::Preset(Preset::Full), &["6"]),
    (UiCommand::Preset(Preset::Second), &["7"]),
    (UiCommand::RotateRight, &["R"]),
    (UiCommand::RotateLeft, &["L"]),
    (UiCommand::ResetView, &["Space"]),
];

const WEASIS: &[Row] = &[
    (UiCommand::ToggleInvert, &["Y"]),
    (UiCommand::RotateRight, &["Alt+R", "."]),
    (UiCommand::RotateLeft, &["Alt+L", ","]),
    (UiCommand::FlipAcross, &["Alt+F", "H"]),
    (UiCommand::ResetView, &["Esc"]),
    (UiCommand::Clear, &["Delete"]),
    (UiCommand::Overlay, &["I", "Space"]),
    (UiCommand::Tool(Tool::Move), &["T"]),
    (UiCommand::Note, &["B"]),
    (UiCommand::HidePanels, &["F11", "F"]),
];

const HOROS: &[Row] = &[
    (UiCommand::Preset(Preset::Full), &["0"]),
    (UiCommand::Preset(Preset::Default), &["`"]),
    (UiCommand::Preset(Preset::Auto), &["1"]),
    (UiCommand::Preset(Preset::Lung), &["2"]),
    (UiCommand::Preset(Preset::Mediastinum), &["3"]),
    (UiCommand::Preset(Preset::Bone), &["4"]),
    (UiCommand::Preset(Preset::Second), &["5"]),
    (UiCommand::ToggleInvert, &["B"]),
    // Horos turns by a tool on this key.
    (UiCommand::RotateRight, &["I", "."]),
    (UiCommand::Tool(Tool::Move), &["M"]),
    (UiCommand::Tool(Tool::Ruler), &["L"]),
    (UiCommand::Magnifier, &["S"]),
    (UiCommand::HeatMap, &["X"]),
];
