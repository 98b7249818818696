//! The rooms of Penumbra that read files, compiled by themselves: without burn a target builds in minutes.

#[path = "../../src/dataset/mod.rs"]
pub mod dataset;
#[path = "../../src/fsutil.rs"]
pub mod fsutil;
#[path = "../../src/imaging/mod.rs"]
pub mod imaging;
#[path = "../../src/rng.rs"]
pub mod rng;
#[path = "../../src/session/mod.rs"]
pub mod session;

use std::path::PathBuf;
use std::sync::{Once, OnceLock};

/// Lets the panics of other crates' decoders pass, which the program catches; one of Penumbra's own is a finding.
pub fn catch_foreign_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let file = info.location().map_or("", |location| location.file());
            if !file.contains("/registry/") && !file.contains("/library/") {
                eprintln!("{info}");
                std::process::abort();
            }
        }));
    });
}

/// Returns a folder of this process, in memory where the system has such, for readers that take a path.
pub fn folder() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let memory = std::path::Path::new("/dev/shm");
            let root = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
            let folder = root.join(format!("penumbra-fuzz-{}", std::process::id()));
            std::fs::create_dir_all(&folder).expect("a folder to write to");
            folder
        })
        .clone()
}

/// Returns the hash that seals headers and lines, in hexadecimal digits.
pub fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_string()
}
