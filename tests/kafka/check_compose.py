"""Checks docker-compose.yml and Dockerfile for what the compose schema cannot see.

    check_compose.py PROGRAM [COMPOSE_FILE]

No container is started: that every command is one the program takes, that names, ports and folders of the
services fit together, that versions are those of the tests. Prints what is wrong; exit code 1 if anything is.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {"kafka", "worker", "sink", "resolve"}


def option(command: list[str], name: str) -> str | None:
    """Value of an option of a command line, if it is there."""
    return command[command.index(name) + 1] if name in command[:-1] else None


def volume_names(service: dict) -> set[str]:
    """Named volumes of a service."""
    names = set()
    for volume in service.get("volumes", []):
        if isinstance(volume, dict):
            names |= {volume["source"]} if volume["type"] == "volume" else set()
        else:
            names |= {volume.split(":")[0]}
    return {name for name in names if not name.startswith((".", "/", "~", "$"))}


def of_one(name: str, service: dict, services: dict) -> list[str]:
    """What is wrong with a service by itself."""
    wrong = []
    if not service.get("logging", {}).get("options", {}).get("max-size"):
        wrong.append("its log has no bound")
    for other, how in service.get("depends_on", {}).items():
        if other not in services:
            wrong.append(f"depends on {other}, which is not there")
        elif how["condition"] == "service_healthy" and "healthcheck" not in services[other]:
            wrong.append(f"waits for the health of {other}, which has no check")
    if "profiles" in service:
        return wrong
    if "healthcheck" not in service:
        wrong.append("has no health check")
    if service.get("restart") in (None, "no"):
        wrong.append("is not started again")
    return wrong


def of_program(service: dict, kafka: dict, program: str) -> list[str]:
    """What is wrong with a service that runs our program."""
    wrong, command = [], service["command"]
    # The parser comes to --help only if it takes all that stands before.
    parsed = subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=False)
    if parsed.returncode != 0:
        wrong.append(f"the program does not take {' '.join(command)}: {parsed.stderr.strip()}")
    brokers = option(command, "--kafka")
    listeners = kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    if brokers is not None and f"//{brokers}" not in listeners:
        wrong.append(f"asks for Kafka at {brokers}, which listens at {listeners}")
    metrics = option(command, "--metrics")
    urls = [urlsplit(word) for word in service.get("healthcheck", {}).get("test", []) if word.startswith("http")]
    if [(url.port, url.path) for url in urls] != ([(int(metrics.split(":")[-1]), "/health")] if metrics else []):
        wrong.append(f"its health check does not ask /health at {metrics}")
    if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
        wrong.append("may do more than it needs")
    return wrong


def of_all(compose: dict) -> list[str]:
    """What does not fit together."""
    wrong, services = [], compose["services"]
    used = set().union(*map(volume_names, services.values()))
    if used != set(compose.get("volumes", {})):
        wrong.append(f"volumes used are {sorted(used)}, named are {sorted(compose.get('volumes', {}))}")
    data, archive = (option(services[name]["command"], to) for name, to in [("sink", "--data"), ("worker", "--archive")])
    if archive != f"{data}/archive" or option(services["resolve"]["command"], "--data") != data:
        wrong.append(f"workers archive to {archive}, the data folder is {data}")
    for name in ("worker", "sink", "resolve"):
        if f"data:{data}" not in services[name]["volumes"]:
            wrong.append(f"{name} does not have the data folder")
    kept = services["kafka"]["environment"]
    if {kept.get("KAFKA_LOG_RETENTION_MS"), kept.get("KAFKA_LOG_RETENTION_BYTES")} != {"-1"}:
        wrong.append("Kafka forgets")
    if f"kafka:{Path(kept['KAFKA_LOG_DIRS']).parent}" not in services["kafka"]["volumes"]:
        wrong.append("Kafka's data are not in its volume")
    return wrong


def versions(compose: dict) -> list[str]:
    """What differs from the versions that are tested."""
    wrong = []
    tested = re.search(r"<kafka.version>(.+)</kafka.version>", (ROOT / "tests/kafka/pom.xml").read_text())[1]
    if compose["services"]["kafka"]["image"] != f"apache/kafka:{tested}":
        wrong.append(f"the tests' Kafka is {tested}")
    rust = re.search(r'^rust-version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    if f"FROM rust:{rust}-" not in (ROOT / "Dockerfile").read_text():
        wrong.append(f"the workspace's Rust is {rust}, not that of the Dockerfile")
    return wrong


def main() -> int:
    """Checks, prints, tells the exit code."""
    file = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docker-compose.yml"
    compose = YAML(typ="safe").load(file)
    services = compose["services"]
    if set(services) != SERVICES:
        print(f"{file.name}: services are {sorted(services)}, wanted {sorted(SERVICES)}", file=sys.stderr)
        return 1
    wrong = [f"{name}: {what}" for name, service in services.items() for what in of_one(name, service, services)]
    for name in sorted(SERVICES - {"kafka"}):
        wrong += [f"{name}: {what}" for what in of_program(services[name], services["kafka"], sys.argv[1])]
    wrong += of_all(compose) + versions(compose)
    for what in wrong:
        print(f"{file.name}: {what}", file=sys.stderr)
    if not wrong:
        print(f"{file.name}: {len(services)} services, commands as the program takes them")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
