//! The file of tokens: found, ended, taken back, and every mistake in it.

use super::*;

const DAY: Day = Day(20_000);

#[test]
fn a_token_is_found_until_it_expires_or_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.csv");
    let one = issue(&path, "141003", None).unwrap();
    let two = issue(&path, "142018", Some(DAY)).unwrap();
    assert!(one.token.len() == 43 && one.token != two.token && one.id != two.id);
    let tokens = Tokens::read(&path).unwrap();
    let owner = |token: &str, day| tokens.find(token.as_bytes(), day).map(|t| t.insurer_no.clone());
    assert_eq!(owner(&one.token, DAY).as_deref(), Some("141003"));
    assert_eq!(owner(&two.token, DAY).as_deref(), Some("142018"), "its last day");
    assert_eq!(owner(&two.token, Day(DAY.0 + 1)), None);
    let good = |no: &str, day| tokens.good_of(no, day).map(|token| token.id.clone()).collect::<Vec<_>>();
    assert_eq!(good("142018", DAY), [two.id]);
    assert!(good("142018", Day(DAY.0 + 1)).is_empty() && good("151001", DAY).is_empty());
    for stranger in ["", "x", &one.token[1..], &format!("{} ", one.token), &one.token.to_lowercase()] {
        assert_eq!(owner(stranger, DAY), None, "{stranger:?}");
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&one.token) && !text.contains(&two.token), "no tokens on disk");
    assert_eq!(revoke(&path, "nobody").unwrap(), None);
    assert_eq!(revoke(&path, &one.id).unwrap().map(|t| t.id), Some(one.id));
    let tokens = Tokens::read(&path).unwrap();
    assert!(tokens.find(one.token.as_bytes(), DAY).is_none() && tokens.all().len() == 1);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with('#') && text.lines().count() == 4, "what people wrote stays: {text}");
    let last = tokens.all()[0].id.clone();
    assert!(revoke(&path, &last).unwrap().is_some());
    assert!(Tokens::read(&path).unwrap().all().is_empty(), "nobody is left");
}

#[cfg(unix)]
#[test]
fn whoever_could_read_the_file_still_can() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("tokens.csv"), folder.path().join("link.csv"));
    let id = issue(&path, "141003", None).unwrap().id;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let given_away = chown(&path, Some(4_321), Some(1_234)).is_ok(); // root's right
    symlink(&path, &link).unwrap();
    let looks = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
    };
    let before = looks(&path);
    assert!(!given_away || before == (4_321, 1_234, 0o600));
    issue(&link, "142018", None).unwrap();
    assert_eq!(looks(&path), before, "a token was made");
    assert!(revoke(&path, &id).unwrap().is_some());
    assert_eq!(looks(&path), before, "a token was taken back");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(Tokens::read(&link).unwrap().all().len(), 1);
}

#[test]
fn a_file_that_somebody_emptied_is_not_one_of_no_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.csv");
    for text in ["", "\n \n", "# nothing but a note\n"] {
        fs::write(&path, text).unwrap();
        let error = Tokens::read(&path).unwrap_err().to_string();
        assert!(error.contains("there is no line id,insurer_no"), "{error}");
    }
    assert!(issue(&path, "141003", None).is_err(), "what somebody wrote is not written over");
    fs::write(&path, "").unwrap();
    issue(&path, "141003", None).unwrap();
    assert_eq!(Tokens::read(&path).unwrap().all().len(), 1);
}

#[cfg(unix)]
#[test]
fn others_cannot_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.csv");
    issue(&path, "141003", None).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
}

#[test]
fn mistakes_are_told_with_their_line() {
    let hash = "ab".repeat(32);
    let line = |line: &str| format!("# a note\n\n{COLUMNS}\r\n{line}\n");
    let good = format!("a,141003,{hash},2027-03-31");
    assert_eq!(Tokens::parse(&line(&good)).unwrap().all().len(), 1);
    for (text, at, says) in [
        (line("a,141003"), 4, "2 items"),
        (line(&format!("a,14100,{hash},")), 4, "6 digits"),
        (line(&format!("a b,141003,{hash},")), 4, "id"),
        (line("a,141003,00,"), 4, "64 hex"),
        (line(&format!("a,141003,{}あ,", "a".repeat(61))), 4, "64 hex"),
        (line(&format!("a,141003,{hash},2027-02-30")), 4, "2027-02-30"),
        (line(&format!("{good}\nb,141003,{hash},")), 5, "stands twice"),
        (line(&format!("{good}\na,141003,{},", "cd".repeat(32))), 5, "stands twice"),
        (good.clone(), 1, "first line"),
    ] {
        let (line, what) = Tokens::parse(&text).unwrap_err();
        assert!(line == at && what.contains(says), "{line}: {what}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.csv");
    std::fs::write(&path, line("a,141003")).unwrap();
    let error = Tokens::read(&path).unwrap_err().to_string();
    assert!(error.contains("tokens.csv: line 4: "), "{error}");
}
