//! The window: a reading room in which films are labelled, and a view of how the model learns.
//!
//! Panels read the state and return [`command::UiCommand`]s; [`app`] takes news in at one place and executes commands
//! at one other. Nothing here decodes, trains or waits: threads do, and wake the window when they are done.

pub mod app;
pub mod command;
mod export;
pub mod figures;
pub mod film_loader;
pub mod film_view;
mod folder_field;
mod help;
pub mod latency;
mod learn;
mod learning;
mod opening;
mod read;
mod start;
pub mod theme;
mod top_bar;
pub mod why;
mod widgets;

use anyhow::anyhow;
use eframe::egui_wgpu::{WgpuSetup, wgpu};

use self::app::{App, Background, Start};
use crate::config::Home;

/// What draws the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Renderer {
    /// Vulkan, Metal or Direct3D.
    #[default]
    Wgpu,
    /// OpenGL, for machines whose drivers know nothing newer.
    Glow,
}

/// Opens the window and stays until it is closed.
///
/// # Errors
/// If the system gives no window, as without a display, or no graphics adapter; the message says what to try.
pub fn run(
    home: Home,
    start: Start,
    renderer: Renderer,
    background: Background,
) -> anyhow::Result<()> {
    let viewport = egui::ViewportBuilder::default()
        .with_app_id("penumbra")
        .with_title("Penumbra")
        .with_inner_size(theme::WINDOW)
        .with_min_inner_size(theme::WINDOW_MIN)
        .with_drag_and_drop(true);
    let mut options = eframe::NativeOptions { viewport, ..Default::default() };
    options.renderer = match renderer {
        Renderer::Wgpu => eframe::Renderer::Wgpu,
        Renderer::Glow => eframe::Renderer::Glow,
    };
    // On a machine with two adapters the fast one is left to learning, which has a device of its own.
    if let WgpuSetup::CreateNew(setup) = &mut options.wgpu_options.wgpu_setup {
        setup.power_preference = wgpu::PowerPreference::LowPower;
    }
    let create = |context: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        Ok(Box::new(App::new(&context.egui_ctx, home, start, background)))
    };
    eframe::run_native("Penumbra", options, Box::new(create)).map_err(|error| match renderer {
        Renderer::Wgpu => {
            anyhow!("No window could be opened: {error}. Try the other renderer: --renderer glow")
        }
        Renderer::Glow => anyhow!("No window could be opened: {error}. Is there a display?"),
    })
}
