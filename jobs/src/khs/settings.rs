//! What a data folder's settings say of the KHS API (`[khs]` in settings.toml): what the seed leaves open, and limits.

use serde::{Deserialize, Serialize};

/// Form of the file behind a download address. The seed does not say (grade D): a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileForm {
    /// CSV in UTF-8 with a line that names the items.
    #[default]
    Csv,
    /// The same without that line.
    CsvWithoutHeader,
    /// The body of the JSON interface: a list of records.
    Json,
}

/// Settings of the KHS API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KhsSettings {
    /// Path of IF-I6-01-04-01.
    pub file_path: String,
    /// Path of IF-I6-01-04-02.
    pub json_path: String,
    /// `file_if_id` of answers: nine characters (the interface's id without hyphens would have ten; grade D).
    pub file_if_id: String,
    /// Form of the file.
    pub file_form: FileForm,
    /// Name a download is given; `{insurer_no}` stands for the insurer's number.
    pub file_name: String,
    /// Seconds a download address is good for.
    pub url_seconds: u32,
    /// Requests a second that a token may make in the long run.
    pub requests_per_second: u32,
    /// Requests that it may make at once.
    pub requests_at_once: u32,
    /// Greatest request body in bytes.
    pub body_bytes: usize,
    /// Seconds in which a request must have come.
    pub request_seconds: u32,
    /// Seconds a client may take no byte of an answer.
    pub stall_seconds: u32,
    /// Seconds a client may take for an answer in all.
    pub answer_seconds: u32,
    /// Connections at once.
    pub connections: usize,
    /// Of these, connections of one address.
    pub connections_per_peer: usize,
}

impl Default for KhsSettings {
    fn default() -> KhsSettings {
        KhsSettings {
            file_path: "/khs-api/file".to_owned(),
            json_path: "/khs-api/json".to_owned(),
            file_if_id: "IFI601040".to_owned(),
            file_form: FileForm::Csv,
            file_name: "khs-{insurer_no}.csv".to_owned(),
            url_seconds: 600,
            requests_per_second: 100_000,
            requests_at_once: 100_000,
            body_bytes: 16 << 10,
            request_seconds: 10,
            stall_seconds: 30,
            answer_seconds: 600,
            connections: 1_024,
            connections_per_peer: 512,
        }
    }
}

impl KhsSettings {
    /// What is wrong with them.
    pub fn fault(&self) -> Option<&'static str> {
        let path = |path: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.');
            path.len() > 1 && path.starts_with('/') && !path.ends_with('/') && path.bytes().all(plain)
        };
        let taken = |path: &str| matches!(path, "/health" | "/metrics" | "/openapi.json");
        let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'{' | b'}');
        match self {
            _ if !path(&self.file_path) || !path(&self.json_path) => Some(
                "khs.file_path and khs.json_path must be paths like /khs-api/file, of letters, digits, - _ . and /",
            ),
            _ if self.file_path == self.json_path || taken(&self.file_path) || taken(&self.json_path) => {
                Some(
                    "khs.file_path and khs.json_path must differ, and be none of /health, /metrics, /openapi.json",
                )
            }
            _ if self.file_if_id.len() != 9
                || !self.file_if_id.bytes().all(|b| b.is_ascii_alphanumeric()) =>
            {
                Some("khs.file_if_id must be 9 letters and digits")
            }
            _ if self.file_name.is_empty() || !self.file_name.bytes().all(name) => {
                Some("khs.file_name must be letters, digits, - _ . and {insurer_no}")
            }
            KhsSettings { url_seconds: 0 | 86_401.., .. } => Some("khs.url_seconds must be 1 to 86400"),
            KhsSettings { requests_per_second: 0 | 1_000_001.., .. } => {
                Some("khs.requests_per_second must be 1 to 1000000")
            }
            KhsSettings { requests_at_once: 0 | 1_000_001.., .. } => {
                Some("khs.requests_at_once must be 1 to 1000000")
            }
            KhsSettings { body_bytes: ..64 | 1_048_577.., .. } => {
                Some("khs.body_bytes must be 64 to 1048576")
            }
            KhsSettings { request_seconds: 0 | 3_601.., .. } => Some("khs.request_seconds must be 1 to 3600"),
            KhsSettings { stall_seconds: 0 | 3_601.., .. } => Some("khs.stall_seconds must be 1 to 3600"),
            KhsSettings { answer_seconds: 0 | 86_401.., .. } => Some("khs.answer_seconds must be 1 to 86400"),
            KhsSettings { connections: 0 | 100_001.., .. } => Some("khs.connections must be 1 to 100000"),
            KhsSettings { connections_per_peer: 0 | 100_001.., .. } => {
                Some("khs.connections_per_peer must be 1 to 100000")
            }
            _ => None,
        }
    }
}
