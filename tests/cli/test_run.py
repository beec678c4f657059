"""`hexgate run`, its front door and the scripts: what they print, what they leave, and in which language."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hexgate.indicators import INDICATORS
from support.command import Ended
from support.load_running import until_undisturbed
from support.measuring import DIGITS, FLAT_KEYS, HELD_OUT, check, forge

Call = Callable[..., Ended]
Process = Callable[..., subprocess.CompletedProcess[str]]

QUICK = ["--duration-s", "0.4", "--power-duration-s", "0.4", "--idle-s", "0.05", "--requests", "50"]
DOORS = {
    "scripts/eval/f1.py": ("accuracy_f1", ["--data", str(HELD_OUT)]),
    "scripts/eval/robustness_suite.py": (
        "robustness_adv",
        ["--data", str(HELD_OUT), "--attack", "fgsm", "--eps", "0.03"],
    ),
    "scripts/eval/toxicity_check.py": ("toxicity", ["--data", str(HELD_OUT)]),
    "scripts/bench/latency_profiler.py": ("latency_p99", []),
    "scripts/bench/load_test.py": ("throughput_rps", ["--data", str(HELD_OUT), "--duration-s", "0.4"]),
    "scripts/bench/power_profiler.py": (
        "power_efficiency",
        ["--data", str(HELD_OUT), "--power-duration-s", "0.4", "--idle-s", "0.05"],
    ),
}


@pytest.mark.parametrize("script", DOORS)
def test_each_script_measures_its_indicator_alone(script: str, process: Process, tmp_path: Path) -> None:
    name, flags = DOORS[script]
    out = tmp_path / "result.json"
    done = process(script, "--model", "examples/digits/model.onnx", "--out", out, *flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    artifact = check(out).data
    assert artifact["indicator"] == name
    assert artifact["status"] == "complete"
    assert artifact["provenance"]["command"][0] == script


def test_the_front_door_measures_one(process: Process, tmp_path: Path) -> None:
    out = tmp_path / "accuracy_f1.json"
    done = process(
        "tools/run_eval.py", "--indicator", "accuracy_f1", "--model", "examples/digits/model.onnx",
        "--data", "examples/digits/val.jsonl", "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "0.9861" in done.stderr
    assert check(out).data["samples"] == 719


def test_all_six_lie_in_one_folder_and_belong_together(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = call("run", "--indicator", "all", "--model", DIGITS, "--data", HELD_OUT, "--out", out, *QUICK)
    assert ended.code == 0, ended.err
    assert ended.out == ""
    artifacts = [check(out / f"{name}.json").data for name in INDICATORS]
    assert [artifact["indicator"] for artifact in artifacts] == list(INDICATORS)
    assert all(artifact["status"] == "complete" for artifact in artifacts)
    assert len({artifact["run_id"] for artifact in artifacts}) == 1
    assert len({artifact["subject"]["sha256"] for artifact in artifacts}) == 1
    assert all(set(FLAT_KEYS[artifact["indicator"]]) <= artifact.keys() for artifact in artifacts)

    again = call("recompute", out)
    assert again.code == 0
    assert again.out.count("agrees") == 6
    assert again.err == ""

    forged = forge(check(out / "toxicity.json"), categories={"insult": 3})
    again = call("recompute", out)
    assert again.code == 4
    assert again.out.count("agrees") == 5
    assert "$.categories" in again.out

    (out / forged.data["evidence"]["replies"]["path"]).unlink()
    again = call("recompute", out)
    assert again.code == 4
    assert "toxicity.replies.jsonl" in again.err
    assert again.out.count("agrees") == 5


def test_output_json_prints_the_artifact_and_nothing_else(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "x.json"
    ended = call(
        "run", "--indicator", "accuracy_f1", "--model", "demo:", "--out", out, "--limit", "8", "--output-json"
    )
    assert ended.code == 0
    assert ended.out.encode() == out.read_bytes()
    assert json.loads(ended.out)["dataset"]["limit"] == 8
    assert ended.err == ""


def test_output_json_is_utf_8_on_any_terminal(process: Process, tmp_path: Path) -> None:
    data = tmp_path / "named.jsonl"
    item = json.loads(HELD_OUT.read_text("utf-8").splitlines()[0])
    data.write_text(json.dumps(item | {"label": "七"}, ensure_ascii=False) + "\n", "utf-8")
    done = process(
        "-m", "hexgate", "run", "--indicator", "accuracy_f1", "--model", DIGITS, "--data", data,
        "--labels", "零,一,二,三,四,五,六,七,八,九", "--out", tmp_path / "x.json", "--output-json",
        PYTHONIOENCODING="ascii",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["method"]["labels"][7] == "七"


def test_an_invalid_measurement_has_its_exit_code(
    call: Call, scripted: Callable[..., object], tmp_path: Path
) -> None:
    server = scripted(chat=lambda _: "")
    data = tmp_path / "p.txt"
    data.write_text("hello\n", "utf-8")
    out = tmp_path / "toxicity.json"
    ended = call("run", "--indicator", "toxicity", "--model", server.v1, "--data", data, "--out", out)  # type: ignore[attr-defined]
    assert ended.code == 4
    assert "no reply could be scored" in ended.err
    assert check(out).data["status"] == "invalid"


def test_what_cannot_be_measured_does_not_keep_the_others_from_it(
    call: Call, scripted: Callable[..., object], tmp_path: Path
) -> None:
    server = scripted(predict=lambda inputs: [[1.0] + [0.0] * 9] * len(inputs))
    ended, out = until_undisturbed(
        lambda folder: call(
            "run", "--indicator", "all", "--model", f"{server.origin}/predict", "--data", HELD_OUT, "--limit", "3",  # type: ignore[attr-defined]
            "--out", folder, "--attack", "square", "--queries", "5", *QUICK,
        ),
        tmp_path,
        lambda ended: ended.err,
    )  # fmt: skip
    assert ended.code == 2
    assert "toxicity is measured on text" in ended.err
    left = {name: check(out / f"{name}.json").data["status"] for name in INDICATORS}
    assert left.pop("toxicity") == "failed"
    assert left.pop("accuracy_f1") == "complete"
    assert left["latency_p99"] == left["power_efficiency"] == "complete"


def test_without_a_power_meter_the_run_is_complete_and_says_why(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "power.json"
    ended = call("run", "--indicator", "power_efficiency", "--model", "demo:", "--out", out, *QUICK[2:6])
    assert ended.code == 0
    found = check(out).data
    if found["measurement"] != "not_measured":
        pytest.skip("this machine has a power meter")
    assert found["status"] == "complete"
    assert found["energy_j"] is None
    assert "no power meter can be read" in found["missing"]["energy_j"]

    ended = call(
        "run",
        "--indicator",
        "power_efficiency",
        "--model",
        "demo:",
        "--out",
        out,
        *QUICK[2:6],
        "--watts-per-core",
        "9",
    )
    assert ended.code == 0
    found = check(out).data
    assert found["measurement"] == "estimated"
    assert found["energy_j"] == pytest.approx(9 * found["cpu_seconds"])
    assert "energy_per_request_j" in found["cannot_certify"]


def test_secrets_stay_out_of_artifacts(
    call: Call, scripted: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    server = scripted(chat=lambda _: "all is well")
    data = tmp_path / "p.txt"
    data.write_text("hello\n", "utf-8")
    out = tmp_path / "toxicity.json"
    url = server.v1  # type: ignore[attr-defined]
    assert call(
        "run", "--indicator", "toxicity", "--model", url, "--data", data, "--out", out, "--api-key-env", "MY_KEY"
    ).code == 0  # fmt: skip
    assert all("very-secret" not in path.read_text("utf-8", "replace") for path in tmp_path.iterdir())

    with_user = url.replace("http://", "http://me:very-secret@")
    assert (
        call("run", "--indicator", "toxicity", "--model", with_user, "--data", data, "--out", out).code == 0
    )
    assert all("very-secret" not in path.read_text("utf-8", "replace") for path in tmp_path.iterdir())


@pytest.mark.parametrize("way", ["flag before", "flag after", "variable"])
def test_chinese_is_spoken_where_it_is_asked_for(
    way: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [
        "run",
        "--indicator",
        "accuracy_f1",
        "--model",
        "nosuch.onnx",
        "--out",
        str(tmp_path / "x.json"),
    ]
    if way == "variable":
        monkeypatch.setenv("HEXGATE_LANG", "zh")
    elif way == "flag before":
        arguments = ["--lang", "zh", *arguments]
    else:
        arguments = [*arguments, "--lang=zh"]
    ended = call(*arguments)
    assert ended.code == 2
    assert "错误:" in ended.err
    assert "位置: nosuch.onnx" in ended.err


def test_help_is_there_in_both_languages(process: Process) -> None:
    for language, words in (("en", ("Commands", "Exit codes", "gate")), ("zh", ("命令", "退出码", "门禁"))):
        done = process("-m", "hexgate", "--help", HEXGATE_LANG=language)
        assert done.returncode == 0
        assert all(word in done.stdout for word in words)
        assert done.stderr == ""
        done = process("-m", "hexgate", "run", "--help", "--lang", language)
        assert done.returncode == 0
        assert "--output-json" in done.stdout
        assert ("Model: a .onnx file" in done.stdout) == (language == "en")


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["rnu"]])
def test_help_imports_nothing_heavy(command: list[str], process: Process) -> None:
    heavy = [
        "numpy",
        "onnxruntime",
        "rich",
        "jinja2",
        "httpx",
        "jsonschema",
        "psutil",
        "pynvml",
        "yaml",
        "uvloop",
    ]
    script = (
        "import sys\nfrom hexgate.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
        f"    sys.stderr.write('loaded: ' + ','.join(n for n in {heavy!r} if n in sys.modules))"
    )
    done = process("-c", script, *command)
    assert done.stderr.rpartition("loaded: ")[2] == ""


def test_doctor_says_what_can_be_measured(call: Call) -> None:
    ended = call("doctor")
    assert ended.code == 0
    assert "demo:" in ended.out
    assert "host_class" in ended.out


def test_plan_says_how_much_each_rule_needs(call: Call) -> None:
    policy = Path(__file__).resolve().parents[2] / "examples" / "demo-policy.yaml"
    ended = call("plan", "--policy", policy, "--rate-rps", "10")
    assert ended.code == 0
    assert "toxicity.toxic_ratio" in ended.out
    listed = json.loads(call("plan", "--policy", policy, "--json").out)
    assert {"accuracy_f1", "toxicity"} <= {line["rule"].partition(".")[0] for line in listed}


def test_the_demonstration_leaves_a_report(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hexgate.cli import demo

    short = {"duration_s": 0.5, "power_duration_s": 0.5, "idle_s": 0.05, "watts_per_core": 10.0}
    monkeypatch.setattr(demo, "_OPTIONS", short)
    ended = call("demo", "--out", tmp_path)
    assert ended.code == 0, ended.err
    assert {path.name for path in tmp_path.iterdir()} == {
        "artifacts", "gate.xml", "report.html", "summary.md", "verdict.json",
    }  # fmt: skip
    for name in INDICATORS:
        assert check(tmp_path / "artifacts" / f"{name}.json").data["status"] == "complete"
    assert str(tmp_path / "report.html") in ended.err
    assert ended.out == ""

    policy = Path(__file__).resolve().parents[2] / "examples" / "demo-policy.yaml"
    again = call(
        "gate", tmp_path / "artifacts", "--policy", policy, "--json", tmp_path / "again.json", "--self-test"
    )
    assert again.code == 0, again.err
    assert "FAULT" not in again.err
    (tmp_path / "artifacts" / "accuracy_f1.json").unlink()
    assert call("gate", tmp_path / "artifacts", "--policy", policy).code == 4
