//! The program `tsumiage`; everything is in `tsumiage_jobs::cli`.

use std::process::ExitCode;

/// Columns and pages are many buffers of all sizes, made on all threads: with the system's allocator a fifth of a
/// resolve went into it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Created files are not readable by others (contract); the data are people's.
    #[cfg(unix)]
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o027));
    let filter = tracing_subscriber::EnvFilter::try_from_env("TSUMIAGE_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let code =
        tsumiage_jobs::cli::run(std::env::args_os().skip(1), &mut std::io::stdout(), &mut std::io::stderr());
    ExitCode::from(code)
}
