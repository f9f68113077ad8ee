"""The catalogue of transport faults: every way in which bytes go wrong between client and service.

The service itself stays healthy behind :mod:`codewitness.embedded.transport_proxy`. The suite must
end in time under each of them, fail and name it, except under those that any client of HTTP has
to bear.
"""

from __future__ import annotations

import asyncio
import difflib
import gzip
import json
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from codewitness.embedded.transport_proxy import Answer, Connection, Exchange, Request

Spoil = Callable[[Exchange], Awaitable[None]]

FIRST = "T1.1 Simple Print Statement"
MANY = "Many Runs Give Their Own Results"
LARGE = "Output Of 200 KB Arrives Whole"

_SEED = 3
_LARGE = 64 * 1024


async def _pass_on(exchange: Exchange) -> None:
    await exchange.connection.send((await exchange.answer()).whole)


def _always(_exchange: Exchange) -> bool:
    return True


@dataclass(frozen=True)
class TransportFault:
    """One way to break the transport.

    Attributes:
        name: What ``--fault`` takes.
        summary: What happens on the wire, in one line.
        group: The family.
        expect_words: Words of which the suite's first failure must contain all, in any case; none
            where the suite passes nevertheless.
        claimed_by: The test that finds it.
        on_exchange: Puts the answer to a request on the wire.
        strikes: Which requests it befalls.
        on_connection: Takes over a whole connection instead, before anything is read.
        scheme: Of the proxy's URL.
        speaks_tls: Whether the proxy really does, with an authority that nobody knows.
        borne: Whether the suite passes nevertheless, as nothing here is against HTTP's rules, or
            no client can see it.
    """

    name: str
    summary: str
    group: str
    expect_words: tuple[str, ...] = ()
    claimed_by: str = FIRST
    on_exchange: Spoil = _pass_on
    strikes: Callable[[Exchange], bool] = _always
    on_connection: Callable[[Connection], Awaitable[None]] | None = None
    scheme: str = "http"
    speaks_tls: bool = False
    borne: bool = False


def find_transport_fault(name: str) -> TransportFault:
    """Return the transport fault of a name.

    Raises:
        LookupError: There is none; the message has the nearest names.
    """
    try:
        return TRANSPORT_FAULTS[name]
    except KeyError:
        near = difflib.get_close_matches(name, TRANSPORT_FAULTS, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise LookupError(f"no transport fault is called {name!r}: {hint}--list-faults") from None


# What may be done to an answer.


def _sending(change: Callable[[Answer], bytes]) -> Spoil:
    """Send other bytes than the answer's, and keep the connection."""

    async def spoil(exchange: Exchange) -> None:
        await exchange.connection.send(change(await exchange.answer()))

    return spoil


def _answering(answer: Answer) -> Spoil:
    """Answer without asking the target."""
    return _answering_by(lambda _: answer)


def _answering_by(make: Callable[[Request], Answer]) -> Spoil:
    async def spoil(exchange: Exchange) -> None:
        await exchange.connection.send(make(exchange.request).whole)

    return spoil


def _ending(change: Callable[[Answer], bytes], *, reset: bool = False) -> Spoil:
    """Send other bytes than the answer's, then end the connection."""

    async def spoil(exchange: Exchange) -> None:
        await exchange.connection.send(change(await exchange.answer()))
        if reset:
            # What a reset overtakes is lost.
            await asyncio.sleep(0.1)
            exchange.connection.reset()
        else:
            exchange.connection.close()

    return spoil


async def _close(exchange: Exchange) -> None:
    exchange.connection.close()


async def _reset(exchange: Exchange) -> None:
    exchange.connection.reset()


async def _hold(exchange: Exchange) -> None:
    await exchange.connection.hold()


def _dripping(pieces: Callable[[Answer], Sequence[bytes]], pause: float) -> Spoil:
    async def spoil(exchange: Exchange) -> None:
        for piece in pieces(await exchange.answer()):
            await exchange.connection.send(piece)
            await asyncio.sleep(pause)

    return spoil


def _singly(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def _half(answer: Answer) -> bytes:
    return answer.head(len(answer.body)) + answer.body[: len(answer.body) // 2]


def _with_body(change: Callable[[bytes], bytes]) -> Spoil:
    return _sending(lambda answer: replace(answer, body=change(answer.body)).whole)


def _chunked(answer: Answer, chunks: bytes) -> bytes:
    return answer.having(("Transfer-Encoding", "chunked")).head(None) + chunks


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _page(title: str, status: str) -> Answer:
    head = f"<head><title>{title}</title></head>"
    text = f"<!DOCTYPE html>\n<html>{head}<body><h1>{title}</h1></body></html>\n"
    return Answer(text.encode(), status, (("Content-Type", "text/html"),))


def _refusal(status: str, **headers: str) -> Answer:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Answer(b"busy\n", status, (("Content-Type", "text/plain"), *named))


# Which requests a fault befalls.


def _after(requests: int) -> Callable[[Exchange], bool]:
    return lambda exchange: exchange.number > requests


def _one_in(requests: int) -> Callable[[Exchange], bool]:
    def strikes(exchange: Exchange) -> bool:
        return random.Random(_SEED * 1_000_003 + exchange.number).randrange(requests) == 0

    return strikes


def _time() -> list[TransportFault]:
    def fault(name: str, summary: str, spoil: Spoil, *words: str) -> TransportFault:
        return TransportFault(name, summary, "time", words, on_exchange=spoil)

    async def delayed(exchange: Exchange) -> None:
        answer = await exchange.answer()
        await asyncio.sleep(1.5)
        await exchange.connection.send(answer.whole)

    async def twice_delayed(exchange: Exchange) -> None:
        await _pass_on(exchange)
        await exchange.connection.hold()

    async def half_open(connection: Connection) -> None:
        await connection.hold_unread()

    return [
        replace(
            fault("delay", "holds every answer back for 1.5 s", delayed, "latency"),
            claimed_by="T4.1 Sequential Requests",
        ),
        fault(
            "drip",
            "sends the body of an answer byte by byte, two in a second",
            _dripping(lambda it: [it.head(len(it.body)), *_singly(it.body)], 0.5),
            "of its body came",
            "without an end",
        ),
        fault(
            "drip-of-headers",
            "sends an answer byte by byte from its first line on, two in a second",
            _dripping(lambda it: _singly(it.whole), 0.5),
            "no answer began",
        ),
        TransportFault(
            "half-open",
            "accepts connections and never reads",
            "time",
            ("no answer began", "hangs"),
            on_connection=half_open,
        ),
        fault("silent", "takes requests and never answers", _hold, "no answer began", "hangs"),
        fault(
            "silent-after-first",
            "answers the first request of a connection, no other",
            twice_delayed,
            "no answer began",
        ),
        replace(
            fault("short-pieces", "sends every answer in pieces of seven bytes", _short_pieces),
            borne=True,
        ),
    ]


async def _short_pieces(exchange: Exchange) -> None:
    whole = (await exchange.answer()).whole
    for at in range(0, len(whole), 7):
        await exchange.connection.send(whole[at : at + 7])
        await asyncio.sleep(0)


def _cuts() -> list[TransportFault]:
    def fault(name: str, summary: str, spoil: Spoil, *words: str) -> TransportFault:
        return TransportFault(name, summary, "cut", ("cut", *words), on_exchange=spoil)

    async def reset_at_once(connection: Connection) -> None:
        connection.reset()

    async def close_at_once(connection: Connection) -> None:
        connection.close()

    return [
        fault(
            "cut-in-body",
            "closes the connection in the middle of every body",
            _ending(_half),
            "bytes of its body",
        ),
        fault(
            "reset-in-body",
            "resets the connection in the middle of every body",
            _ending(_half, reset=True),
            "bytes of its body",
        ),
        fault(
            "cut-in-headers",
            "closes the connection in the middle of every answer's headers",
            _ending(lambda it: it.whole[: len(it.head(0)) // 2]),
            "before an answer began",
        ),
        fault("closed-unanswered", "closes instead of answering", _close, "before an answer began"),
        fault("reset-unanswered", "resets instead of answering", _reset, "before an answer began"),
        TransportFault(
            "closed-at-once",
            "closes connections as soon as they are there",
            "cut",
            ("cut", "before an answer began"),
            on_connection=close_at_once,
        ),
        TransportFault(
            "reset-at-once",
            "resets connections as soon as they are there",
            "cut",
            ("cut", "before an answer began"),
            on_connection=reset_at_once,
        ),
        fault(
            "chunks-without-end",
            "sends the body in chunks and closes before the last",
            _ending(lambda it: _chunked(it, _chunk(it.body[:20]) + _chunk(it.body[20:]))),
            "bytes of its body",
        ),
    ]


def _framing() -> list[TransportFault]:
    def fault(name: str, summary: str, spoil: Spoil, *words: str) -> TransportFault:
        return TransportFault(name, summary, "framing", words, on_exchange=spoil)

    def borne(name: str, summary: str, spoil: Spoil) -> TransportFault:
        return TransportFault(name, summary, "framing", on_exchange=spoil, borne=True)

    return [
        fault(
            "body-truncated",
            "sends the first half of the body as if it were all",
            _with_body(lambda body: body[: len(body) // 2]),
            "breaks off",
        ),
        fault(
            "length-too-long",
            "promises ten bytes more than it sends, and waits",
            _sending(lambda it: it.head(len(it.body) + 10) + it.body),
            "of its body came",
        ),
        fault(
            "length-too-short",
            "promises ten bytes less than it sends",
            _sending(lambda it: it.head(len(it.body) - 10) + it.body),
            "Content-Length",
        ),
        fault(
            "length-contradictory",
            "gives two lengths that differ",
            _sending(lambda it: it.having(("Content-Length", "7")).head(len(it.body)) + it.body),
            "Content-Length",
        ),
        fault(
            "length-not-a-number",
            "gives a length that is no number",
            _sending(lambda it: it.having(("Content-Length", "many")).head(None) + it.body),
            "Content-Length",
        ),
        fault(
            "length-and-chunks",
            "gives a length, and sends chunks of another",
            _ending(
                lambda it: (
                    it.having(("Transfer-Encoding", "chunked")).head(5)
                    + _chunk(it.body)
                    + b"0\r\n\r\n"
                )
            ),
            "Content-Length",
        ),
        fault(
            "chunk-size-broken",
            "sends a chunk whose size is no number",
            _ending(lambda it: _chunked(it, b"zz\r\n" + it.body + b"\r\n0\r\n\r\n")),
            "chunk",
        ),
        fault(
            "chunk-size-wrong",
            "sends a chunk that is longer than its size",
            _ending(lambda it: _chunked(it, b"5\r\n" + it.body + b"\r\n0\r\n\r\n")),
            "chunk",
        ),
        borne(
            "chunks-of-one-byte",
            "sends every body in chunks of one byte",
            _sending(lambda it: _chunked(it, b"".join(map(_chunk, [*_singly(it.body), b""])))),
        ),
        borne(
            "no-length",
            "leaves the length out and closes at the end",
            _ending(lambda it: it.head(None) + it.body),
        ),
        borne(
            "http-1.0",
            "answers by HTTP/1.0 and closes",
            _ending(lambda it: replace(it, version="HTTP/1.0").whole),
        ),
        borne(
            "early-hints",
            "sends an informational answer before every real one",
            _sending(lambda it: b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + it.whole),
        ),
    ]


def _twice() -> list[TransportFault]:
    async def request_twice(exchange: Exchange) -> None:
        await exchange.answer()
        await _pass_on(exchange)

    async def answer_again_later(exchange: Exchange) -> None:
        answer = await exchange.answer()
        await exchange.connection.send(answer.whole)
        await asyncio.sleep(0.001)
        await exchange.connection.send(answer.whole)

    return [
        TransportFault(
            "request-twice",
            "sends every request to the target twice, and the second answer back",
            "twice",
            on_exchange=request_twice,
            borne=True,
        ),
        TransportFault(
            "answer-twice",
            "sends every answer twice at once",
            "twice",
            on_exchange=_sending(lambda it: it.whole * 2),
            borne=True,
        ),
        TransportFault(
            "answer-again-later",
            "sends every answer again a moment later",
            "twice",
            ("another request's",),
            claimed_by=MANY,
            on_exchange=answer_again_later,
        ),
    ]


def _statuses() -> list[TransportFault]:
    def fault(name: str, summary: str, answer: Answer, *words: str) -> TransportFault:
        return TransportFault(name, summary, "status", words, on_exchange=_answering(answer))

    def seldom_busy(exchange: Exchange) -> bool:
        return exchange.number % 5 == 0

    def to_https(request: Request) -> Answer:
        location = ("Location", f"https://{request.host}{request.path}")
        return Answer(b"", "308 Permanent Redirect", (location,))

    def to_itself(request: Request) -> Answer:
        return Answer(b"", "307 Temporary Redirect", (("Location", request.path),))

    busy = "429 Too Many Requests"
    return [
        fault(
            "bad-gateway",
            "answers 502 in plain text",
            _refusal("502 Bad Gateway"),
            "502",
            "container",
        ),
        fault(
            "bad-gateway-page",
            "answers 502 and an HTML page",
            _page("502 Bad Gateway", "502 Bad Gateway"),
            "502",
            "HTML page titled",
        ),
        fault(
            "unavailable",
            "answers 503 and does not say when to come back",
            _refusal("503 Service Unavailable"),
            "503",
            "replica",
        ),
        fault(
            "unavailable-for-an-hour",
            "answers 503 and says to come back in an hour",
            _refusal("503 Service Unavailable", Retry_After="3600"),
            "503",
        ),
        fault(
            "gateway-timeout",
            "answers 504",
            _refusal("504 Gateway Timeout"),
            "504",
            "waited in vain",
        ),
        fault(
            "too-many-requests",
            "answers 429 and does not say when to come back",
            _refusal(busy),
            "429",
        ),
        fault(
            "too-many-requests-come-back",
            "answers 429 and says to come back in a moment, again and again",
            _refusal(busy, Retry_After="0.2"),
            "429",
            "tried again",
        ),
        TransportFault(
            "seldom-busy",
            "answers 429 to each fifth request and says to come back at once",
            "status",
            on_exchange=_answering(_refusal(busy, Retry_After="0")),
            strikes=seldom_busy,
            borne=True,
        ),
        fault(
            "page-as-200",
            "answers 200 and an HTML page",
            _page("Welcome", "200 OK"),
            "HTML page titled 'Welcome'",
        ),
        fault(
            "empty-200",
            "answers 200 without a body",
            Answer(b""),
            "empty body",
        ),
        fault(
            "no-content",
            "answers 204",
            Answer(b"", "204 No Content", ()),
            "204",
        ),
        fault(
            "redirect-to-login",
            "redirects to a login page",
            Answer(b"", "302 Found", (("Location", "https://login.example/oauth?next=x"),)),
            "302",
            "sign-in",
        ),
        TransportFault(
            "redirect-to-https",
            "redirects to https",
            "status",
            ("308", "write https"),
            on_exchange=_answering_by(to_https),
        ),
        TransportFault(
            "redirect-to-itself",
            "redirects to the address that was asked",
            "status",
            ("307", "the address that was asked"),
            on_exchange=_answering_by(to_itself),
        ),
    ]


def _content() -> list[TransportFault]:
    def fault(name: str, summary: str, spoil: Spoil, *words: str) -> TransportFault:
        return TransportFault(name, summary, "content", words, on_exchange=spoil)

    def said(name: str, value: str) -> Spoil:
        return _sending(lambda it: it.having((name, value)).whole)

    return [
        fault(
            "invalid-utf-8",
            "puts a byte into the JSON that no UTF-8 has",
            _with_body(lambda body: body.replace(b'": "', b'": "\xff', 1)),
            "not UTF-8",
        ),
        fault(
            "byte-order-mark",
            "puts a byte order mark before the JSON",
            _with_body(lambda body: b"\xef\xbb\xbf" + body),
            "byte order mark",
        ),
        fault(
            "json-in-quotes",
            "answers the JSON as one JSON string",
            _with_body(lambda body: json.dumps(body.decode()).encode()),
            "a string",
        ),
        fault(
            "gzip-claimed",
            "says that a body is compressed which is not",
            said("Content-Encoding", "gzip"),
            "Content-Encoding",
            "gzip",
        ),
        fault(
            "gzip-truncated",
            "compresses the body and loses the end of it",
            _sending(_half_of_gzip),
            "breaks off",
        ),
        fault(
            "headers-garbled",
            "sends a header line that is none",
            _sending(lambda it: it.whole.replace(b"\r\n", b"\r\n\x01 garbage \xfe\r\n", 1)),
            "not HTTP",
        ),
        fault(
            "headers-huge",
            "sends a header of 100 KB",
            said("X-Trace", "x" * 100_000),
            "header",
            "longer than",
        ),
        fault(
            "not-http",
            "answers as an SSH server does",
            _ending(lambda _: b"SSH-2.0-OpenSSH_9.2\r\n"),
            "not HTTP",
        ),
    ]


def _half_of_gzip(answer: Answer) -> bytes:
    packed = gzip.compress(answer.body)
    packed = packed[: len(packed) // 2]
    return replace(answer, body=packed).having(("Content-Encoding", "gzip")).whole


def _tls() -> list[TransportFault]:
    async def plain_error(connection: Connection) -> None:
        await connection.read_some()
        await connection.send(Answer(b"Bad Request\n", "400 Bad Request").whole)

    async def cut(connection: Connection) -> None:
        await connection.read_some()
        connection.reset()

    return [
        TransportFault(
            "tls-unknown-authority",
            "speaks TLS with a certificate that an unknown authority issued",
            "tls",
            ("certificate was rejected", "CA_BUNDLE"),
            scheme="https",
            speaks_tls=True,
        ),
        TransportFault(
            "tls-on-plain-port",
            "speaks TLS where the URL says http",
            "tls",
            ("cut before an answer began", "TLS"),
            speaks_tls=True,
        ),
        TransportFault(
            "plain-on-tls-port",
            "speaks plain http where the URL says https",
            "tls",
            ("TLS handshake failed", "write http://"),
            on_connection=plain_error,
            scheme="https",
        ),
        TransportFault(
            "tls-cut",
            "resets the connection in the middle of the TLS handshake",
            "tls",
            ("cut while it was set up",),
            on_connection=cut,
            scheme="https",
        ),
        TransportFault(
            "tls-silent",
            "never answers in a TLS handshake",
            "tls",
            ("TLS handshake was not done",),
            on_connection=Connection.hold,
            scheme="https",
        ),
    ]


def _sometimes() -> list[TransportFault]:
    """Return faults that most requests don't meet."""

    def fault(
        name: str,
        summary: str,
        spoil: Spoil,
        strikes: Callable[[Exchange], bool],
        *words: str,
        claimed_by: str = MANY,
    ) -> TransportFault:
        return TransportFault(name, summary, "sometimes", words, claimed_by, spoil, strikes)

    async def cut_when_large(exchange: Exchange) -> None:
        answer = await exchange.answer()
        if len(answer.body) <= _LARGE:
            await exchange.connection.send(answer.whole)
            return
        await exchange.connection.send(answer.head(len(answer.body)) + answer.body[:_LARGE])
        exchange.connection.close()

    async def shortened_when_large(exchange: Exchange) -> None:
        answer = await exchange.answer()
        await exchange.connection.send(replace(answer, body=answer.body[:_LARGE]).whole)

    def large_request(exchange: Exchange) -> bool:
        return len(exchange.request.body) > _LARGE

    one_in_50 = _one_in(50)
    return [
        fault("1-in-50-cut", "cuts one body in 50", _ending(_half), one_in_50, "cut"),
        fault("1-in-50-unanswered", "closes unanswered one in 50", _close, one_in_50, "cut"),
        fault(
            "1-in-50-bad-gateway",
            "answers 502 to one request in 50",
            _answering(_refusal("502 Bad Gateway")),
            one_in_50,
            "502",
        ),
        fault(
            "1-in-50-silent",
            "never answers one request in 50",
            _hold,
            one_in_50,
            "no answer began",
        ),
        fault(
            "1-in-50-other-byte",
            "changes a byte in one answer in 50",
            _with_body(_other_digit),
            one_in_50,
            "stdout",
        ),
        fault(
            "after-40-cut", "cuts every body from request 41 on", _ending(_half), _after(40), "cut"
        ),
        fault("after-40-silent", "answers no request from the 41st on", _hold, _after(40), "time"),
        fault(
            "after-40-redirected",
            "redirects to a login page from request 41 on",
            _answering(Answer(b"", "302 Found", (("Location", "/login"),))),
            _after(40),
            "302",
        ),
        fault(
            "kept-connection-closed",
            "closes a connection as its second request comes in",
            _close,
            lambda exchange: exchange.turn > 1,
            "cut before an answer began",
            "keep-alive",
            claimed_by=FIRST,
        ),
        fault(
            "kept-connection-reset",
            "resets a connection as its second request comes in",
            _reset,
            lambda exchange: exchange.turn > 1,
            "cut before an answer began",
            "keep-alive",
            claimed_by=FIRST,
        ),
        fault(
            "second-connection-unanswered",
            "answers nothing on its second connection",
            _close,
            lambda exchange: exchange.connection.number == 2,
            "cut before an answer began",
        ),
        fault(
            "large-answers-cut",
            "closes after 64 KiB of a body",
            cut_when_large,
            _always,
            "bytes of its body",
            claimed_by=LARGE,
        ),
        fault(
            "large-answers-shortened",
            "leaves out what follows the first 64 KiB of a body",
            shortened_when_large,
            _always,
            "breaks off",
            claimed_by=LARGE,
        ),
        fault(
            "large-requests-reset",
            "resets instead of answering a request of more than 64 KiB",
            _reset,
            large_request,
            "cut before an answer began",
            claimed_by="Stdin As Large As The Service Takes Arrives Whole",
        ),
    ]


def _other_digit(body: bytes) -> bytes:
    """Return a body with another digit in what the program printed, still JSON."""
    at = re.search(rb'"stdout": ?"[^"]*?([0-8])', body)
    if at is None:
        return body
    return body[: at.start(1)] + b"9" + body[at.end(1) :]


TRANSPORT_FAULTS: Mapping[str, TransportFault] = {
    fault.name: fault
    for fault in (
        *_time(), *_cuts(), *_framing(), *_twice(), *_statuses(), *_content(), *_tls(),
        *_sometimes(),
    )
}  # fmt: skip
"""All transport faults by name."""
