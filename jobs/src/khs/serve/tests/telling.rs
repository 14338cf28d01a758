//! The OpenAPI document.

use super::*;

#[tokio::test]
async fn the_document_has_every_path_method_and_field_and_no_other() {
    let fixture = fixture();
    let served = fixture.get("GET", "/openapi.json", &[]).await.json();
    assert_eq!(served, fixture.document);
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let routes = routes(&fixture.api.settings, true);
    assert_eq!(names(&served["paths"]), routes.iter().map(|(path, _)| path.clone()).collect());
    for (path, resource) in &routes {
        let item = &served["paths"][path];
        let methods: BTreeSet<String> =
            resource.methods().to_lowercase().split(", ").map(str::to_owned).collect();
        let mut told = names(item);
        told.remove("parameters");
        assert_eq!(told, methods, "{path}");
        let path = path.replace("{insurer_no}", TOWN);
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "QUERY"] {
            let answer = fixture.get(method, &path, &[]).await;
            let there = methods.contains(&method.to_lowercase());
            assert_eq!(answer.status != StatusCode::METHOD_NOT_ALLOWED, there, "{method} {path}");
            assert_ne!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
            if !there {
                assert_eq!(answer.header("allow"), resource.methods(), "{method} {path}");
            }
        }
        assert!(matches!(resource, Resource::Download) == path.contains(TOWN));
    }
    let khs = &fixture.api.khs;
    for (name, message) in [
        ("FileRequest", &khs.file_request),
        ("FileResponse", &khs.file_response),
        ("JsonRequest", &khs.json_request),
        ("JsonResponse", &khs.json_response),
        ("Person", &khs.person),
    ] {
        let schema = &served["components"]["schemas"][name];
        assert_eq!(
            names(&schema["properties"]),
            message.fields.iter().map(|field| field.name.clone()).collect()
        );
        let required: BTreeSet<&str> =
            schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(required, message.fields.iter().filter(|f| f.required).map(|f| &*f.name).collect());
    }
    let elsewhere = openapi::document(khs, &fixture.api.settings, false, Some("https://khs.example.jp/"));
    assert!(
        elsewhere["paths"].get("/health").is_none()
            && elsewhere["servers"][0]["url"] == "https://khs.example.jp"
    );
}
