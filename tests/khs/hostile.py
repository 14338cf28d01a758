"""What well-behaved clients do not send: broken bodies, huge ones, half requests, odd headers and paths, garbage.

    python hostile.py URL LIMITED_URL WORKDIR

LIMITED_URL: a server that waits two seconds for a request.
"""

import itertools
import json
import random
import socket
import sys
import time
from urllib.parse import urlsplit

import data
from api import INSURED, INSURER, PATHS, SUCCESS, Api, Report, answer_faults, check, parsed

NUMBER = json.dumps({INSURER: data.OUTSIDER}).encode()
PERSON = json.dumps({INSURER: data.OUTSIDER, INSURED: "0000000010"}).encode()


def lines(api, interface, more=""):
    """The head of a request, but for the length of its body."""
    head = f"POST {PATHS[interface]} HTTP/1.1\r\nHost: x\r\n{more}"
    return (head + "".join(f"{name}: {value}\r\n" for name, value in api.headers.items())).encode("latin-1")


def exchange(api, *pieces, seconds=2):
    """What is answered to bytes as they are: status, head, body, whether the connection is closed within some seconds."""
    host, answer, closed = urlsplit(api.url), b"", True
    with socket.create_connection((host.hostname, host.port), timeout=seconds) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            while piece := connection.recv(65_536):
                answer += piece
        except TimeoutError:
            closed = False
        except ConnectionError:
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12] or 0), head, body, closed


def bodies(report, api):
    """Bodies that are no request."""
    number, deep = NUMBER, 8_000
    broken = {
        "nothing": b"", "a brace": b"{", "spaces": b"  \r\n", "a list": b"[%s]" % number, "null": b"null", "a text": b'"272010"',
        "a number": b"272010", "two": number + number, "a comma": number[:-1] + b",}", "a comment": b"/* */" + number,
        "not UTF-8": b'{"x":"\xff",' + number[1:], "CP932": b'{"x":"' + "介護".encode("cp932") + b'",' + number[1:],
        "UTF-16": number.decode().encode("utf-16"), "half a pair": number[:-2] + b'\\ud800"}',
        "NaN": b'{"x":NaN,' + number[1:], "NUL after it": number + b"\0", "a control character": b'{"x":"\t",' + number[1:],
        "a key twice": number[:-1] + b"," + number[1:],
        "a key twice, once escaped": b'{"care_insure_provider_numbe\\u0072":"141003",' + number[1:],
        "deep lists": b'{"x":' + b"[" * deep + b"]" * deep + b"," + number[1:],
        "deep objects": b'{"x":' + b'{"x":' * 2_000 + b"1" + b"}" * 2_000 + b"," + number[1:],
        "deep and cut off": b"[" * 16_000,
    }  # fmt: skip
    for interface, (name, body) in itertools.product(PATHS, broken.items()):
        check(report, f"{interface} body {name}", interface, api.post(interface, body), 400)
    for interface in PATHS:
        more = {INSURER: data.OUTSIDER, "x": {"y": [1, None, "介護"]}, "": 0}
        check(report, f"{interface} unknown fields", interface, api.post(interface, more), 200, SUCCESS)
        numbers = NUMBER[:-1] + b',"x":[1e999,-1e999,%s]}' % (b"9" * 5_000)
        check(report, f"{interface} unknown numbers", interface, api.post(interface, numbers), 200, SUCCESS)


def large(report, api):
    """Bodies of 1 and 8 MiB; a connection that is closed behind the answer is said to be."""
    for interface, size, chunked in itertools.product(PATHS, (1 << 20, 8 << 20), (False, True)):
        body = b"x" * size
        pieces = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, body)
        sent = pieces if chunked else b"Content-Length: %d\r\n\r\n%s" % (size, body)
        status, head, told, closed = exchange(api, lines(api, interface), sent, seconds=0.7)
        here = f"{interface} {size} bytes, {sent[:20]}: {head}"
        if status == 0 and size > 1 << 20:
            continue  # whoever goes on sending may not get to read why it is refused
        report.expect(status == 413, here)
        wrong = answer_faults(interface, parsed(told)) if told else ["no body"]
        report.expect(not wrong, f"{here}: {wrong}")
        said = b"connection: close" in head.lower()
        report.expect(said == closed, f"{here}: the connection is {'closed' if closed else 'open'}, said {said}")


def slow(report, api):
    """Half a request is waited for, but not for long; others are answered meanwhile."""
    whole = lines(api, "json") + b"Content-Length: 50\r\n\r\n{"
    for text, statuses in ((whole, {408}), (lines(api, "json"), {408, 0}), (b"POST", {408, 0})):
        begun = time.monotonic()
        status, _, body, closed = exchange(api, text, seconds=10)
        took = time.monotonic() - begun
        report.expect(closed and status in statuses and 1 < took < 9, f"half a request: {status} after {took:.1f} s")
        wrong = answer_faults("json", parsed(body)) if body else []
        report.expect(bool(body) == (text == whole) and not wrong, f"half a request: {wrong} {body[:300]}")


def odd_headers(report, api):
    """Headers that stand twice, have control characters, or disagree about where the body ends."""
    length = b"Content-Length: %d\r\n" % len(PERSON)
    good = lines(api, "json")
    status, *_ = exchange(api, good + length + b"Connection: close\r\n\r\n" + PERSON)
    report.expect(status == 200, f"a request written by hand: {status}")
    twice = {INSURER: (400,), "Authorization": (400, 401), "Content-Type": (400,)}
    for name, statuses in twice.items():
        line = f"{name}: {api.headers[name]}\r\n".encode()
        status, *_ = exchange(api, good + line + length + b"Connection: close\r\n\r\n" + PERSON)
        report.expect(status in statuses, f"{name} twice: {status}")
    for line in (f"{INSURER}: 27\x012010", f"{INSURER}: 27\x002010", "x\x00: y", "x y: z", ": x"):
        status, *_ = exchange(api, lines(api, "json", line + "\r\n") + length + b"\r\n" + PERSON)
        report.expect(status == 400, f"header {line!r}: {status}")
    lengths = (
        b"Content-Length: 5\r\n" + length,
        length[:-2] + b", 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: x\r\n",
    )
    for line in (*lengths, b"Transfer-Encoding: x\r\n", b"Transfer-Encoding: chunked, x\r\n"):
        status, *_ = exchange(api, good + line + b"\r\n" + PERSON)
        report.expect(status in (400, 501), f"{line}: {status}")
    # Both: what comes behind the last piece is no second request of ours.
    both = length + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(PERSON), PERSON)
    status, head, body, closed = exchange(api, good + both)
    report.expect(
        status == 400 or (status == 200 and body.count(b"HTTP/1.1") == 0), f"length and pieces: {head} {closed}"
    )


def paths(report, api):
    """Paths that look like others."""
    head = lines(api, "json")
    near = "/khs-api /khs-api/ /khs-api/json/ /khs-api/jsonx /khs-api/JSON //khs-api/json /khs-api/file/ /khs-api/file/272010/x"
    for path in (*near.split(), "/", "/tokens", "/khs-api/json/../../tokens", "/khs-api/%2e%2e/tokens", "/%00", "/%ff"):
        line = head.replace(PATHS["json"].encode(), path.encode(), 1)
        status, *_ = exchange(api, line + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(PERSON) + PERSON)
        report.expect(status == 404, f"POST {path}: {status}")


def garbage(report, api):
    """Requests with some bytes changed: any answer is good that is no fault of the server, and the server goes on."""
    chance = random.Random(6)
    good = lines(api, "json") + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(PERSON) + PERSON
    for _ in range(300):
        request = bytearray(good)
        for _ in range(chance.choice((1, 2, 5, 50))):
            at = chance.randrange(len(request))
            request[at : at + chance.choice((0, 1, 1, 4))] = chance.randbytes(chance.choice((0, 1, 1, 4)))
        # What may be waited for is cut short: whole requests are answered at once.
        status, *_ = exchange(api, bytes(request), seconds=0.1)
        report.expect(status < 500, f"{bytes(request)}: {status}")
    check(report, "after garbage", "json", api.ask("json", data.OUTSIDER, "0000000010"), 200, SUCCESS)


def silent(report, api):
    """Connections that say nothing hold up nobody."""
    host = urlsplit(api.url)
    kept = [socket.create_connection((host.hostname, host.port)) for _ in range(300)]
    begun = time.monotonic()
    check(report, "beside silent ones", "json", api.ask("json", data.OUTSIDER, "0000000010"), 200, SUCCESS)
    took = time.monotonic() - begun
    report.expect(took < 5, f"beside {len(kept)} silent connections: {took:.1f} s")
    for connection in kept:
        connection.close()


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: hostile.py URL LIMITED_URL WORKDIR")
    url, limited, work = sys.argv[1:]
    report, known = Report("hostile"), data.tokens_of(work)
    api = Api(url, known[data.OUTSIDER], data.OUTSIDER)
    for part in (bodies, large, odd_headers, paths, garbage, silent):
        part(report, api)
    slow(report, Api(limited, known[data.UNION], data.UNION))
    report.end()


if __name__ == "__main__":
    main()
