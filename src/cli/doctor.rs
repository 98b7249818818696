//! `penumbra doctor`: what this machine offers and whether it computes correctly.

use std::fs;
use std::path::Path;

use super::answer::Answer;
use super::args::DoctorArgs;
use super::model;
use crate::config::Home;
use crate::device::{self, DeviceChoice};

/// Prints devices, folders and models; the answer is no if the device asked for cannot be used.
///
/// # Errors
/// Fails only if the report cannot be written.
pub fn run(home: &Home, choice: DeviceChoice, args: &DoctorArgs) -> anyhow::Result<Answer> {
    let cpu = device::cpu();
    let gpu = device::gpu();
    let chosen = device::open(choice);
    let models: Vec<String> = model::models(home).into_iter().map(|(name, _)| name).collect();
    let sessions = fs::read_dir(home.sessions()).map_or(0, |entries| entries.flatten().count());
    let cpu_test = device::self_test(&cpu.device);
    let report = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "home": home.root(),
        "writable": writable(home.root()),
        "sessions": sessions,
        "models": models,
        "demo_films": home.demo_films(),
        "cpu": { "name": cpu.name, "self_test": cpu_test.clone().err() },
        "gpu": match &gpu {
            Ok(gpu) => serde_json::json!({ "name": gpu.name }),
            Err(error) => serde_json::json!({ "refused": error.to_string() }),
        },
        "computes_on": chosen.as_ref().map(|compute| compute.name.clone()).ok(),
    });
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("Penumbra {}", env!("CARGO_PKG_VERSION"));
        let note = if writable(home.root()) { "" } else { " (cannot be written)" };
        println!("home         {}{note}", home.root().display());
        println!("sessions     {sessions}");
        println!(
            "models       {}",
            if models.is_empty() { "none".to_owned() } else { models.join(", ") }
        );
        let demo = home
            .demo_films()
            .map_or_else(|| "not there".to_owned(), |path| path.display().to_string());
        println!("demo films   {demo}");
        println!(
            "CPU          {} ({})",
            cpu.name,
            if cpu_test.is_ok() { "computes correctly" } else { "fails" }
        );
        match &gpu {
            Ok(gpu) => println!("GPU          {} (computes correctly)", gpu.name),
            Err(error) => println!("GPU          {error}"),
        }
        match &chosen {
            Ok(compute) => println!("computes on  {compute}"),
            Err(error) => println!("computes on  nothing: {error}"),
        }
    }
    Ok(if chosen.is_ok() && cpu_test.is_ok() { Answer::Yes } else { Answer::No })
}

fn writable(folder: &Path) -> bool {
    // A home that does not exist yet is made on first use, so its nearest existing parent counts.
    let existing = folder.ancestors().find(|ancestor| ancestor.is_dir());
    existing.is_some_and(|existing| tempfile::tempfile_in(existing).is_ok())
}
