from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from hexgate.meters import listener
from hexgate.meters.listener import listening_pids
from hexgate.meters.server import find_server
from support.process_trees import process_tree

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


def _can_listen(host: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6) as link:
            link.bind((host, 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("bound", "asked"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("0.0.0.0", "127.0.0.1"),
        ("::1", "[::1]"),
        ("::", "127.0.0.1"),
    ],
)
def test_server_is_found_by_its_port(bound: str, asked: str) -> None:
    if ":" in bound and not _can_listen(bound):
        pytest.skip("this machine has no IPv6")
    with process_tree(host=bound) as server:
        assert listening_pids(f"http://{asked}:{server.port}/v1") == (server.pid,)


def test_workers_that_share_the_socket_are_part_of_their_parent() -> None:
    with process_tree(children=2, host="127.0.0.1", children_close=False) as server:
        assert listening_pids(f"http://127.0.0.1:{server.port}") == (server.pid,)


def test_another_address_with_the_same_port_is_not_the_server() -> None:
    with process_tree(host="127.0.0.2") as other:
        found = listening_pids(f"http://127.0.0.1:{other.port}")
    assert isinstance(found, str)
    assert "nothing listens" in found


def test_port_that_nobody_holds() -> None:
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))  # bound, and not listening
        found = listening_pids(f"http://127.0.0.1:{link.getsockname()[1]}")
    assert isinstance(found, str)
    assert "--server-pid" in found


def test_target_elsewhere() -> None:
    assert listening_pids("http://192.0.2.1:8000") == "the target is not on this machine"


def test_program_that_only_passes_requests_on_is_not_taken_for_the_server() -> None:
    with process_tree(host="127.0.0.1", comm="docker-proxy") as proxy:
        found = listening_pids(f"http://127.0.0.1:{proxy.port}")
    assert isinstance(found, str)
    assert "docker-proxy holds port" in found


def test_server_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_holds", lambda *_: False)
    with process_tree(host="127.0.0.1") as server:
        found = listening_pids(f"http://127.0.0.1:{server.port}")
    assert isinstance(found, str)
    assert "belongs to someone else" in found


def test_process_that_measures_itself_is_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as link:
        url = f"http://127.0.0.1:{link.getsockname()[1]}"
        assert find_server(None, url, os.getpid() + 1) == (os.getpid(),)
        assert "measuring process" in find_server(None, url, os.getpid())


def test_named_process() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert find_server(os.getpid(), None, None) == (os.getpid(),)
    assert find_server(done.pid, None, None) == f"there is no process {done.pid} on this machine"
