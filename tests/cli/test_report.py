"""`hexgate report`: what was judged, in other forms, and only that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import httpx
import pytest

from hexgate.contract.artifact import Artifact, read_artifact
from support.artifacts import artifact
from support.gate import put, put_all
from support.measuring import HELD_OUT, forge, measured
from support.prometheus import pushgateway
from support.vendor_server import Fault, Reply, Seen, VendorServer

POLICY = """
version: 1
name: release
rules:
  - {indicator: accuracy_f1, measure: f1, at_least: 0.75}
evidence: {recompute: false, require_evidence_files: false, max_age_hours: 876000}
"""


@pytest.fixture
def judged(tmp_path: Path, call) -> Path:
    """A folder of six artifacts with their verdict beside it."""
    folder = put_all(tmp_path / "out")
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    ended = call("gate", folder, "--policy", tmp_path / "policy.yaml", "--json", tmp_path / "verdict.json")
    assert ended.code == 0, ended.err
    return folder


def samples(path: Path) -> dict[str, float]:
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_every_form_of_a_verdict_that_lies_above_the_folder(judged: Path, tmp_path: Path, call) -> None:
    forms = {"--html": "r.html", "--markdown": "r.md", "--junit": "r.xml", "--prometheus": "r.prom"}
    flags = [part for flag, name in forms.items() for part in (flag, tmp_path / name)]
    ended = call("report", judged, *flags)
    assert ended.code == 0, ended.err
    assert all((tmp_path / name).stat().st_size > 500 for name in forms.values())
    again = tmp_path / "gate.html"
    verdict = tmp_path / "verdict.json"
    assert call("report", judged, "--verdict", verdict, "--html", again).code == 0
    assert again.read_bytes() == (tmp_path / "r.html").read_bytes()


def test_figures_have_samples_and_what_is_not_known_has_none(judged: Path, tmp_path: Path, call) -> None:
    assert call("report", judged, "--prometheus", tmp_path / "r.prom").code == 0
    found = samples(tmp_path / "r.prom")
    f1 = [name for name in found if name.startswith("hexgate_measure{") and 'measure="f1"' in name]
    assert [found[name] for name in f1] == [0.905]
    assert 'unit="ratio"' in f1[0]
    assert not any('measure="ttft_p99_ms"' in name for name in found), "nothing was streamed"
    verdicts = {name: value for name, value in found.items() if name.startswith("hexgate_verdict{")}
    assert sum(verdicts.values()) == 1.0
    assert next(name for name, value in verdicts.items() if value).endswith('verdict="PASS"}')
    assert len(verdicts) == 5


def test_an_artifact_that_is_not_complete_has_no_figures(tmp_path: Path, call) -> None:
    put(tmp_path, "accuracy_f1", status="partial", invalid_reasons=["the run was stopped"])
    ended = call("report", tmp_path, "--prometheus", tmp_path / "r.prom")
    assert ended.code == 0, ended.err
    assert "no verdict found" in ended.err
    found = samples(tmp_path / "r.prom")
    assert not any(name.startswith("hexgate_measure") for name in found)
    assert not any(name.startswith("hexgate_verdict") for name in found)
    (complete,) = (name for name in found if name.startswith("hexgate_artifact_complete"))
    assert found[complete] == 0.0
    assert 'status="partial"' in complete


def test_a_changed_artifact_is_left_out(judged: Path, tmp_path: Path, call) -> None:
    path = judged / "latency_p99.json"
    path.write_text(
        path.read_text("utf-8")
        .replace('"max_ms":9.0', '"max_ms":8.0')
        .replace('"max_ms": 9.0', '"max_ms": 8.0')
    )
    ended = call("report", judged, "--prometheus", tmp_path / "r.prom")
    assert ended.code == 0, ended.err
    assert "latency_p99.json" in ended.err
    assert not any('indicator="latency_p99"' in name for name in samples(tmp_path / "r.prom"))


def test_a_verdict_on_other_artifacts_is_refused(judged: Path, tmp_path: Path, call) -> None:
    other = put_all(tmp_path / "other", created_at="2026-01-02T03:04:05Z")
    verdict = tmp_path / "verdict.json"
    ended = call("report", other, "--verdict", verdict, "--prometheus", tmp_path / "r.prom")
    assert ended.code == 4
    assert "other artifacts" in ended.err
    assert not (tmp_path / "r.prom").exists()


@pytest.mark.parametrize(
    ("content", "code"),
    [("{", 4), ("{}", 4), ('{"schema": "hexgate/verdict/9.0"}', 4), (None, 2)],
    ids=["cut off", "empty", "newer", "absent"],
)
def test_what_is_no_verdict_is_refused(
    judged: Path, tmp_path: Path, call, content: str | None, code: int
) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    ended = call("report", judged, "--verdict", path, "--html", tmp_path / "r.html")
    assert ended.code == code
    assert "Traceback" not in ended.err
    assert "x.json" in ended.err


def test_without_a_verdict_there_is_nothing_to_show(tmp_path: Path, call) -> None:
    put(tmp_path / "out", "accuracy_f1")
    ended = call("report", tmp_path / "out", "--html", tmp_path / "r.html")
    assert ended.code == 2
    assert "hexgate gate DIR --json" in ended.err
    assert call("report", tmp_path / "out").code == 2


def test_a_name_cannot_break_out_of_its_label(tmp_path: Path, call) -> None:
    name = 'a"} 1\nhexgate_verdict{verdict="PASS"} 1\\'
    subject = artifact("accuracy_f1", tmp_path)["subject"] | {"name": name}
    put(tmp_path, "accuracy_f1", subject=subject)
    assert call("report", tmp_path, "--prometheus", tmp_path / "r.prom").code == 0
    assert not any(name.startswith("hexgate_verdict") for name in samples(tmp_path / "r.prom"))


class Gateway(VendorServer):
    """Takes whatever is pushed to it."""

    def answer(self, request: Seen) -> Reply:
        return Reply(200)


def test_a_push_names_its_group_and_shows_no_secret(judged: Path, call, monkeypatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", "sentinel-token")
    with Gateway() as gateway:
        url = f"http://{gateway.address}/prefix/"
        flags = ("--group", "model=a/b", "--group", "host=a b", "--pushgateway-token-env", "GATEWAY_TOKEN")
        ended = call("report", judged, "--pushgateway", url, *flags)
        assert ended.code == 0, ended.err
        assert "sentinel-token" not in ended.err + ended.out
        gateway.fail_next(Fault.THROTTLED)
        refused = call("report", judged, "--pushgateway", url, *flags)
        assert refused.code == 5
        assert "HTTP 429" in refused.err
        assert "sentinel-token" not in refused.err
    pushed = gateway.seen[0]
    assert (pushed.method, pushed.path) == (
        "PUT",
        "/prefix/metrics/job/hexgate/model@base64/YS9i/host/a%20b",
    )
    assert pushed.headers["authorization"] == "Bearer sentinel-token"
    assert pushed.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert pushed.body.decode().startswith("# HELP hexgate_verdict ")


def test_a_gateway_that_refuses_is_a_platform_that_failed(judged: Path, call) -> None:
    ended = call("report", judged, "--pushgateway", "http://127.0.0.1:9")
    assert ended.code == 5
    assert "does not answer" in ended.err


@pytest.mark.parametrize(
    "url", ["127.0.0.1:9091", "ftp://x", "http://user:sentinel@x", "http://x/?token=sentinel"]
)
def test_addresses_that_are_none_or_hold_credentials_are_refused(judged: Path, call, url: str) -> None:
    ended = call("report", judged, "--pushgateway", url)
    assert ended.code == 2
    assert "sentinel" not in ended.err.replace(url, "")


@pytest.mark.parametrize("group", ["x", "job=y", "__a=b", "a b=c", "=d"])
def test_groups_that_are_none_are_refused(judged: Path, call, group: str) -> None:
    assert call("report", judged, "--pushgateway", "http://127.0.0.1:9", "--group", group).code == 2


def test_the_verdict_is_found_in_the_folder_too(judged: Path, tmp_path: Path, call) -> None:
    shutil.move(tmp_path / "verdict.json", judged / "verdict.json")
    ended = call("report", judged, "--prometheus", tmp_path / "r.prom")
    assert ended.code == 0, ended.err
    assert json.loads((judged / "verdict.json").read_text("utf-8"))["verdict"] == "PASS"
    assert any(name.startswith("hexgate_verdict") for name in samples(tmp_path / "r.prom"))


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("genuine")
    measured("accuracy_f1", "demo:", folder, data=str(HELD_OUT))
    return folder


@pytest.fixture
def copy(genuine: Path, tmp_path: Path) -> Artifact:
    shutil.copytree(genuine, tmp_path / "out")
    return read_artifact(tmp_path / "out" / "accuracy_f1.json")


def complete(found: dict[str, float]) -> dict[str, float]:
    """The samples of completeness, by status."""
    series = {name: value for name, value in found.items() if name.startswith("hexgate_artifact_complete")}
    return {name.partition('status="')[2].partition('"')[0]: value for name, value in series.items()}


def without_figures(found: dict[str, float]) -> bool:
    return not any(name.startswith("hexgate_measure") for name in found)


REAL = """
version: 1
name: release
rules:
  - {indicator: accuracy_f1, measure: f1, at_least: 0.75}
"""


@pytest.mark.parametrize("with_verdict", [True, False], ids=["judged", "not judged"])
@pytest.mark.parametrize("harm", ["forged", "deleted", "changed", None])
def test_figures_that_the_gate_refused_are_not_exported(
    copy: Artifact, tmp_path: Path, call, harm: str | None, with_verdict: bool
) -> None:
    folder = copy.path.parent
    evidence = folder / next(iter(copy.data["evidence"].values()))["path"]
    if harm == "forged":
        sure = copy.data["intervals"]["f1"] | {
            "low": 0.998,
            "high": 1.0,
            "lower_bound": 0.998,
            "upper_bound": 1.0,
        }
        forge(copy, f1=0.999, intervals={**copy.data["intervals"], "f1": sure})
    elif harm == "deleted":
        evidence.unlink()
    elif harm == "changed":
        evidence.write_bytes(b"{}")
    if with_verdict:
        (tmp_path / "policy.yaml").write_text(REAL, encoding="utf-8")
        verdict = tmp_path / "verdict.json"
        judged = call("gate", folder, "--policy", tmp_path / "policy.yaml", "--json", verdict)
        assert judged.code == (0 if harm is None else 4), judged.err
    ended = call("report", folder, "--prometheus", tmp_path / "r.prom")
    assert ended.code == 0, ended.err
    found = samples(tmp_path / "r.prom")
    assert complete(found) == ({"complete": 1.0} if harm is None else {"refused": 0.0})
    assert without_figures(found) == (harm is not None)
    assert ("no figures exported" in ended.err) == (harm is not None)


def test_evidence_that_changed_after_it_was_judged_is_not_what_was_judged(
    copy: Artifact, tmp_path: Path, call
) -> None:
    (tmp_path / "policy.yaml").write_text(REAL, encoding="utf-8")
    folder = copy.path.parent
    verdict = tmp_path / "verdict.json"
    assert call("gate", folder, "--policy", tmp_path / "policy.yaml", "--json", verdict).code == 0
    (folder / next(iter(copy.data["evidence"].values()))["path"]).write_bytes(b"{}")
    ended = call("report", folder, "--prometheus", tmp_path / "r.prom")
    assert ended.code == 4
    assert "other artifacts" in ended.err


@pytest.mark.parametrize("with_verdict", [True, False], ids=["judged", "not judged"])
def test_several_artifacts_of_one_indicator_are_one_series_without_figures(
    tmp_path: Path, call, with_verdict: bool
) -> None:
    put(tmp_path / "out", "accuracy_f1")
    put(tmp_path / "out" / "again", "accuracy_f1", created_at="2026-11-21T02:29:51Z")
    folders = (tmp_path / "out", tmp_path / "out" / "again")
    if with_verdict:
        (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
        verdict = tmp_path / "verdict.json"
        assert call("gate", *folders, "--policy", tmp_path / "policy.yaml", "--json", verdict).code == 4
    ended = call("report", *folders, "--prometheus", tmp_path / "r.prom")
    assert ended.code == 0, ended.err
    lines = (tmp_path / "r.prom").read_text("utf-8").splitlines()
    series = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
    assert len(series) == len(set(series))
    found = samples(tmp_path / "r.prom")
    assert complete(found) == {"several": 0.0}
    assert without_figures(found)


@pytest.mark.infra
def test_an_invalid_verdict_takes_the_place_of_a_pass_in_a_real_pushgateway(tmp_path: Path, call) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    put(tmp_path / "one", "accuracy_f1")
    put(tmp_path / "two", "accuracy_f1", created_at="2026-11-21T02:29:51Z")
    verdict = tmp_path / "verdict.json"
    with pushgateway() as gateway:
        for names, code, said in ((("one",), 0, "PASS"), (("one", "two"), 4, "INVALID")):
            folders = [tmp_path / name for name in names]
            judged = call("gate", *folders, "--policy", tmp_path / "policy.yaml", "--json", verdict)
            assert judged.code == code, judged.err
            pushed = call("report", *folders, "--verdict", verdict, "--pushgateway", gateway)
            assert pushed.code == 0, pushed.err
            kept = httpx.get(f"{gateway}/metrics", timeout=60).text.splitlines()
            (given,) = [line for line in kept if line.startswith("hexgate_verdict{") and line.endswith(" 1")]
            assert f'verdict="{said}"' in given
        assert not any(line.startswith("hexgate_measure{") for line in kept)


@pytest.mark.parametrize(
    "url", ["http://[sentinel", "http://h/#?token=sentinel", "http://h:x/", "http://h\n/"]
)
def test_addresses_that_are_none_end_as_an_error_of_the_input(judged: Path, call, url: str) -> None:
    ended = call("report", judged, "--pushgateway", url)
    assert ended.code == 2
    assert "sentinel" not in ended.err


@pytest.mark.parametrize("token", ["tokén-sentinel", "token\nsentinel"])
def test_a_token_that_no_header_holds_is_refused_and_not_repeated(
    judged: Path, call, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", token)
    ended = call(
        "report", judged, "--pushgateway", "http://127.0.0.1:9", "--pushgateway-token-env", "GATEWAY_TOKEN"
    )
    assert ended.code == 2
    assert "sentinel" not in ended.err
    assert "GATEWAY_TOKEN" in ended.err


def test_a_proxy_of_another_kind_is_a_platform_that_failed(
    judged: Path, call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "no_proxy", "NO_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "ftp://127.0.0.1:9")
    ended = call("report", judged, "--pushgateway", "http://gateway.example.com")
    assert ended.code == 5
    assert "proxy" in ended.err
