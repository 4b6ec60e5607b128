//! The binary `flumen`.

use std::process::ExitCode;

fn main() -> ExitCode {
    flumen_server::cli::main()
}
