//! Downloads.

use super::*;
use crate::khs::tokens::revoke;

#[tokio::test]
async fn a_file_is_downloaded_whole_or_in_parts() {
    for form in [FileForm::Csv, FileForm::CsvWithoutHeader, FileForm::Json] {
        let fixture = fixture_with(KhsSettings { file_form: form, ..KhsSettings::default() }, None);
        let url = fixture.url(0, UNION, UNION).await["presigned_url"].as_str().unwrap().to_owned();
        assert!(
            url.starts_with("http://khs.example.jp:81/khs-api/file/141003?by=141003&until=")
                && url.len() <= 200
        );
        let whole = fixture.get("GET", &url, &[]).await;
        let (length, tag) = (whole.bytes.len(), whole.header("etag").to_owned());
        assert_eq!(whole.header("content-length"), length.to_string());
        assert_eq!(whole.header("content-disposition"), "attachment; filename=\"khs-141003.csv\"");
        let text = whole.text();
        match form {
            FileForm::Json => {
                let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
                assert_eq!(rows.len(), MANY + 1);
            }
            _ => {
                let head = usize::from(form == FileForm::Csv);
                assert_eq!(text.matches("\r\n").count(), MANY + 1 + head);
                assert_eq!(text.lines().last(), Some("142034,0000000007,2,2026-04-01,2026-05-01"));
            }
        }
        let mut parts = Vec::new();
        for from in (0..length).step_by(7_001) {
            let range = format!("bytes={from}-{}", from + 7_000);
            let part = fixture.get("GET", &url, &[("range", &range), ("if-range", &tag)]).await;
            assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
            assert!(part.header("content-range").starts_with(&format!("bytes {from}-")));
            assert_eq!(part.header("content-length"), part.bytes.len().to_string());
            parts.extend(part.bytes);
        }
        assert!(parts == whole.bytes, "parts make the whole");
        let tail = fixture.get("GET", &url, &[("range", "bytes=-5")]).await;
        assert_eq!(tail.bytes, whole.bytes[length - 5..]);
        let beyond = fixture.get("GET", &url, &[("range", &format!("bytes={length}-"))]).await;
        assert_eq!(beyond.header("content-range"), format!("bytes */{length}"));
        assert_eq!(
            (beyond.status, beyond.json()["result"].as_str()),
            (StatusCode::RANGE_NOT_SATISFIABLE, Some("失敗"))
        );
        let other = fixture.get("GET", &url, &[("range", "bytes=5-"), ("if-range", "\"x\"")]).await;
        assert_eq!((other.status, other.bytes.len()), (StatusCode::OK, length));
        let head = fixture.get("HEAD", &url, &[("range", "bytes=5-")]).await;
        assert_eq!((head.status, head.bytes.len()), (StatusCode::OK, 0));
        assert_eq!((head.header("content-length"), head.header("etag")), (&*length.to_string(), &*tag));
        let forged = url.replace("/141003?", "/142018?");
        for bad in
            [&url[..url.len() - 1], &forged, &url.replace("&until=", "&until=1"), "/khs-api/file/141003"]
        {
            let refused = fixture.get("GET", bad, &[]).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{bad}");
        }
    }
}

#[tokio::test]
async fn an_address_ends_with_the_token_it_was_made_for() {
    let fixture = fixture();
    let (tell, _told) = channel();
    let table = fixture.folder.path().join("tokens.csv");
    let other = issue(&table, UNION, None).unwrap();
    fixture.api.state.refresh(&fixture.api.metrics, &tell);
    let url = fixture.url(0, UNION, TOWN).await["presigned_url"].as_str().unwrap().to_owned();
    let body = json!({"care_insure_provider_number": TOWN});
    let of_other = fixture.post("/khs-api/file", &other.token, UNION, &body).await.json();
    let of_other = of_other["presigned_url"].as_str().unwrap();
    for url in [&url, of_other] {
        assert!(fixture.get("GET", url, &[]).await.status == StatusCode::OK && !url.contains(&other.id));
    }
    let lines = fixture.audit();
    let token = lines[0]["token"].as_str().unwrap();
    assert_eq!((lines[2]["token"].as_str(), lines[3]["token"].as_str()), (Some(token), Some(&*other.id)));
    assert_eq!(
        (lines[2]["interface"].as_str(), lines[2]["requester"].as_str()),
        (Some("download"), Some(UNION))
    );
    assert!(revoke(&table, token).unwrap().is_some());
    fixture.api.state.refresh(&fixture.api.metrics, &tell);
    assert_eq!(fixture.get("GET", &url, &[]).await.status, StatusCode::FORBIDDEN, "its token is revoked");
    assert_eq!(fixture.get("GET", of_other, &[]).await.status, StatusCode::OK, "the other one is not");
    assert_eq!(fixture.json(0, UNION, TOWN, None).await.status, StatusCode::UNAUTHORIZED);
    let lines = fixture.audit();
    let refused = lines.iter().find(|line| line["status"] == 403).unwrap();
    assert_eq!(
        (&refused["token"], &refused["requester"], &refused["insurer"]),
        (&Value::Null, &json!(UNION), &json!(TOWN))
    );
}
