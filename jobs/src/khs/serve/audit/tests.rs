//! Lines of the audit log, whatever happens to its file and however many there are.

use super::*;

#[test]
fn lines_tell_who_asked_and_never_for_whom_in_person() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("khs/audit.ndjson");
    let audit = Audit::open(&path).unwrap();
    let mut seen = Seen::new(Interface::Json, Some("127.0.0.1".parse().unwrap()));
    audit.write(&seen, "失敗", 401, 0).unwrap();
    seen.token = Some("00c0ffee".to_owned());
    seen.insured_no = Some("0000000010".to_owned());
    audit.write(&seen, "成功", 200, 1).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["token"].is_null() && lines[0]["status"] == 401 && lines[0]["person"] == false);
    assert!(lines[1]["token"] == "00c0ffee" && lines[1]["person"] == true && lines[1]["records"] == 1);
    assert!(lines[1]["time"].as_str().unwrap().ends_with('Z') && lines[1]["peer"] == "127.0.0.1");
    assert!(!text.contains("0000000010"));
}

#[test]
fn a_log_that_was_moved_away_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.ndjson");
    let audit = Audit::open(&path).unwrap();
    let seen = Seen::new(Interface::None, None);
    audit.write(&seen, "失敗", 404, 0).unwrap();
    fs::rename(&path, folder.path().join("audit.1")).unwrap();
    audit.follow().unwrap();
    audit.follow().unwrap();
    audit.write(&seen, "失敗", 404, 0).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
}

#[test]
fn a_torn_line_does_not_swallow_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.ndjson");
    let audit = Audit::open(&path).unwrap();
    audit.log().file.write_all(b"{\"time\":\"2026").unwrap(); // and then the disk was full
    audit.log().torn = true;
    let seen = Seen::new(Interface::None, None);
    audit.write(&seen, "失敗", 404, 0).unwrap();
    audit.write(&seen, "失敗", 404, 0).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[1..].iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{text}");
}

#[test]
fn strangers_cannot_fill_the_disk_and_others_are_always_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.ndjson");
    let audit = Audit::open(&path).unwrap();
    let stranger = Seen::new(Interface::Json, None);
    let known = Seen { token: Some("00c0ffee".to_owned()), ..stranger.clone() };
    let seconds = Utc::now().timestamp();
    for _ in 0..3_000 {
        audit.write(&stranger, "失敗", 401, 0).unwrap();
        audit.write(&known, "成功", 200, 1).unwrap();
    }
    let seconds = Utc::now().timestamp() - seconds + 1;
    audit.summarise().unwrap();
    audit.summarise().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |status: i64| lines.iter().filter(|line| line["status"] == status).count() as i64;
    assert_eq!(of(200), 3_000);
    assert!(of(401) <= 1_000 * seconds, "{} in {seconds} s", of(401));
    let told: Vec<i64> = lines.iter().filter_map(|line| line["unlogged"].as_i64()).collect();
    assert!(told.len() <= 1 && told.iter().sum::<i64>() + of(401) == 3_000, "{told:?}");
    let mut log = audit.log();
    log.strangers = (7, STRANGERS);
    assert!(!log.has_room(7) && log.has_room(8) && log.strangers == (8, 1));
}
