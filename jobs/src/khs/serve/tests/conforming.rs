//! Whatever is answered, held against the OpenAPI document.

use super::*;

impl Fixture {
    /// Whatever is answered stands in the document: status, headers, type, fields.
    pub fn documented(&self, method: &Method, path: &str, answer: &Answer) {
        let paths = self.document["paths"].as_object().unwrap();
        let is = |template: &str| match template.split_once('{') {
            Some((before, _)) => path.strip_prefix(before).is_some_and(|rest| !rest.contains('/')),
            None => template == path,
        };
        let Some((_, item)) = paths.iter().find(|(template, _)| is(template)) else {
            return assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        };
        let method = method.as_str().to_lowercase();
        let operation = item.get(&method);
        assert_eq!(operation.is_none(), answer.status == StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        let operation = operation.unwrap_or_else(|| item.get("post").unwrap_or(&item["get"]));
        let response = &operation["responses"][answer.status.as_str()];
        assert!(response.is_object(), "{method} {path} {} is not in the document", answer.status);
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let value = answer.header(name);
            assert!(!value.is_empty(), "{method} {path} {}: {name}", answer.status);
            if let Some(constant) = header["schema"]["const"].as_str() {
                assert_eq!(value, constant);
            }
        }
        let Some(content) = response["content"].as_object().filter(|_| method != "head") else { return };
        let kind = answer.header("content-type").split(';').next().unwrap();
        let schema = &content.get(kind).unwrap_or_else(|| panic!("{path}: {kind}"))["schema"];
        if kind == "application/json" && schema.get("$ref").is_some() {
            self.conforms(&answer.json(), schema);
        }
    }

    /// As far as our schemas go.
    fn conforms(&self, value: &Value, schema: &Value) {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            return self.conforms(value, &self.document["components"]["schemas"][name]);
        }
        for schema in schema["allOf"].as_array().into_iter().flatten() {
            self.conforms(value, schema);
        }
        for (name, property) in schema["if"]["properties"].as_object().into_iter().flatten() {
            let is_so = value[name] == property["const"];
            self.conforms(value, &schema[if is_so { "then" } else { "else" }]);
        }
        for name in schema["not"]["required"].as_array().into_iter().flatten() {
            assert!(value.get(name.as_str().unwrap()).is_none(), "{name} is in {value}");
        }
        if let Some(constant) = schema.get("const") {
            assert_eq!(value, constant);
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(value.get(name.as_str().unwrap()).is_some(), "{name} is missing in {value}");
        }
        for (name, value) in value.as_object().into_iter().flatten() {
            match schema["properties"].get(name) {
                Some(schema) => self.conforms(value, schema),
                None => assert_ne!(schema["additionalProperties"], json!(false), "{name}"),
            }
        }
        for value in value.as_array().into_iter().flatten() {
            self.conforms(value, &schema["items"]);
        }
        let items = value.as_array().map(|items| items.len() as u64);
        assert!(schema["maxItems"].as_u64().zip(items).is_none_or(|(most, items)| items <= most), "{value}");
        let length = value.as_str().map(|text| text.chars().count() as u64);
        assert!(
            schema["maxLength"].as_u64().zip(length).is_none_or(|(most, length)| length <= most),
            "{value}"
        );
        let kind = schema["type"].as_str().unwrap_or_default();
        assert!(match kind {
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        });
    }
}
