//! `khs`: the status of insurance cards, loaded, fetched and served.

use crate::serve::Address;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use tsumiage_schemas::Day;

/// `khs`.
#[derive(Clone, Debug, Subcommand)]
pub enum KhsAction {
    /// Take in files of KHS records: CSV of the body's five items, or an answer of the JSON interface
    Load {
        /// Files to load
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Ask a KHS API for the records of an insurer or one person, and take the answer in
    Fetch(FetchArgs),
    /// Serve the KHS API (IF-I6-01-04-01, IF-I6-01-04-02) until it is stopped
    Serve(ServeArgs),
    /// Tokens of those who may ask the server
    Token {
        /// What to do with them.
        #[command(subcommand)]
        action: TokenAction,
    },
}

/// `khs fetch`.
#[derive(Clone, Debug, Args)]
pub struct FetchArgs {
    /// Where the API is: https://host, or the whole address of the interface
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// Insurer whose records are asked for
    #[arg(long, value_name = "NO")]
    pub insurer: String,
    /// File with the token (自治体トークン), on its first line
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
    /// Only this person [default: everybody]
    #[arg(long, value_name = "NO")]
    pub insured: Option<String>,
    /// Insurer whose token it is [default: --insurer]
    #[arg(long, value_name = "NO")]
    pub requester: Option<String>,
    /// Have a file made and download it, instead of one JSON answer
    #[arg(long, conflicts_with = "insured")]
    pub file: bool,
    /// Certificate authorities to believe, instead of the public ones (PEM)
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Times to try before giving up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub attempts: u32,
    /// Put the answer into this inbox, for `worker` or `nightly`, instead of taking it in
    #[arg(long, value_name = "DIR")]
    pub to_inbox: Option<PathBuf>,
}

/// `khs serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// File of tokens, made by `khs token new`; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub tokens: PathBuf,
    /// Address to serve on
    #[arg(long, value_name = "ADDR")]
    pub listen: Address,
    /// Key that signs download addresses, at least 32 bytes [default: a new one with every start]
    #[arg(long, value_name = "FILE")]
    pub signing_key: Option<PathBuf>,
    /// What download addresses begin with, such as https://khs.example.jp [default: as the request names the host]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Certificate chain for TLS (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Serve metrics and health on this address only [default: /metrics and /health beside the interfaces]
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<Address>,
    /// Audit log: a line of JSON for every request [default: khs/audit.ndjson in the data folder]
    #[arg(long, value_name = "FILE")]
    pub audit: Option<PathBuf>,
}

/// `khs token`.
#[derive(Clone, Debug, Subcommand)]
pub enum TokenAction {
    /// Make a token: it is printed once, the file keeps its hash
    New {
        /// File of tokens; made if missing
        #[arg(long, value_name = "FILE")]
        tokens: PathBuf,
        /// Insurer it is for
        #[arg(long, value_name = "NO")]
        insurer: String,
        /// Last day on which it is good [default: no end]
        #[arg(long, value_name = "YYYY-MM-DD")]
        valid_to: Option<Day>,
    },
    /// The tokens there are, without the tokens themselves
    List {
        /// File of tokens
        #[arg(long, value_name = "FILE")]
        tokens: PathBuf,
    },
    /// Take a token back
    Revoke {
        /// File of tokens
        #[arg(long, value_name = "FILE")]
        tokens: PathBuf,
        /// Its id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
}
