"""Redeeming under load: each code once, every answer whole, and tokens that verify, or nothing is called measured."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench import redeeming
from bench.load import CODE, Job, Outcome, carry_out
from bench.result import Unmeasured

WHOLE = {"access_token": "a", "id_token": "i", "refresh_token": "r"}


class Endpoint(ThreadingHTTPServer):
    """Answers with what it is given and a token of its own; `codes` are those that came."""

    def __init__(self, answer: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.codes: list[str] = []


class Handler(BaseHTTPRequestHandler):
    """One request after the other of a connection."""

    protocol_version = "HTTP/1.1"
    server: Endpoint

    def do_POST(self) -> None:
        """Take the body for a code."""
        code = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.codes.append(code)
        own = (
            {"access_token": f"{self.server.answer['access_token']}-{code}"}
            if self.server.answer["access_token"]
            else {}
        )
        body = json.dumps({**self.server.answer, **own}, separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def answering(answer: dict[str, str]) -> Iterator[Endpoint]:
    """Until the end of the block."""
    with Endpoint(answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()


def load(server: Endpoint, codes: tuple[str, ...]) -> Outcome:
    """All of them over four connections."""
    request = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(codes[0])}\r\n\r\n{CODE}"
    job = Job("127.0.0.1", server.server_port, request, len(codes), 4, codes=codes, expects=redeeming.EXPECTED)
    return asyncio.run(carry_out(job))


def test_every_code_is_sent_once() -> None:
    """Over all connections; the last answer is handed back whole."""
    codes = tuple(f"{number:03}" for number in range(50))
    with answering(WHOLE) as server:
        outcome = load(server, codes)
    assert sorted(server.codes) == list(codes)
    assert json.loads(outcome.answer).keys() == WHOLE.keys()


@pytest.mark.parametrize("without", [*WHOLE])
@pytest.mark.parametrize("change", ["missing", "empty"])
def test_an_answer_without_one_of_its_tokens_ends_the_run(without: str, change: str) -> None:
    """A server that leaves one out would be fast."""
    answer = {**WHOLE, without: ""}
    if change == "missing" and without != "access_token":
        del answer[without]
    with answering(answer) as server, pytest.raises(RuntimeError, match=without):
        load(server, ("000", "001"))


def test_our_own_server_redeems_codes_that_were_made_for_it_and_each_of_them_once() -> None:
    """Tokens that verify; the same codes again are an error of the load, not a measurement."""
    with redeeming.ours(None, 8) as target:
        codes = list(target.codes)
        round_ = redeeming.redeem(target, 8)
        assert (round_.count, target.codes) == (8, [])
        target.codes = codes
        with pytest.raises(Unmeasured, match="not a 200"):
            redeeming.redeem(target, 8)


def test_tokens_that_do_not_verify_are_not_taken_for_work() -> None:
    """Not by another key, for another audience, or of another request."""
    with redeeming.ours(None, 2) as target:
        answers = [json.loads(redeeming.redeem(target, 1).outcome.answer) for _ in range(2)]
        good, other = answers
        redeeming.must_be_genuine(target, good)
        for spoiled in (
            {**good, "access_token": good["id_token"]},
            {**good, "id_token": good["access_token"]},
            {**good, "id_token": good["id_token"][:-6] + other["id_token"][-6:]},
        ):
            with pytest.raises(Unmeasured):
                redeeming.must_be_genuine(target, spoiled)
