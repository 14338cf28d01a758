//! What changes or fails while the server runs.

use super::*;
use crate::khs::serve::looking::look;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_is_answered_that_cannot_be_written_down() {
    let fixture = fixture_with(KhsSettings::default(), Some("/dev/full"));
    for _ in 0..2 {
        let answer = fixture.json(1, TOWN, TOWN, None).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!answer.text().contains("0000000007"));
    }
    assert_eq!(fixture.told.try_iter().count(), 1, "told once");
    let health = fixture.get("GET", "/health", &[]).await;
    assert!(health.status == StatusCode::SERVICE_UNAVAILABLE && health.text().contains("audit"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_well_again_is_found_without_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.ndjson");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let fixture = fixture_with(KhsSettings::default(), path.to_str());
    assert_eq!(fixture.json(1, TOWN, TOWN, None).await.status, StatusCode::SERVICE_UNAVAILABLE);
    look(&fixture.api);
    assert_eq!(fixture.get("GET", "/health", &[]).await.status, StatusCode::SERVICE_UNAVAILABLE);
    fs::remove_file(&path).unwrap();
    look(&fixture.api);
    assert_eq!(fixture.get("GET", "/health", &[]).await.text(), "ok\n");
    let line: Value = serde_json::from_str(fs::read_to_string(&path).unwrap().trim()).unwrap();
    assert!(line["audit"] == "writable again" && line["time"].is_string(), "{line}");
    let told: Vec<String> = fixture.told.try_iter().collect();
    assert!(told.len() == 2 && told[0].contains("are refused") && told[1].contains("again"), "{told:?}");
}

#[tokio::test]
async fn an_audit_log_that_cannot_be_begun_anew_goes_on_in_the_old_file() {
    let fixture = fixture();
    let (path, old) = (fixture.folder.path().join("audit.ndjson"), fixture.folder.path().join("audit.1"));
    fs::rename(&path, &old).unwrap();
    fs::create_dir(&path).unwrap(); // nobody can write a file there
    look(&fixture.api);
    look(&fixture.api);
    assert_eq!(fixture.json(1, TOWN, TOWN, Some("0000000007")).await.status, StatusCode::OK);
    assert_eq!(fs::read_to_string(&old).unwrap().lines().count(), 1);
    let health = fixture.get("GET", "/health", &[]).await;
    assert!(health.status == StatusCode::SERVICE_UNAVAILABLE && health.text().contains("moved away"));
    let told: Vec<String> = fixture.told.try_iter().collect();
    assert!(told.len() == 1 && told[0].contains("old one") && !told[0].contains("refused"), "{told:?}");
    fs::remove_dir(&path).unwrap();
    look(&fixture.api);
    assert_eq!(fixture.get("GET", "/health", &[]).await.text(), "ok\n");
    assert_eq!(fixture.json(1, TOWN, TOWN, Some("0000000007")).await.status, StatusCode::OK);
    assert_eq!(fixture.audit().len(), 1, "in the new file");
    assert_eq!(fixture.told.try_iter().count(), 1, "it is in its place again");
}

#[tokio::test]
async fn a_ledger_that_is_just_being_replaced_is_not_an_empty_one() {
    let fixture = fixture();
    let (state, metrics) = (&fixture.api.state, &fixture.api.metrics);
    let (tell, told) = channel();
    let data = fixture.folder.path().join("data");
    fs::rename(data.join("ledger"), data.join("old")).unwrap();
    state.refresh(metrics, &tell);
    state.refresh(metrics, &tell);
    assert_eq!(fixture.json(1, TOWN, TOWN, None).await.json()["record_num"], MANY as u64);
    assert_eq!(fixture.get("GET", "/health", &[]).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let said: Vec<String> = told.try_iter().collect();
    assert!(said.len() == 1 && said[0].contains("manifests: is not there"), "{said:?}");
    let first = read(
        options(fixture.folder.path(), KhsSettings::default()),
        "127.0.0.1:1".parse().unwrap(),
        false,
        tell.clone(),
    );
    let error = first.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("manifests: is not there"), "at the start too: {error}");
    fs::rename(data.join("old"), data.join("ledger")).unwrap();
    state.refresh(metrics, &tell);
    assert_eq!(fixture.get("GET", "/health", &[]).await.text(), "ok\n");
    let empty = tempfile::tempdir().unwrap();
    Ledger::make(&empty.path().join("data")).unwrap();
    issue(&empty.path().join("tokens.csv"), TOWN, None).unwrap();
    let options = options(empty.path(), KhsSettings::default());
    assert!(read(options, "127.0.0.1:1".parse().unwrap(), false, tell).is_ok(), "a new data folder");
}

#[tokio::test]
async fn a_token_file_that_was_emptied_takes_nobody_their_tokens() {
    let fixture = fixture();
    let (state, metrics) = (&fixture.api.state, &fixture.api.metrics);
    let (tell, told) = channel();
    for text in ["", "# all gone\n"] {
        fs::write(fixture.folder.path().join("tokens.csv"), text).unwrap();
        state.refresh(metrics, &tell);
        assert_eq!(fixture.json(1, TOWN, TOWN, Some("0000000007")).await.status, StatusCode::OK);
        assert_eq!(fixture.get("GET", "/health", &[]).await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(told.try_iter().all(|text| text.contains("there is no line id,insurer_no")));
}

#[test]
fn a_server_that_takes_no_connections_any_more_does_not_serve() {
    let folder = data_folder();
    issue(&folder.path().join("tokens.csv"), TOWN, None).unwrap();
    let server = Server::start(options(folder.path(), KhsSettings::default()), channel().0).unwrap();
    assert!(server.is_serving());
    server.serving[0].abort();
    let begun = Instant::now();
    while server.is_serving() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!server.is_serving());
    server.stop();
}

#[tokio::test]
async fn what_cannot_be_read_leaves_what_was() {
    let fixture = fixture();
    let (state, metrics) = (&fixture.api.state, &fixture.api.metrics);
    let (tell, told) = channel();
    let tokens = fixture.folder.path().join("tokens.csv");
    let good = fs::read_to_string(&tokens).unwrap();
    fs::write(&tokens, "nonsense").unwrap();
    state.refresh(metrics, &tell);
    state.refresh(metrics, &tell);
    let told: Vec<String> = told.try_iter().collect();
    assert!(told.len() == 1 && told[0].contains("tokens.csv: line 1"), "{told:?}");
    assert_eq!(fixture.json(1, TOWN, TOWN, None).await.status, StatusCode::OK);
    let health = fixture.get("GET", "/health", &[]).await;
    assert!(health.status == StatusCode::SERVICE_UNAVAILABLE && !health.text().contains("tokens.csv"));
    fs::write(&tokens, good).unwrap();
    let (file, data) = (fixture.folder.path().join("more.csv"), fixture.folder.path().join("data"));
    let head = "care_insure_provider_number,care_insurer_number,care_insurance_status,care_insurance_end_date,care_insurance_end_cancel_date";
    fs::write(&file, format!("{head}\r\n{STRANGER},0000000001,1,,\r\n")).unwrap();
    run(&["khs", "load", file.to_str().unwrap(), "--data", data.to_str().unwrap(), "--on", "2026-06-02"]);
    state.refresh(metrics, &tell);
    assert_eq!(fixture.get("GET", "/health", &[]).await.text(), "ok\n");
    assert_eq!(fixture.json(3, STRANGER, STRANGER, None).await.json()["record_num"], 1, "new data");
}

#[test]
fn it_serves_until_it_is_stopped_whatever_clients_do() {
    let folder = data_folder();
    let token = issue(&folder.path().join("tokens.csv"), TOWN, None).unwrap().token;
    let mut options = options(folder.path(), KhsSettings { request_seconds: 2, ..KhsSettings::default() });
    options.metrics = Some("127.0.0.1:0".parse().unwrap());
    let (tell, _told) = channel();
    let server = Server::start(options, tell).unwrap();
    let ask = |address, text: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let body = json!({"care_insure_provider_number": TOWN, "care_insurer_number": "0000000001"}).to_string();
    let head =
        format!("content-type: application/json\r\ncare_insure_provider_number: {TOWN}\r\nconnection: close");
    let text = format!(
        "POST /khs-api/json HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(server.address, &text);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"record_num\":1,"), "{answer}");
    let late = ask(server.address, &text[..text.len() - 1]);
    assert!(late.starts_with("HTTP/1.1 408 "), "{late}");
    let watch = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(ask(server.metrics.unwrap(), watch).ends_with("\r\n\r\nok\n"));
    assert!(ask(server.address, watch).starts_with("HTTP/1.1 404 "));
    let mut hanging = TcpStream::connect(server.address).unwrap();
    hanging.write_all(b"POST /khs-api/json HTTP/1.1\r\n").unwrap(); // never ends
    let (address, begun) = (server.address, Instant::now());
    server.stop();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(TcpStream::connect(address).is_err(), "the port is free again");
}
