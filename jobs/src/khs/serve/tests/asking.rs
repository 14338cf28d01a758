//! The two interfaces: who gets what, and what is refused.

use super::*;
use crate::khs::serve::refusal::NOT_PERMITTED;

#[tokio::test]
async fn a_town_gets_its_people_and_a_union_those_of_its_members() {
    let fixture = fixture();
    let town = fixture.json(1, TOWN, TOWN, None).await;
    assert_eq!((town.status, town.header("content-type")), (StatusCode::OK, "application/json"));
    assert_eq!(town.header("content-length"), town.bytes.len().to_string());
    let answer = town.json();
    let body = answer["body"].as_array().unwrap();
    assert_eq!((answer["result"].as_str(), answer["record_num"].as_u64()), (Some("成功"), Some(MANY as u64)));
    assert_eq!(body.len(), MANY);
    assert!(body.iter().enumerate().all(|(at, person)| person["care_insurer_number"] == format!("{at:010}")));
    assert!(
        body[3]["care_insurance_end_date"] == "2026-04-01"
            && body[1].get("care_insurance_end_date").is_none()
    );
    let union = fixture.json(0, UNION, UNION, None).await.json();
    let people = union["body"].as_array().unwrap();
    assert_eq!((union["record_num"].as_u64(), people.len()), (Some(MANY as u64 + 1), MANY + 1));
    assert_eq!(people[MANY]["care_insure_provider_number"], SISTER);
    let one = fixture.json(0, UNION, UNION, Some("0000000007")).await;
    assert_eq!(
        one.text(),
        r#"{"care_insure_provider_number":"141003","care_insurer_number":"0000000007","result":"成功","file_if_id":"IFI601040","record_num":2,"body":[{"care_insure_provider_number":"142018","care_insurer_number":"0000000007","care_insurance_status":"1"},{"care_insure_provider_number":"142034","care_insurer_number":"0000000007","care_insurance_status":"2","care_insurance_end_date":"2026-04-01","care_insurance_end_cancel_date":"2026-05-01"}]}"#
    );
    for (token, requester, asked, person, records) in [
        (0, UNION, SISTER, None, 1),
        (2, SISTER, SISTER, Some("0000000008"), 0),
        (3, STRANGER, STRANGER, None, 0),
    ] {
        let answer = fixture.json(token, requester, asked, person).await.json();
        assert_eq!((answer["result"].as_str(), answer["record_num"].as_u64()), (Some("成功"), Some(records)));
    }
}

#[tokio::test]
async fn whoever_may_not_ask_is_told_nothing() {
    let fixture = fixture();
    let mut told = BTreeSet::new();
    for (token, requester, asked) in [
        (1, TOWN, UNION),
        (1, TOWN, SISTER),
        (1, TOWN, "999999"),
        (1, SISTER, SISTER),
        (0, TOWN, TOWN),
        (3, STRANGER, TOWN),
    ] {
        for person in [None, Some("0000000007"), Some("9999999999")] {
            let answer = fixture.json(token, requester, asked, person).await;
            let mut json = answer.json();
            assert_eq!(
                (answer.status, json["care_insure_provider_number"].take()),
                (StatusCode::OK, json!(asked))
            );
            json.as_object_mut().unwrap().shift_remove("care_insurer_number");
            told.insert(json.to_string());
        }
        let mut json = fixture.url(token, requester, asked).await;
        json["care_insure_provider_number"].take();
        assert!(json["result"] == "失敗" && json.get("presigned_url").is_none());
        assert_eq!(json["result_detail"], NOT_PERMITTED);
    }
    assert_eq!(told.len(), 1, "{told:?}");
    let lines = fixture.audit();
    assert_eq!(lines.len(), 6 * 4);
    assert!(lines.iter().all(|line| line["result"] == "失敗" && line["records"] == 0));
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_the_form_of_the_interface() {
    let settings = KhsSettings { body_bytes: 100, ..KhsSettings::default() };
    let fixture = fixture_with(settings, None);
    let body = json!({"care_insure_provider_number": TOWN}).to_string();
    let token = &fixture.tokens[1];
    let right = || request("/khs-api/json", token, TOWN, body.clone());
    let without = |name: &str| {
        let mut request = right();
        request.headers_mut().remove(name);
        request
    };
    let with = |name: &'static str, value: &str| {
        let mut request = right();
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let method = |method: &str| {
        let mut request = right();
        *request.method_mut() = method.parse().unwrap();
        request
    };
    let saying = |body: &str| request("/khs-api/json", token, TOWN, body.to_owned());
    let mut no_path = right();
    *no_path.uri_mut() = "/khs-api/json/".parse().unwrap();
    for (request, status, number) in [
        (without("authorization"), 401, "000000"),
        (with("authorization", "x"), 401, "000000"),
        (with("authorization", &format!("{token}x")), 401, "000000"),
        (without("content-type"), 400, TOWN),
        (with("content-type", "text/plain"), 400, TOWN),
        (without("care_insure_provider_number"), 400, TOWN),
        (with("care_insure_provider_number", "14201"), 400, TOWN),
        (saying("{}"), 400, "000000"),
        (saying("not JSON"), 400, "000000"),
        (saying(r#"{"care_insure_provider_number":"142018","care_insurer_number":"x"}"#), 400, TOWN),
        (saying(&" ".repeat(101)), 413, "000000"),
        (method("GET"), 405, "000000"),
        (method("PATCH"), 405, "000000"),
        (no_path, 404, "000000"),
        (with("authorization", &format!("Bearer {token}")), 200, TOWN),
        (with("content-type", "application/json; charset=utf-8"), 200, TOWN),
    ] {
        let what = format!("{request:?}");
        let answer = fixture.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{what}");
        let json = answer.json();
        assert_eq!(json["care_insure_provider_number"], number, "{what}");
        assert_eq!(json["result"] == "成功", status == 200, "{what}");
        assert_eq!(json.get("record_num").is_some(), status != 404, "{what}");
    }
    let lines = fixture.audit();
    assert_eq!(lines.len(), 16, "every request is written down");
    let text = fs::read_to_string(fixture.folder.path().join("audit.ndjson")).unwrap();
    assert!(!text.contains(token.as_str()) && !text.contains("\"x\""));
    let requesters: Vec<&Value> = lines[..3].iter().map(|line| &line["requester"]).collect();
    assert_eq!(requesters, [TOWN; 3], "who says to ask is written down also of strangers");
    let metrics = fixture.get("GET", "/metrics", &[]).await.text();
    assert!(metrics.contains(r#"tsumiage_khs_requests_total{interface="json",status="401"} 3"#), "{metrics}");
}

#[tokio::test]
async fn a_token_that_asks_too_often_has_to_wait() {
    let settings = KhsSettings { requests_per_second: 1, requests_at_once: 1, ..KhsSettings::default() };
    let fixture = fixture_with(settings, None);
    assert_eq!(fixture.json(1, TOWN, TOWN, None).await.status, StatusCode::OK);
    let answer = fixture.json(1, TOWN, TOWN, None).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!((1..=2).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(fixture.json(2, SISTER, SISTER, None).await.status, StatusCode::OK, "another token");
}

#[tokio::test]
async fn an_answer_of_many_people_costs_as_much_as_many_requests() {
    let settings = KhsSettings { requests_per_second: 1, requests_at_once: 222, ..KhsSettings::default() };
    let fixture = fixture_with(settings, None);
    let url = fixture.url(1, TOWN, TOWN).await["presigned_url"].as_str().unwrap().to_owned();
    assert_eq!(fixture.json(1, TOWN, TOWN, None).await.status, StatusCode::OK, "111 for 1,100 people");
    let answer = fixture.json(1, TOWN, TOWN, None).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!((1..=2).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(fixture.get("GET", &url, &[]).await.status, StatusCode::TOO_MANY_REQUESTS, "downloads too");
    let lines = fixture.audit();
    assert!(lines.iter().all(|line| line["token"].is_string()));
    let statuses: Vec<_> = lines.iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 429, 429]);
}

#[tokio::test]
async fn what_a_client_accepts_never_makes_another_answer_of_it() {
    let fixture = fixture();
    for accepted in
        ["identity;q=0", "*;q=0", "gzip;q=0, identity;q=0", "br;q=1, *;q=0", "gzip;q=2;x, identity;q=0", ""]
    {
        for (token, status) in [(fixture.tokens[1].as_str(), 200), ("x", 401)] {
            for person in [None, Some("0000000007")] {
                let body = json!({"care_insure_provider_number": TOWN, "care_insurer_number": person});
                let body = body.to_string().replace(",\"care_insurer_number\":null", "");
                let mut request = request("/khs-api/json", token, TOWN, body);
                request.headers_mut().insert("accept-encoding", accepted.parse().unwrap());
                let answer = fixture.send(request).await;
                assert_eq!(answer.status.as_u16(), status, "{accepted:?}");
                assert_eq!(answer.header("content-encoding"), "", "{accepted:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_address_that_nobody_could_open_is_not_given() {
    let folder = data_folder();
    let token = issue(&folder.path().join("tokens.csv"), TOWN, None).unwrap().token;
    let options = options(folder.path(), KhsSettings::default());
    let api = Arc::new(read(options, "0.0.0.0:8443".parse().unwrap(), true, channel().0).unwrap());
    let router = router(&api, true, String::new());
    for (host, status) in [(None, 400), (Some("a/b"), 400), (Some("khs.example.jp:8443"), 200)] {
        let body = json!({"care_insure_provider_number": TOWN}).to_string();
        let mut request = request("/khs-api/file", &token, TOWN, body);
        request.headers_mut().remove("host");
        if let Some(host) = host {
            request.headers_mut().insert("host", host.parse().unwrap());
        }
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{host:?}");
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(answer["result"] == "成功", status == 200, "{answer}");
        assert_eq!(
            answer["presigned_url"]
                .as_str()
                .is_some_and(|url| url.starts_with("https://khs.example.jp:8443/")),
            status == 200
        );
    }
}

#[tokio::test]
async fn whoever_sends_on_what_nobody_wants_is_told_that_the_connection_ends() {
    let fixture = fixture();
    for (method, path, token) in [
        ("POST", "/khs-api/json", "x"),
        ("POST", "/khs-api/file", "x"),
        ("PUT", "/khs-api/json", "x"),
        ("PUT", "/khs-api/file/142018", "x"),
        ("GET", "/khs-api/file/142018", "x"),
        ("POST", "/nothing", "x"),
        ("POST", "/health", "x"),
        ("POST", "/khs-api/json", &fixture.tokens[1]),
    ] {
        for (bytes, closes) in [(0, false), (100, false), (10 << 20, true)] {
            let mut request = request(path, token, TOWN, String::new());
            *request.method_mut() = method.parse().unwrap();
            let pieces = vec![b' '; bytes].chunks(1 << 20).map(<[u8]>::to_vec).collect::<Vec<_>>();
            let pieces = pieces.into_iter().map(Ok::<_, std::io::Error>);
            *request.body_mut() = Body::from_stream(futures::stream::iter(pieces));
            let answer = fixture.send(request).await;
            let said = answer.header("connection") == "close";
            assert_eq!(said, closes, "{method} {path}: {} of {bytes} bytes", answer.status);
        }
    }
}

#[tokio::test]
async fn answers_of_many_people_are_compressed_if_wanted() {
    let fixture = fixture();
    let body = json!({"care_insure_provider_number": TOWN}).to_string();
    let mut request = request("/khs-api/json", &fixture.tokens[1], TOWN, body);
    request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    let response = fixture.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert!(bytes.len() < MANY * 20, "{}", bytes.len());
    let url = fixture.url(1, TOWN, TOWN).await["presigned_url"].as_str().unwrap().to_owned();
    let file = fixture.get("GET", &url, &[("accept-encoding", "gzip")]).await;
    assert_eq!(file.header("content-encoding"), "", "a file is sent as it is: its parts must fit together");
}
