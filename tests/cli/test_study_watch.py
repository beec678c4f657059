"""`hexgate study watch` as a process: beside a study that runs, is killed and goes on, and against strange requests."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from hexgate.cli.studies.watch_http import WatchServer, host_allowed
from hexgate.cli.studies.watch_view import LiveStudy
from hexgate.errors import ExitCode, InputError
from hexgate.study.design import make_plan
from hexgate.study.items import read_cells
from hexgate.study.ledger import Ledger
from hexgate.study.rating.documents import reference_document
from hexgate.study.rating.rated import freeze_model
from hexgate.study.reading import read_study
from hexgate.study.spec_file import read_spec
from support.command import Ended
from support.rated_studies import RATING, made_study, rated_spec
from support.served import served
from support.studies import write_study

PATIENCE_S = 60.0
MODEL = "hexgate-demo-lm"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


class Watching:
    """A server that was started."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.process = started("watch", str(folder), *more)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.process.communicate()
        self.port = int(urlsplit(self.url).port or 0)

    def ask(self, path: str, method: str = "GET", host: str | None = None) -> tuple[int, dict[str, str], str]:
        """Status, headers by small names, and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.putrequest(method, path, skip_host=host is not None)
            if host:
                connection.putheader("Host", host)
            connection.endheaders()
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, answer.read().decode()
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        code, _, body = self.ask("/status.json")
        assert code == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    def wait_for(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while not what(found := self.status()):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(how)
        _, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, err


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hexgate", "study", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "HEXGATE_LANG": "en"},
    )


def wait_for_lines(process: subprocess.Popen[str], path: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def watch() -> Iterator[Callable[..., Watching]]:
    running: list[Watching] = []

    def begin(folder: Path, *more: str) -> Watching:
        running.append(Watching(folder, *more))
        return running[-1]

    yield begin
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def test_it_follows_a_study_that_begins_is_killed_and_goes_on(
    tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    out = tmp_path / "out"
    with served() as origin:
        models = [{"name": "chat", "target": f"{origin}/v1", "model": MODEL}]
        path = write_study(tmp_path, models=models, runs=8)
        spec = read_spec(path)
        plan = make_plan(spec, read_cells(spec))
        with Ledger(out, spec, plan):
            """The folder as it is before the first run."""
        watched = watch(out)
        begun = watched.status()
        assert (begun["state"], begun["done"], begun["left"]) == ("not_begun", 0, len(plan.runs))
        assert begun["runs_per_hour"] is None
        assert begun["missing"]["left_seconds"]
        assert "<html" in watched.ask("/")[2]

        study = started("run", str(path), "--out", str(out))
        wait_for_lines(study, out / "runs.jsonl", 5)
        study.kill()
        study.communicate()
        going = watched.wait_for(lambda found: found["done"] >= 5)
        assert going["state"] == "begun"
        assert going["runs_per_hour"] > 0
        assert going["left_seconds"] > 0
        assert going["last_run"]["model"] == "chat"
        assert (going["energy_j"] is None) == ("energy_j" in going["missing"])
        assert going["left"] > 0

        again = started("run", str(path), "--out", str(out), "--quiet")
        _, err = again.communicate(timeout=PATIENCE_S)
        assert again.returncode == ExitCode.OK, err
        over = watched.wait_for(lambda found: found["state"] == "over")
        assert (over["done"], over["left"], over["failed"]) == (len(plan.runs), 0, 0)
        assert over["visits"] == []
        assert over["ledger_grew_at"]
        page = watched.ask("/?lang=zh")
        assert page[0] == 200
        assert 'lang="zh' in page[2]
    code, err = watched.end()
    assert code == ExitCode.OK
    assert "Traceback" not in err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told_to(
    tmp_path: Path, watch: Callable[..., Watching], how: signal.Signals
) -> None:
    watched = watch(made_study(tmp_path))
    watched.status()
    code, err = watched.end(how)
    assert code == ExitCode.OK
    assert err.strip() == "Ctrl-C ends."


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    found = Watching(made_study(tmp_path_factory.mktemp("study"), models=("big", "../<b>&模型")))
    yield found
    found.end(signal.SIGTERM)


class TestServed:
    """One server of a study that is over, asked in every way."""

    def test_nothing_is_kept_nothing_is_framed_and_nothing_is_taken_from_elsewhere(
        self, watched: Watching
    ) -> None:
        for path in ("/", "/status.json", "/label/big.svg", "/nowhere"):
            _, headers, body = watched.ask(path)
            assert headers["cache-control"] == "no-store"
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "access-control-allow-origin" not in headers
            assert "python" not in headers["server"].lower()
            assert int(headers["content-length"]) == len(body.encode())

    def test_labels_are_served_by_the_names_of_their_files_and_of_their_models(
        self, watched: Watching
    ) -> None:
        code, headers, body = watched.ask("/label/big.svg?lang=zh")
        assert code == 200
        assert headers["content-type"].startswith("image/svg+xml")
        ET.fromstring(body)  # noqa: S314 - our own
        assert "回答能效" in body
        code, _, strange = watched.ask(f"/label/{quote('../<b>&模型', safe='')}.svg")
        assert code == 200
        assert "<b>" not in strange
        assert "&lt;b&gt;&amp;模型" in strange

    @pytest.mark.parametrize(
        "path",
        ["/nowhere", "/label/nobody.svg", "/label/..%2f..%2fetc%2fpasswd.svg", "/../runs.jsonl", "/data/"],
    )
    def test_there_is_nothing_else(self, watched: Watching, path: str) -> None:
        assert watched.ask(path)[0] == 404

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
    def test_nothing_but_reading_is_allowed(self, watched: Watching, method: str) -> None:
        code, headers, _ = watched.ask("/status.json", method)
        assert code == 405
        assert headers["allow"] == "GET, HEAD"

    def test_a_head_has_no_body(self, watched: Watching) -> None:
        code, headers, body = watched.ask("/", "HEAD")
        assert (code, body) == (200, "")
        assert int(headers["content-length"]) > 0

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", ""]
    )
    def test_a_name_that_is_not_of_this_machine_is_not_answered(self, watched: Watching, host: str) -> None:
        code, _, body = watched.ask("/status.json", host=host)
        assert code == 421
        assert "planned" not in body

    @pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1", "[::1]:80"])
    def test_its_own_names_are_answered(self, watched: Watching, host: str) -> None:
        assert watched.ask("/status.json", host=host)[0] == 200

    def test_a_reader_that_goes_away_and_one_that_says_nonsense_do_no_harm(self, watched: Watching) -> None:
        import socket

        for said in (
            b"",
            b"GET /\r\n\r\n",
            b"\x00\xff\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET " + b"/" * 70000,
        ):
            with socket.create_connection(("127.0.0.1", watched.port), timeout=PATIENCE_S) as line:
                line.sendall(said)
                line.shutdown(socket.SHUT_WR)
                try:
                    answer = line.recv(1 << 16)
                except ConnectionError:
                    answer = b""
                assert b"planned" not in answer
        assert watched.status()["state"] == "over"


@pytest.mark.parametrize(
    ("header", "bound", "expected"),
    [
        ("localhost:8000", "127.0.0.1", True),
        ("LOCALHOST.", "127.0.0.1", True),
        ("a.localhost", "127.0.0.1", True),
        ("[::1]", "127.0.0.1", True),
        ("127.0.0.2:1", "127.0.0.1", True),
        ("evil.example", "127.0.0.1", False),
        ("user@localhost", "127.0.0.1", False),
        ("localhost/", "127.0.0.1", False),
        ("localhost:port", "127.0.0.1", False),
        ("[::1", "127.0.0.1", False),
        ("192.0.2.7", "127.0.0.1", False),
        ("192.0.2.7:8000", "0.0.0.0", True),
        ("evil.example", "0.0.0.0", False),
        ("box.example:80", "box.example", True),
        ("", "0.0.0.0", False),
    ],
)
def test_which_hosts_are_answered(header: str, bound: str, expected: bool) -> None:
    assert host_allowed(header, bound) is expected


def test_a_study_is_not_read_again_before_its_time_and_then_once(tmp_path: Path) -> None:
    folder = made_study(tmp_path)
    patient, eager = LiveStudy(folder, every_s=3600.0), LiveStudy(folder, every_s=0.0)
    assert patient.status()["done"] == eager.status()["done"] == 80
    runs = folder / "runs.jsonl"
    runs.write_bytes(b"".join(runs.read_bytes().splitlines(keepends=True)[:-3]))
    assert patient.status()["done"] == 80
    deadline = time.monotonic() + PATIENCE_S
    while eager.status()["done"] == 80:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert eager.status()["done"] == 77


def test_the_times_of_a_status_are_those_of_its_counts(tmp_path: Path) -> None:
    folder = made_study(tmp_path, questions=2)
    study = LiveStudy(folder, every_s=3600.0)
    first = study.status()
    os.utime(folder / "runs.jsonl", (0, 0))
    assert study.status() == first


def test_another_frozen_reference_is_seen(tmp_path: Path) -> None:
    reading = read_study(made_study(tmp_path / "first"))
    frozen = reference_document(reading, freeze_model(reading, "big"))
    path = tmp_path / "reference.json"
    path.write_text(json.dumps(frozen), "utf-8")
    rating = {**RATING, "reference": str(path)}
    study = LiveStudy(made_study(tmp_path / "second", models=("small",), rating=rating), every_s=0.0)
    before = study.label("small", "en")
    path.write_text(json.dumps({**frozen, "joules_per_accepted": 400.0}), "utf-8")
    deadline = time.monotonic() + PATIENCE_S
    while study.label("small", "en") == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_study_that_cannot_be_read_is_not_read_at_once_again(tmp_path: Path) -> None:
    folder = made_study(tmp_path, questions=2)
    kept = (folder / "study.json").read_bytes()
    (folder / "study.json").unlink()
    patient, eager = LiveStudy(folder, every_s=3600.0), LiveStudy(folder, every_s=0.0)
    for one in (patient, eager):
        with pytest.raises(InputError, match="holds no study"):
            one.status()
    (folder / "study.json").write_bytes(kept)
    with pytest.raises(InputError, match="holds no study"):
        patient.page("en")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            assert eager.status()["done"] == 4
            break
        except InputError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_without_a_study_or_beyond_this_machine_it_does_not_begin(
    tmp_path: Path, call: Callable[..., Ended]
) -> None:
    nowhere = call("study", "watch", tmp_path)
    assert nowhere.code == ExitCode.INPUT
    assert "holds no study" in nowhere.err
    folder = made_study(tmp_path)
    open_to_all = call("study", "watch", folder, "--host", "0.0.0.0")
    assert open_to_all.code == ExitCode.INPUT
    assert "--expose" in open_to_all.err
    taken = call("study", "watch", folder, "--host", "203.0.113.7", "--expose")
    assert taken.code == ExitCode.INPUT
    assert "cannot listen" in taken.err


def test_a_study_that_says_nothing_of_ratings_has_no_labels(
    tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    folder = made_study(tmp_path, rating=None)
    watched = watch(folder)
    code, _, body = watched.ask("/label/big.svg")
    assert code == 503
    assert "does not say how its models are rated" in body
    watched.end()
    with_block = watch(folder, "--spec", str(rated_spec(tmp_path)))
    assert with_block.ask("/label/big.svg")[0] == 200


def test_a_ledger_that_is_spoiled_is_told_and_not_shown(
    tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    folder = made_study(tmp_path)
    watched = watch(folder)
    with (folder / "runs.jsonl").open("ab") as file:
        file.write(b"nonsense\n")
    deadline = time.monotonic() + PATIENCE_S
    while (answer := watched.ask("/status.json"))[0] == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert answer[0] == 503
    assert "runs.jsonl" in answer[2]


def test_many_readers_at_once_are_not_turned_away(tmp_path: Path) -> None:
    study = LiveStudy(made_study(tmp_path, questions=1))
    with WatchServer(study, "127.0.0.1", 0, "en") as server, ExitStack() as readers:
        # It does not serve yet, as if it were busy: who comes has to wait, and is not dropped.
        for _ in range(40):
            readers.enter_context(
                socket.create_connection(("127.0.0.1", server.server_port), timeout=PATIENCE_S / 20)
            )
