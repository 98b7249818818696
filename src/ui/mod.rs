//! The window: a reading room in which films are labelled, and a view of how the model learns.
//!
//! Panels read what is known of the session, change only what is their own, and ask for the rest; [`app`] takes news in at
//! one place and executes what keys and panels ask for at one other. Nothing here decodes, trains or waits: threads do, and
//! wake the window when they are done.

pub mod app;
mod aside;
mod class_editor;
mod command;
mod export;
mod figures;
mod film_loader;
mod film_view;
mod folder_field;
mod gallery;
mod help;
mod keymap;
mod latency;
mod learn;
mod loader;
mod opening;
mod prompt;
mod read_panel;
mod reader_dialog;
mod reading;
mod reply;
mod request;
mod settings;
mod small_films;
mod start;
mod theme;
mod top_bar;
mod why;
mod widgets;
mod words;

use std::cell::Cell;

use anyhow::bail;
use eframe::egui_wgpu::{WgpuSetup, wgpu};

use self::app::{App, Background, Start};
use crate::config::Home;

/// What draws the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Renderer {
    /// A graphics card if there is one; else OpenGL, whose software rasteriser needs a quarter of the time that Vulkan's
    /// needs for a film.
    #[default]
    Auto,
    /// Vulkan, Metal or Direct3D.
    Wgpu,
    /// OpenGL, for machines whose drivers know nothing newer.
    Glow,
}

/// One way to draw the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Wgpu,
    /// As [`Way::Wgpu`], but not with a software rasteriser.
    WgpuCard,
    Glow,
}

impl Renderer {
    /// Returns the ways to draw, in the order in which they are tried.
    const fn ways(self) -> &'static [Way] {
        match self {
            Self::Auto => &[Way::WgpuCard, Way::Glow, Way::Wgpu],
            Self::Wgpu => &[Way::Wgpu],
            Self::Glow => &[Way::Glow],
        }
    }
}

/// Opens the window and stays until it is closed; films put off come back after `return_after` others, or, for `None`,
/// when all others are read. Without a `reader` the window asks who reads where several have.
///
/// # Errors
/// If the system gives no window, as without a display, or no graphics adapter; the message says what to try.
pub fn run(
    home: &Home,
    start: &Start,
    renderer: Renderer,
    background: &Background,
    return_after: Option<usize>,
    reader: Option<&str>,
) -> anyhow::Result<()> {
    let mut reasons = Vec::new();
    for &way in renderer.ways() {
        let opened = Cell::new(false);
        let create = |ctx: &egui::Context| {
            opened.set(true);
            App::new(ctx, home.clone(), start.clone(), background.clone(), return_after)
                .read_by(reader)
        };
        match open(way, Box::new(create)) {
            Ok(()) => return Ok(()),
            Err(error) if opened.get() => bail!("The window had to close: {error}"),
            Err(error) => {
                tracing::info!("no window by {way:?}: {error}");
                reasons.push(error.to_string());
            }
        }
    }
    let advice = match renderer {
        Renderer::Wgpu => "Try another renderer: --renderer glow",
        Renderer::Auto | Renderer::Glow => {
            "Is there a display, and are the libraries installed that the README names?"
        }
    };
    // Once the first way has failed without a display, the others say no more than that it had its turn.
    let reason = reasons.first().map_or("", String::as_str);
    // The place in a library's source before it helps nobody.
    let reason = reason.rsplit(": ").next().unwrap_or_default().trim_end_matches('.');
    bail!("No window could be opened: {reason}. {advice}")
}

/// The window's icon where the system does not take it from the menu entry; none if it cannot be decoded.
fn icon() -> egui::IconData {
    let bytes = include_bytes!("../../packaging/penumbra.png");
    image::load_from_memory(bytes).map_or_else(
        |_| egui::IconData::default(),
        |icon| {
            let (width, height) = (icon.width(), icon.height());
            egui::IconData { rgba: icon.into_rgba8().into_raw(), width, height }
        },
    )
}

/// Opens the window in one way; an error before `create` was called leaves nothing behind.
fn open(way: Way, create: Box<dyn FnOnce(&egui::Context) -> App + '_>) -> eframe::Result {
    let viewport = egui::ViewportBuilder::default()
        .with_app_id("penumbra")
        .with_title("Penumbra")
        .with_inner_size(theme::WINDOW)
        .with_min_inner_size(theme::WINDOW_MIN)
        .with_icon(icon())
        .with_drag_and_drop(true);
    let mut options = eframe::NativeOptions { viewport, ..Default::default() };
    options.renderer = match way {
        Way::Wgpu | Way::WgpuCard => eframe::Renderer::Wgpu,
        Way::Glow => eframe::Renderer::Glow,
    };
    // On a machine with two adapters the fast one is left to learning, which has a device of its own.
    if let WgpuSetup::CreateNew(setup) = &mut options.wgpu_options.wgpu_setup {
        setup.power_preference = wgpu::PowerPreference::LowPower;
    }
    let create = |context: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        let adapter = context.wgpu_render_state.as_ref().map(|state| state.adapter.get_info());
        match adapter {
            Some(info) if way == Way::WgpuCard && info.device_type == wgpu::DeviceType::Cpu => {
                Err(format!("{} is no graphics card", info.name).into())
            }
            _ => Ok(Box::new(create(&context.egui_ctx))),
        }
    };
    eframe::run_native("Penumbra", options, Box::new(create))
}

#[cfg(test)]
mod tests;
