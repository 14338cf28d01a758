"""Reads a metrics file with Prometheus' own parser, as node_exporter's textfile collector would.

usage: check_metrics.py FILE EXIT_CODE
"""

import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: check_metrics.py FILE EXIT_CODE")
    families = list(text_string_to_metric_families(Path(sys.argv[1]).read_text(encoding="utf-8")))
    wrong = [f.name for f in families if f.type != "gauge" or not f.documentation or not f.samples]
    wrong += [f.name for f in families if not f.name.startswith("tsumiage_")]
    samples = {(s.name, *sorted(s.labels.items())): s.value for f in families for s in f.samples}
    if len(samples) != sum(len(f.samples) for f in families):
        wrong.append("a sample comes twice")
    if samples.get(("tsumiage_last_run_exit_code",)) != float(sys.argv[2]):
        wrong.append("exit code")
    success = ("tsumiage_last_success_timestamp_seconds", ("command", "nightly"))
    if not samples.get(success, 0) > 1_700_000_000:
        wrong.append("last success")
    if wrong:
        sys.exit(f"WRONG {sys.argv[1]}: {', '.join(wrong)}")
    print(f"metrics: {len(families)} families, {len(samples)} samples")


if __name__ == "__main__":
    main()
