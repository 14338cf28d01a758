"""An independent client: asks by JSON and by file, follows the address, and compares the two record by record.

    python client.py URL LIMITED_URL WORKDIR

LIMITED_URL: a server whose download addresses last a second.
"""

import csv
import io
import random
import sys
import time
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import data
from api import PERSON, SUCCESS, Api, Report, check

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def address(report, api, insurer):
    """The download address of an insurer's file."""
    answer = check(report, f"file of {insurer}", "file", api.ask("file", insurer), 200, SUCCESS)
    url = answer.get("presigned_url", "")
    report.expect(0 < len(url) <= 200 and url.startswith(api.url + "/"), f"address {url}")
    return url


def rows_of(report, content):
    """The records of a file, as the JSON interface would give them."""
    text = content.decode("utf-8")
    report.expect(text.count("\n") == text.count("\r\n") and text.endswith("\r\n"), "lines do not end with CR LF")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    report.expect(header == list(PERSON), f"first line {header}")
    report.expect(all(len(row) == len(header) for row in rows), "rows of different lengths")
    return [{name: value for name, value in zip(header, row) if value} for row in rows]


def same_both_ways(report, known):
    """JSON, file and what was loaded are the same, for everybody who may ask for it."""
    for (owner, api), insurer in ((pair, no) for pair in known.items() for no in (pair[0], *data.members(pair[0], DAY))):
        body = check(report, f"{owner} asks for {insurer}", "json", api.ask("json", insurer), 200, SUCCESS).get("body")
        file = api.get(address(report, api, insurer))
        report.expect(file.status_code == 200, f"file of {insurer}: {file.status_code}")
        rows = rows_of(report, file.content)
        report.expect(rows == body, f"{owner} asks for {insurer}: {len(rows)} rows by file, {len(body)} by JSON")
        report.expect(body == data.people(insurer, DAY), f"{owner} asks for {insurer}: other people than loaded")


DAY = data.date.fromisoformat(data.ON)


def whole(report, api, url):
    """The whole file with its headers, by GET and HEAD; its bytes and tag."""
    file, head = api.get(url), api.get(url, "HEAD")
    length, tag = len(file.content), file.headers.get("ETag", "")
    wanted = {
        "Content-Length": str(length),
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="khs-{data.OUTSIDER}.csv"',
    }
    for answer, method in ((file, "GET"), (head, "HEAD")):
        report.expect(answer.status_code == 200, f"{method} of the file: {answer.status_code}")
        for name, value in wanted.items():
            report.expect(
                answer.headers.get(name) == value, f"{method}: {name} is {answer.headers.get(name)}, not {value}"
            )
        kind = answer.headers.get("Content-Type", "").replace(" ", "").lower()
        report.expect(kind.startswith("text/csv"), f"{method}: Content-Type {kind}")
    report.expect(head.content == b"" and head.headers.get("ETag") == tag, "HEAD has a body or another ETag")
    report.expect(tag.startswith('"') and tag.endswith('"') and len(tag) > 9, f"ETag {tag}")
    again = api.get(address(report, api, data.OUTSIDER))
    report.expect(again.headers.get("ETag") == tag and again.content == file.content, "another address, another file")
    return file.content, tag


def ranges(report, api, url, content, tag):
    """Single ranges anywhere, beyond the end, and whatever is none."""
    size, chance = len(content), random.Random(4)
    spans = [(0, 0), (0, 99), (size // 2, size // 2 + 9_999), (size - 1, size - 1), (0, size - 1), (size - 9, size + 99)]
    spans += [tuple(sorted(chance.choices(range(size), k=2))) for _ in range(100)]
    spans += [(at - 3, at + 3) for at in chance.choices(range(3, size - 3), k=100)]
    asked = [(f"bytes={a}-{b}", a, min(b, size - 1)) for a, b in spans]
    asked += [(f"bytes={a}-", a, size - 1) for a in (0, 1, size // 3, size - 1)]
    asked += [(f"bytes=-{n}", max(size - n, 0), size - 1) for n in (1, 100, size // 3, size, size + 5)]
    for text, first, last in asked:
        answer = api.get(url, headers={"Range": text, "Accept-Encoding": "gzip"})
        here = f"Range {text}: {answer.status_code} {answer.headers.get('Content-Range')}, {len(answer.content)} bytes"
        report.expect(answer.status_code == 206, here)
        report.expect(answer.headers.get("Content-Range") == f"bytes {first}-{last}/{size}", here)
        report.expect(answer.content == content[first : last + 1], f"{here}: other bytes")
        report.expect("Content-Encoding" not in answer.headers and answer.headers.get("ETag") == tag, f"{here}: headers")
    for text in (f"bytes={size}-", f"bytes={size + 7}-{size + 8}", "bytes=-0", f"bytes={10**19}-"):
        answer = api.get(url, headers={"Range": text})
        found = (answer.status_code, answer.headers.get("Content-Range"))
        report.expect(found == (416, f"bytes */{size}"), f"Range {text}: {found}")
    for text in (
        "bytes=0-1,5-9",
        "bytes=0-0, -1",
        "bytes=9-5",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "lines=0-1",
        "0-1",
        "bytes=0x0-1",
    ):
        answer = api.get(url, headers={"Range": text})
        report.expect((answer.status_code, answer.content) == (200, content), f"Range {text}: {answer.status_code}")


def conditional_ranges(report, api, url, content, tag):
    """If-Range: the part if it is still that file, else all of it."""
    for given, status in (
        (tag, 206),
        ('"another"', 200),
        ("W/" + tag, 200),
        ("Mon, 30 Nov 2026 00:00:00 GMT", 200),
        (tag[1:-1], 200),
    ):
        answer = api.get(url, headers={"Range": "bytes=5-9", "If-Range": given})
        wanted = content[5:10] if status == 206 else content
        report.expect((answer.status_code, answer.content) == (status, wanted), f"If-Range {given}: {answer.status_code}")
    head = api.get(url, "HEAD", headers={"Range": "bytes=5-9"})
    report.expect(head.status_code == 200 and not head.content, f"HEAD with Range: {head.status_code}")
    packed = api.get(url, headers={"Accept-Encoding": "gzip"})
    report.expect(packed.content == content, "the file by gzip differs")
    if "Content-Encoding" in packed.headers:
        # A part of the file as it is does not go on with one that came packed.
        report.expect(packed.headers.get("ETag") != tag, "the packed file has the same strong ETag")


def changed(url, **values):
    """The address with other parameters, or another insurer; None takes one out."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **{n: v for n, v in values.items() if n != "insurer"}}
    path = parts.path.rpartition("/")[0] + "/" + values.get("insurer", data.OUTSIDER)
    query = urlencode({name: value for name, value in query.items() if value is not None})
    return urlunsplit(parts._replace(path=path, query=query))


def forged(report, api, url):
    """Addresses that were not signed, or for something else."""
    query = dict(parse_qsl(urlsplit(url).query))
    report.expect(set(query) == {"by", "until", "sig"}, f"parameters of the address: {sorted(query)}")
    report.expect(api.get(changed(url)).status_code == 200, "the address put together anew is refused")
    sig, until = query["sig"], int(query["until"])
    report.expect(0 < until - time.time() <= 600, f"the address is good for {until - time.time():.0f} s")
    last = ALPHABET[(ALPHABET.index(sig[-1]) + 1) % 64]  # another text, perhaps of the same bytes
    sigs = [
        "A" + sig[1:] if sig[0] != "A" else "B" + sig[1:],
        sig[:-1] + last,
        sig[:-1],
        sig + "A",
        sig + "=",
        sig.swapcase(),
        "",
        None,
    ]
    urls = {f"sig {n}": changed(url, sig=s) for n, s in enumerate(sigs)}
    urls |= {f"by {n}": changed(url, by=n) for n in (data.UNION, data.NOBODY, "", "27201", None)}
    urls |= {
        f"until {n}": changed(url, until=n)
        for n in (until + 1, until + 10**9, 2**64, -1, "", f"{until}.0", f"+{until}", f"0{until}", None)
    }
    urls |= {f"insurer {n}": changed(url, insurer=n) for n in (data.UNION, "142018", data.NOBODY, data.UNKNOWN)}
    urls |= {"sig twice": f"{url}&sig={sig}", "by twice": f"{url}&by={data.OUTSIDER}"}
    for name, forgery in urls.items():
        for method in ("GET", "HEAD"):
            answer = api.get(forgery, method)
            report.expect(answer.status_code == 403, f"{method} with {name}: {answer.status_code}")
        if answer.status_code == 403:
            check(report, f"file with {name}", "file", api.get(forgery), 403)
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = api.get(url, method)
        allowed = {name.strip() for name in answer.headers.get("Allow", "").split(",")}
        report.expect(
            answer.status_code == 405 and allowed == {"GET", "HEAD"},
            f"{method} on the file: {answer.status_code}, {allowed}",
        )


def expired(report, url, token):
    """An address that has run out."""
    api = Api(url, token, "142018")  # of few people: more than a thousand would cost more than it may have left
    time.sleep(2)  # whoever asked this server before
    signed = address(report, api, "142018")
    report.expect(api.get(signed).status_code == 200, "an address just made is refused")
    time.sleep(2.5)
    check(report, "file, late", "file", api.get(signed), 403)


def hosts(report, api):
    """An address never begins with what is no host, and is never too long."""
    for host in ("a b", 'x"y', "x/../y", "x@y", "x?y", "x#y", "x" * 300, "[::1", "x:99999", "x:", "介護".encode()):
        answer = api.ask("file", data.OUTSIDER, Host=host)
        if answer.status_code == 400:
            continue
        url = check(report, f"Host {host!r:.20}", "file", answer, 200, SUCCESS).get("presigned_url", "")
        report.expect(url.startswith(api.url + "/"), f"Host {host!r:.20}: {url}")
    named = check(report, "Host", "file", api.ask("file", data.OUTSIDER, Host="khs.example.jp:8443"), 200, SUCCESS)
    report.expect(named.get("presigned_url", "").startswith("http://khs.example.jp:8443/"), f"Host: {named}")


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: client.py URL LIMITED_URL WORKDIR")
    base, limited, work = sys.argv[1:]
    report, tokens = Report("client"), data.tokens_of(work)
    known = {owner: Api(base, tokens[owner], owner) for owner in data.OWNERS}
    api = known[data.OUTSIDER]
    same_both_ways(report, known)
    url = address(report, api, data.OUTSIDER)
    content, tag = whole(report, api, url)
    ranges(report, api, url, content, tag)
    conditional_ranges(report, api, url, content, tag)
    forged(report, api, url)
    hosts(report, api)
    expired(report, limited, tokens["142018"])
    report.end(f"file of {len(content):,} bytes")


if __name__ == "__main__":
    main()
