//! The client: what it asks, what it makes of answers, how it goes on where something breaks.

use super::rows;
use super::scripted::{Answer, Request, Scripted, answer, broken};
use crate::place::Place;
use std::fs;

const TOKEN: &str = "secret-token";

/// An answer of the JSON interface about these persons.
fn json(record_num: &str, persons: &[&str]) -> String {
    let person = |no: &&str| {
        format!(
            r#"{{"care_insure_provider_number":"142018","care_insurer_number":"{no}","care_insurance_status":"1"}}"#
        )
    };
    let body: Vec<String> = persons.iter().map(person).collect();
    format!(
        r#"{{"care_insure_provider_number":"142018","result":"成功","file_if_id":"IFI601040","record_num":{record_num},"body":[{}]}}"#,
        body.join(",")
    )
}

/// Fetches from a server that gives these answers: exit code, what was said, the requests.
fn fetch(place: &Place, answers: Vec<Answer>, more: &[&str]) -> (u8, String, Vec<Request>) {
    let server = Scripted::new(answers);
    let token = place.write_text("token", &format!("{TOKEN}\n"));
    let url = server.url.clone();
    let args =
        ["khs", "fetch", "--url", &url, "--insurer", "142018", "--token-file", &token, "--on", "2026-09-01"];
    let (code, out, err) = place.run(&[&args[..], more].concat());
    let said = format!("{out}{err}");
    assert!(!said.contains(TOKEN), "{said}");
    (code, said, server.requests())
}

#[test]
fn an_answer_is_taken_in_like_any_file() {
    let place = Place::new();
    let (code, said, requests) =
        fetch(&place, vec![answer(200, &[], &json("2", &["0000000010", "0000000020"]))], &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 taken in") && said.contains("2 found: 2 accepted"), "{said}");
    let asked = &requests[0];
    assert_eq!(asked.line, "POST /khs-api/json HTTP/1.1");
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("authorization"), Some(TOKEN));
    assert_eq!(asked.header("care_insure_provider_number"), Some("142018"));
    assert_eq!(asked.body, r#"{"care_insure_provider_number":"142018"}"#);
    assert_eq!(
        rows(&place.snapshot(&["resolve"])),
        ["142018 0000000010 1 - - 2026-09-01", "142018 0000000020 1 - - 2026-09-01"]
    );
    let files = place.query(&place.snapshot(&["resolve"]), "SELECT name, data_type, sender_no FROM files");
    assert_eq!(files, ["khs-2026-09-01-000001-142018.json,KHS,142018"]);
}

#[test]
fn one_person_of_another_requester() {
    let place = Place::new();
    let more = ["--insured", "0000000010", "--requester", "141003"];
    let (code, said, requests) =
        fetch(&place, vec![answer(200, &[], &json("\"1\"", &["0000000010"]))], &more);
    assert_eq!(code, 0, "{said}");
    assert_eq!(requests[0].header("care_insure_provider_number"), Some("141003"));
    assert_eq!(
        requests[0].body,
        r#"{"care_insure_provider_number":"142018","care_insurer_number":"0000000010"}"#
    );
}

#[test]
fn what_may_pass_is_tried_again_and_what_does_not_is_told() {
    let place = Place::new();
    let good = || answer(200, &[], &json("1", &["0000000010"]));
    let busy = || answer(429, &["Retry-After: 0"], "{}");
    let answers = vec![answer(503, &[], ""), busy(), broken(200, &[], "{\"care", 1_000), Vec::new(), good()];
    let (code, said, requests) = fetch(&place, answers, &[]);
    assert_eq!((code, requests.len()), (0, 5), "{said}");
    for says in ["503", "429", "broke off", "no answer"] {
        assert!(said.contains(says), "{says}: {said}");
    }
    let failure = r#"{"care_insure_provider_number":"142018","result":"失敗","result_detail":"対象が存在しません。\u001b[31m"}"#;
    for (given, says) in [
        (answer(200, &[], failure), "対象が存在しません。[31m"),
        (answer(401, &[], failure), "(401)"),
        (answer(400, &[], "no JSON"), "answered 400"),
        (answer(302, &["Location: https://elsewhere.example"], ""), "https://elsewhere.example"),
    ] {
        let (code, said, _) = fetch(&place, vec![given], &[]);
        assert!(code == 1 && said.contains(says), "{says}: {code} {said}");
    }
    let (code, said, _) = fetch(&place, vec![busy(), busy()], &["--attempts", "2"]);
    assert!(code == 1 && said.contains("tried 2 times"), "{said}");
}

#[test]
fn what_is_wrong_in_an_answer_is_kept_and_found() {
    let place = Place::new();
    for (body, code) in [
        (json("2", &["0000000010"]), "F03"),
        (json("1", &["10"]), "R02"),
        ("<html>maintenance</html>".to_owned(), "F01"),
    ] {
        let (exit, said, _) = fetch(&place, vec![answer(200, &[], &body)], &[]);
        assert_eq!(exit, 2, "{said}");
        let (_, out, _) = place.run(&["resolve"]);
        let snapshot = crate::support::snapshot_of(&out);
        let found = place.query(&snapshot, "SELECT DISTINCT code FROM findings ORDER BY code");
        assert!(found.contains(&code.to_owned()), "{code}: {found:?}");
    }
}

const FILE: &str = "care_insure_provider_number,care_insurer_number,care_insurance_status\r\n142018,0000000010,1\r\n142018,0000000020,2\r\n";

/// What the file interface answers.
fn signed() -> Answer {
    answer(
        200,
        &[],
        r#"{"care_insure_provider_number":"142018","result":"成功","presigned_url":"{url}/files/x?sig=y"}"#,
    )
}

#[test]
fn a_file_is_gone_on_with_where_it_broke_off() {
    let place = Place::new();
    let tag = "ETag: \"a\"";
    let total = FILE.len();
    let range = |from: usize, to: usize| format!("Content-Range: bytes {from}-{}/{total}", to - 1);
    let answers = vec![
        signed(),
        broken(200, &[tag], &FILE[..80], total),
        broken(206, &[tag, &range(80, total)], &FILE[80..90], total - 80),
        answer(503, &[], ""),
        answer(206, &[tag, &range(90, total)], &FILE[90..]),
    ];
    let (code, said, requests) = fetch(&place, answers, &["--file"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(requests[0].line, "POST /khs-api/file HTTP/1.1");
    assert_eq!(requests[1].line, "GET /files/x?sig=y HTTP/1.1");
    assert_eq!([requests[1].header("authorization"), requests[1].header("range")], [None, None]);
    let ranges: Vec<_> = requests[2..].iter().map(|request| request.header("range").unwrap()).collect();
    assert_eq!(ranges, ["bytes=80-", "bytes=90-", "bytes=90-"]);
    assert_eq!(requests[2].header("if-range"), Some("\"a\""));
    assert_eq!(rows(&place.snapshot(&["resolve"])).len(), 2);
    let archived = place.archived(&place.file_id("khs-2026-09-01-000001-142018.csv")).0;
    let bytes = fs::read_to_string(archived).unwrap();
    assert_eq!(bytes.split_once('\n').unwrap().1, FILE, "byte for byte");
}

#[test]
fn another_file_is_got_from_its_start_and_an_old_address_asked_for_again() {
    let place = Place::new();
    let total = FILE.len();
    let answers = vec![
        signed(),
        broken(200, &["ETag: \"a\""], &FILE[..80], total),
        answer(403, &[], ""),
        signed(),
        answer(200, &["ETag: \"b\""], FILE), // If-Range: it is another one by now
    ];
    let (code, said, requests) = fetch(&place, answers, &["--file"]);
    assert_eq!((code, requests.len()), (0, 5), "{said}");
    assert_eq!(rows(&place.snapshot(&["resolve"])).len(), 2);
    let failing = vec![
        answer(
            200,
            &[],
            r#"{"care_insure_provider_number":"142018","result":"成功","presigned_url":"ftp://x/"}"#,
        ),
        answer(200, &[], r#"{"care_insure_provider_number":"142018","result":"成功"}"#),
        answer(
            200,
            &[],
            r#"{"care_insure_provider_number":"142019","result":"成功","presigned_url":"{url}/x"}"#,
        ),
        answer(200, &[], "[]"),
    ];
    for wrong in failing {
        assert_eq!(fetch(&place, vec![wrong], &["--file"]).0, 1);
    }
}

#[test]
fn parts_of_two_files_are_never_put_together() {
    let total = FILE.len();
    let range = |from: usize, of: usize| format!("Content-Range: bytes {from}-{}/{of}", of - 1);
    let whole = || answer(200, &["ETag: \"b\""], FILE);
    for (first, second) in [
        // No tag, or a weak one: all of it again, without asking for a part.
        (broken(200, &[], &FILE[..80], total), whole()),
        (broken(200, &["ETag: W/\"a\""], &FILE[..80], total), whole()),
    ] {
        let (code, said, requests) = fetch(&Place::new(), vec![signed(), first, second], &["--file"]);
        assert_eq!((code, requests[2].header("range")), (0, None), "{said}");
    }
    for headers in [
        ["ETag: \"b\"".to_owned(), range(80, total)],
        ["ETag: \"a\"".to_owned(), range(80, total + 1)],
        ["X: y".to_owned(), range(80, total)],
        ["ETag: \"a\"".to_owned(), range(79, total)],
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let first = broken(200, &["ETag: \"a\""], &FILE[..80], total);
        let answers = vec![signed(), first, answer(206, &headers, &FILE[80..]), whole()];
        let place = Place::new();
        let (code, said, requests) = fetch(&place, answers, &["--file"]);
        assert_eq!((code, requests[3].header("range")), (0, None), "{headers:?}: {said}");
        assert_eq!(rows(&place.snapshot(&["resolve"])).len(), 2);
    }
}

#[test]
fn a_download_that_never_ends_is_given_up() {
    let total = FILE.len();
    let mut answers = vec![signed()];
    for _ in 0..3 {
        answers.push(broken(200, &["ETag: \"a\""], &FILE[..80], total));
        answers.push(answer(416, &[], ""));
    }
    answers.truncate(5);
    let (code, said, _) = fetch(&Place::new(), answers, &["--file", "--attempts", "3"]);
    assert!(code == 1 && said.contains("broke off"), "{said}");
}

#[test]
fn an_answer_for_a_worker_goes_into_its_inbox() {
    let place = Place::new();
    let inbox = place.path("inbox");
    fs::create_dir(&inbox).unwrap();
    let good = answer(200, &[], &json("1", &["0000000010"]));
    let (code, said, _) = fetch(&place, vec![good], &["--to-inbox", &inbox]);
    assert_eq!(code, 0, "{said}");
    assert!(!fs::exists(place.data()).unwrap());
    assert_eq!(rows(&place.snapshot(&["nightly", "--inbox", &inbox, "--on", "2026-09-02"])).len(), 1);
}

#[test]
fn wrong_usage_is_said() {
    let place = Place::new();
    let token = place.write_text("token", "x\n");
    let empty = place.write_text("empty", "\n");
    let fetch = |url: &str, insurer: &str, token: &str, more: &[&str]| {
        let args = ["khs", "fetch", "--url", url, "--insurer", insurer, "--token-file", token];
        place.run(&[&args[..], more].concat()).0
    };
    assert_eq!(fetch("x", "142018", &token, &[]), 64);
    assert_eq!(fetch("http://127.0.0.1:1", "14201", &token, &[]), 64);
    assert_eq!(fetch("http://127.0.0.1:1", "142018", &empty, &[]), 64);
    assert_eq!(fetch("http://127.0.0.1:1", "142018", &token, &["--insured", "1"]), 64);
    assert_eq!(fetch("http://127.0.0.1:1", "142018", &token, &["--insured", "0000000010", "--file"]), 64);
    assert_eq!(fetch("http://127.0.0.1:1", "142018", &token, &["--attempts", "1"]), 1);
}
