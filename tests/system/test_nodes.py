"""Two nodes behind nginx: a choice on one is valid on the other, purges and revoked keys reach
both, and the receipts of both stand in one log.
"""

from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from proxy.cookies.signing_keys import make_key
from tests.support.commands import run
from tests.support.guarded import guarded
from tests.support.nginx import nginx_program
from tests.support.ports import free_ports
from tests.support.postgresql import Server, postgresql
from tests.support.processes import Process, ask, running
from tests.support.receipt_clients import choose, receipt_id_of
from tests.support.receipts_under_kill import receipts_table
from tests.support.receipts_under_kill import run as choose_while_killing
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow


class CountingOrigin(BaseHTTPRequestHandler):
    """A file that may be stored, and says how often it was asked for."""

    protocol_version = "HTTP/1.1"
    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        body = str(self.requests).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Cache-Control", "public, max-age=3600")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@dataclass(frozen=True)
class Node:
    process: Process
    config: Path
    port: int


@dataclass(frozen=True)
class Nodes:
    first: Node
    second: Node
    front: int
    """nginx's port: it asks the nodes in turn."""
    database: Server

    @property
    def both(self) -> tuple[Node, Node]:
        return self.first, self.second


@contextlib.contextmanager
def nginx_before(folder: Path, ports: list[int]) -> Iterator[int]:
    (port,) = free_ports(1)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    servers = " ".join(f"server 127.0.0.1:{one};" for one in ports)
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; events {{}} http {{ access_log off; "
        f"{temporary} upstream nodes {{ {servers} }} server {{ listen 127.0.0.1:{port}; "
        "location / { proxy_pass http://nodes; proxy_set_header Host $host; "
        "proxy_set_header X-Forwarded-For $remote_addr; } } }\n"
    )
    command = [nginx_program(), "-c", str(file), "-p", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    with guarded(process):
        try:
            yield port
        finally:
            process.terminate()
            process.wait(PATIENCE)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("nodes")
    with postgresql() as server, contextlib.ExitStack() as stack:
        url = server.new_database()
        (folder / "a/keys").mkdir(parents=True)
        make_key(folder / "a/keys", datetime.datetime.now(datetime.UTC))
        (folder / "b").mkdir()
        shutil.copytree(folder / "a/keys", folder / "b/keys")
        found = []
        for name in ("a", "b"):
            more = receipts_table(url, folder)
            started = running(folder / name, 2, more=more, origin=CountingOrigin)
            process, config, _, port = stack.enter_context(started)
            found.append(Node(process, config, port))
        front = stack.enter_context(nginx_before(folder, [one.port for one in found]))
        found_nodes = Nodes(found[0], found[1], front, server)
        until(lambda: ask_front(front, "/")[0] == 200)
        yield found_nodes
        for one in found:
            assert "Traceback" not in one.process.log
            assert one.process.stop() == 0


def ask_front(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    try:
        status, body, _ = ask(port, path, **headers)
    except (OSError, http.client.HTTPException):
        return 0, b""
    return status, body


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def cookie_of_a_choice(port: int) -> str:
    _, _, cookies = ask(
        port, "/.consent/choice", Sec_Fetch_Site="same-origin",
        Content_Type="application/x-www-form-urlencoded",
    )  # fmt: skip
    return cookies[0].partition(";")[0]


def decided(port: int, cookie: str) -> bool:
    state = json.loads(ask(port, "/.consent/state", Cookie=cookie)[1])
    return bool(state["categories"]["analytics"])


def shown(node: Node, receipt_id: str) -> bool:
    done = run("receipts", "show", receipt_id, "--config", node.config)
    assert done.exit_code == 0 or "there is no such receipt" in done.output, done.output
    return done.exit_code == 0


def test_a_choice_on_one_node_is_valid_on_the_other(nodes: Nodes) -> None:
    for here, there in ((nodes.first, nodes.second), (nodes.second, nodes.first)):
        cookie = cookie_of_a_choice(here.port)
        assert decided(there.port, cookie)
    assert all(decided(nodes.front, cookie) for _ in range(6))


def test_the_receipts_of_both_stand_in_one_log(nodes: Nodes, tmp_path: Path) -> None:
    ids = [choose(one.port, "accept_all") for one in nodes.both * 3]
    ids.append(choose(nodes.front, "reject_all"))
    assert all(ids)
    until(lambda: all(shown(nodes.first, one) for one in ids))
    for one in nodes.both:
        assert run("receipts", "verify", "--config", one.config).exit_code == 0
    checkpoints = {ask(one.port, "/.consent/log/checkpoint")[1] for one in nodes.both}
    assert len(checkpoints) == 1
    export = tmp_path / "log.jsonl"
    done = run("receipts", "export", "--config", nodes.second.config, "-o", export)
    assert done.exit_code == 0, done.output
    key = run("receipts", "key", "--config", nodes.first.config).stdout.strip()
    (tmp_path / "note").write_bytes(checkpoints.pop())
    done = run("receipts", "verify", export, "--key", key, "--checkpoint", tmp_path / "note")
    assert done.exit_code == 0, done.output
    for form in ("csv", "jsonld"):
        done = run("receipts", "export", "--config", nodes.first.config, "--format", form)
        assert all(one in done.stdout for one in ids)


def test_a_visitor_has_the_receipt_on_every_node(nodes: Nodes) -> None:
    cookie = cookie_of_a_choice(nodes.first.port)
    receipt_id = receipt_id_of(cookie.partition("=")[2])
    until(lambda: ask_front(nodes.second.port, "/.consent/receipt", Cookie=cookie)[0] == 200)
    assert receipt_id.encode() in ask_front(nodes.front, "/.consent/receipt", Cookie=cookie)[1]
    connection = http.client.HTTPConnection("127.0.0.1", nodes.second.port, timeout=30)
    connection.request(
        "POST", "/.consent/receipt", "action=erase",
        {
            "Host": "www.example.com", "Sec-Fetch-Site": "same-origin", "Cookie": cookie,
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )  # fmt: skip
    assert connection.getresponse().status == 303
    connection.close()
    # The node that was asked knows at once, the other with the next batch.
    assert ask_front(nodes.second.port, "/.consent/receipt", Cookie=cookie)[0] == 404
    until(lambda: ask_front(nodes.first.port, "/.consent/receipt", Cookie=cookie)[0] == 404)
    assert run("receipts", "verify", "--config", nodes.first.config).exit_code == 0


def test_an_operator_erases_on_any_node(nodes: Nodes) -> None:
    receipt_id = choose(nodes.first.port, "accept_all")
    until(lambda: shown(nodes.second, receipt_id))
    done = run("receipts", "erase", receipt_id, "--config", nodes.second.config)
    assert done.exit_code == 0, done.output
    assert not shown(nodes.first, receipt_id)


def test_a_purge_reaches_both(nodes: Nodes) -> None:
    def stored(node: Node) -> set[bytes]:
        """What the node's workers have; a connection goes to one of them."""
        return {ask(node.port, "/file")[1] for _ in range(12)}

    before = [stored(one) for one in nodes.both]
    assert [stored(one) <= had for one, had in zip(nodes.both, before, strict=True)] == [True] * 2
    done = run("purge", "www.example.com/file", "--config", nodes.first.config)
    assert done.exit_code == 0, done.output
    assert "on all nodes" in done.stdout
    for one, had in zip(nodes.both, before, strict=True):
        until(lambda one=one, had=had: not stored(one) & had)  # type: ignore[misc]


def test_without_the_database(nodes: Nodes) -> None:
    """Choices are recorded, and a purge says that the others do not know of it."""
    nodes.database.kill()
    try:
        ids = [choose(one.port, "accept_all") for one in nodes.both * 2]
        assert all(ids)
        cookie = cookie_of_a_choice(nodes.first.port)
        assert decided(nodes.second.port, cookie)
        began = time.monotonic()
        assert ask(nodes.first.port, "/.consent/preferences", Cookie=cookie)[0] == 200
        assert ask(nodes.second.port, "/.consent/receipt", Cookie=cookie)[0] == 503
        assert time.monotonic() - began < PATIENCE
        done = run("purge", "*", "--config", nodes.first.config)
        assert done.exit_code == 1
        assert "purged on this node, and not on the others: postgresql://consent@" in done.output
        nodes.first.process.wait_for("receipts wait in the outbox, and choices are recorded there")
    finally:
        nodes.database.start()
    until(lambda: all(shown(nodes.first, one) for one in ids))
    assert run("receipts", "verify", "--config", nodes.first.config).exit_code == 0


def test_a_database_that_does_not_answer_delays_no_choice(nodes: Nodes) -> None:
    nodes.database.pause()
    try:
        ids = [choose(one.port, "accept_all") for one in nodes.both * 4]
        assert all(ids)
        assert ask(nodes.first.port, "/.consent/log/checkpoint")[0] == 503
        began = time.monotonic()
        assert choose(nodes.first.port, "reject_all")
        assert time.monotonic() - began < 10
    finally:
        nodes.database.go_on()
    until(lambda: all(shown(nodes.second, one) for one in ids))


def test_a_revoked_key_counts_on_no_node(nodes: Nodes) -> None:
    cookie = cookie_of_a_choice(nodes.first.port)
    assert all(decided(one.port, cookie) for one in nodes.both)
    keys = json.loads(ask(nodes.first.port, "/.consent/jwks.json")[1])["keys"]
    kid = keys[0]["kid"]
    done = run("keys", "revoke", kid, "--config", nodes.first.config)
    assert done.exit_code == 0, done.output
    assert "All nodes take it from the database" in done.stdout
    for one in nodes.both:
        until(lambda one=one: not any(decided(one.port, cookie) for _ in range(12)))  # type: ignore[misc]
    nodes.second.process.wait_for(f"another node revoked the key {kid}")


def test_each_yes_has_its_receipt_while_everything_is_killed(tmp_path: Path) -> None:
    outcome = choose_while_killing(400, tmp_path, kills=6)
    assert outcome.problems == []
    assert len(outcome.promised) == 400
    assert outcome.kills == {"database": 2, "worker": 4}
    assert outcome.checkpoints
