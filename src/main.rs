//! The `penumbra` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    penumbra::cli::main()
}
