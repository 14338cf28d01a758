"""TLS: only who trusts the authority gets an answer, nothing goes in the clear, old versions are refused.

    python tls.py URL CA_FILE WORKDIR

Then `tsumiage khs fetch` is the caller's to try.
"""

import socket
import ssl
import sys
import warnings
from urllib.parse import urlsplit

import requests

import data
from api import SUCCESS, Api, Report, check


def in_the_clear(report, host, port):
    """Plain HTTP has no answer that says anything."""
    api = Api(f"http://{host}:{port}", "x", data.OUTSIDER)
    try:
        answer = api.ask("json", data.OUTSIDER)
        report.expect(
            answer.status_code >= 400 and not answer.content, f"plain HTTP: {answer.status_code} {answer.text[:200]}"
        )
    except requests.ConnectionError:
        report.expect(True, "")


def version(host, port, ca, newest):
    """The version of TLS that a client with this one at most gets; None if it is refused."""
    context = ssl.create_default_context(cafile=ca)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old versions are what is tried
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with socket.create_connection((host, port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname=host) as connection:
                return connection.version()
    except (ssl.SSLError, ConnectionError):
        return None


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: tls.py URL CA_FILE WORKDIR")
    url, ca, work = sys.argv[1:]
    host, port = urlsplit(url).hostname, urlsplit(url).port
    report, token = Report("tls"), data.tokens_of(work)[data.OUTSIDER]
    report.expect(url.startswith("https://"), f"address {url}")
    api = Api(url, token, data.OUTSIDER, verify=ca)
    day = data.date.fromisoformat(data.ON)
    answer = check(report, "JSON", "json", api.ask("json", data.OUTSIDER), 200, SUCCESS)
    report.expect(answer.get("body") == data.people(data.OUTSIDER, day), "JSON: other people")
    signed = check(report, "file", "file", api.ask("file", data.OUTSIDER), 200, SUCCESS).get("presigned_url", "")
    report.expect(signed.startswith(url + "/"), f"address {signed}")
    report.expect(api.get(signed).status_code == 200, "the file is not there")
    try:
        Api(url, token, data.OUTSIDER).ask("json", data.OUTSIDER)
        report.expect(False, "an authority that nobody knows is trusted")
    except requests.exceptions.SSLError:
        report.expect(True, "")
    in_the_clear(report, host, port)
    for newest, wanted in (
        (ssl.TLSVersion.TLSv1_1, None),
        (ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        (ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
    ):
        found = version(host, port, ca, newest)
        report.expect(found == wanted, f"at most {newest.name}: {found}")
    # Somebody who connects and says nothing holds up nobody else.
    with socket.create_connection((host, port)):
        check(report, "beside a silent one", "json", api.ask("json", data.OUTSIDER, "0000000010"), 200, SUCCESS)
    report.end()


if __name__ == "__main__":
    main()
