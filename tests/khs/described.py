"""What the server says of itself: the OpenAPI document against the tables, health, and metrics by Prometheus' parser.

python described.py URL WORKDIR
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

import data
from api import INSURER, PATHS, SUCCESS, Api, Report, check, message

REFUSALS = {"400", "401", "413", "429"}


def resolved(document, schema):
    """A schema behind its reference; what it is made of, as one."""
    while "$ref" in schema:
        found = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    if not schema.keys() & {"allOf", "properties"}:
        return schema
    parts = [resolved(document, part) for part in schema.get("allOf", [])]
    properties = {name: p for s in [*parts, schema] for name, p in s.get("properties", {}).items()}
    required = [name for s in [*parts, schema] for name in s.get("required", [])]
    return {**schema, "properties": properties, "required": required}


def fields(report, document, where, schema, table):
    """Names, which are required, lengths and kinds of a message."""
    schema = resolved(document, schema)
    report.expect(
        list(schema["properties"]) == list(table) or set(schema["properties"]) == set(table),
        f"{where}: {list(schema['properties'])}",
    )
    wanted = {field.name for field in table.values() if field.required}
    report.expect(set(schema["required"]) == wanted, f"{where}: required {schema['required']}")
    for field in table.values():
        found = resolved(document, schema["properties"].get(field.name, {}))
        here = f"{where}.{field.name}: {found}"
        if field.type == "number":
            limits = (found.get("type"), found.get("minimum"), found.get("maximum"))
            report.expect(limits == ("integer", 0, 10**field.length - 1), here)
        elif field.type == "list":
            report.expect(found.get("type") == "array", here)
            fields(report, document, f"{where}.{field.name}", found["items"], message("person"))
        elif field.name == "result":
            report.expect(sorted(found.get("enum", [])) == sorted(("成功", "失敗")), here)
        else:
            least = field.length if field.fixed else found.get("minLength", 0)
            limits = (found.get("type"), found.get("minLength", 0), found.get("maxLength"))
            report.expect(limits == ("string", least, field.length), here)
            report.expect("pattern" in found or field.type == "text", f"{here}: no pattern")


def document_of(report, api):
    """The document, held against the tables."""
    answer = api.get(api.url + "/openapi.json")
    report.expect(answer.status_code == 200 and answer.headers["Content-Type"] == "application/json", "openapi.json")
    document = answer.json()
    report.expect(document["openapi"].startswith("3.1."), document["openapi"])
    paths = {*PATHS.values(), PATHS["file"] + "/{insurer_no}", "/openapi.json", "/health", "/metrics"}
    report.expect(set(document["paths"]) == paths, f"paths {sorted(document['paths'])}")
    for interface, path in PATHS.items():
        item = document["paths"][path]
        report.expect(set(item) - {"parameters", "summary", "description"} == {"post"}, f"{path}: {list(item)}")
        post = item["post"]
        kind = post["requestBody"]["content"]
        report.expect(
            list(kind) == ["application/json"] and post["requestBody"]["required"], f"{path}: {post['requestBody']}"
        )
        fields(
            report, document, f"{interface} request", kind["application/json"]["schema"], message(f"{interface}-request")
        )
        good = post["responses"]["200"]["content"]["application/json"]["schema"]
        fields(report, document, f"{interface} response", good, message(f"{interface}-response"))
        report.expect(REFUSALS <= set(post["responses"]), f"{path}: {sorted(post['responses'])}")
        headers = [resolved(document, parameter) for parameter in post.get("parameters", []) + item.get("parameters", [])]
        required = {p["name"] for p in headers if p["in"] == "header" and p.get("required")}
        report.expect(INSURER in required, f"{path}: headers {required}")
        report.expect(post.get("security") or document.get("security"), f"{path}: no security")
    return document


def metrics_of(report, api):
    """Metrics as OpenMetrics: something counts requests, and no label holds a number of an insurer."""
    answer = api.get(api.url + "/metrics")
    report.expect(answer.headers.get("Content-Type", "").startswith("application/openmetrics-text"), f"{answer.headers}")
    families = list(text_string_to_metric_families(answer.text))
    samples = [sample for family in families for sample in family.samples]
    wrong = [family.name for family in families if not family.name.startswith("tsumiage_khs") or not family.documentation]
    report.expect(not wrong, f"metrics {wrong}")
    labels = {value for sample in samples for value in sample.labels.values()}
    insurers = {*data.OWNERS, data.UNKNOWN, "143219"}
    report.expect(not insurers & labels, f"labels {sorted(labels)}")
    return {(s.name, *sorted(s.labels.items())): s.value for s in samples}


def counted(report, api):
    """A request is counted once, with its interface and status."""
    before = metrics_of(report, api)
    check(report, "a request", "json", api.ask("json", data.OUTSIDER, "0000000010"), 200, SUCCESS)
    after = metrics_of(report, api)
    grown = {key for key, value in after.items() if value == before.get(key, 0) + 1}
    by_status = [key for key in grown if "json" in str(key) and "200" in str(key)]
    report.expect(by_status, f"nothing counts the request: {sorted(grown)}")
    people = [value for key, value in after.items() if "people" in key[0]]
    report.expect(people == [len(data.PEOPLE)], f"people served: {people}, not {len(data.PEOPLE)}")


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: described.py URL WORKDIR")
    url, work = sys.argv[1:]
    report, api = Report("described"), Api(url, data.tokens_of(work)[data.OUTSIDER], data.OUTSIDER)
    document = document_of(report, api)
    health = api.get(url + "/health")
    report.expect(health.status_code == 200, f"health: {health.status_code} {health.text}")
    counted(report, api)
    report.end(f"{len(document['paths'])} paths")


if __name__ == "__main__":
    main()
