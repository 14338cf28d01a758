//! The program `tsumiage`; everything is in `tsumiage_jobs::cli`.

use std::process::ExitCode;

/// Columns and pages are many buffers of all sizes, made on all threads: with the system's allocator a fifth of a
/// resolve went into it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Memory that was freed is kept for the next chunk: given back to the system it comes again page by page, each cleared,
/// and a resolve took 40 % longer.
fn keep_freed_memory() {
    // The crate does not name this one; it stands before the next in mimalloc's own list.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = libmimalloc_sys::mi_option_use_numa_nodes - 1;
    // SAFETY: sets a number of an option; the allocator allows it at any time.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, -1);
    }
}

fn main() -> ExitCode {
    // Of commands that end; a server's peak would stay for ever.
    let command = std::env::args().nth(1);
    if matches!(command.as_deref(), Some("nightly" | "ingest" | "resolve" | "rebuild" | "close")) {
        keep_freed_memory();
    }
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
