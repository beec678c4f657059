"""The four layers of validation, reported apart, on the platform local and on one that a test makes up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from hexgate.errors import InputError, JobSpecError, MissingExtra
from hexgate.platforms import PLATFORMS, platform
from hexgate.platforms.base import Checked, Driver, Finding, Layer
from hexgate.platforms.local import Local
from hexgate.platforms.spec import JobSpec
from hexgate.platforms.validate import Report, check_native, check_spec, is_spec, read_files
from support.lifecycle import demo_spec

SPEC = demo_spec("file:out").to_json()


def checked(change: Mapping[str, Any] | None = None, *, ask_server: bool = False) -> Report:
    return check_spec("job.yaml", yaml.safe_dump(SPEC | dict(change or {})), Local(), ask_server=ask_server)


def states(report: Report) -> list[str]:
    assert [layer.layer for layer in report.layers] == list(Layer)
    return [layer["state"] for layer in report.to_json()]


def native(**change: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(Local().render(demo_spec("file:out"))["job.json"])
    return value | change


def native_checked(value: object) -> Report:
    return check_native({"job.json": value if isinstance(value, str) else json.dumps(value)}, Local())


def test_a_layer_that_did_not_look_is_not_called_right() -> None:
    report = checked()

    assert states(report) == ["ok", "ok", "ok", "not_looked"]
    assert report.layers[3].skipped == "--dry-run asks the platform"
    assert states(checked(ask_server=True)) == ["ok", "ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema: hexgate.job/v1\nname:\tx\n\tshards: 1\n", "line 2, column 6"),
        ("schema: hexgate.job/v1\nname: a\nname: b\n", "line 3"),
    ],
    ids=["a tab", "a key twice"],
)
def test_a_spec_that_cannot_be_read_is_a_mistake_of_the_spec(text: str, said: str) -> None:
    assert is_spec(text)
    report = check_spec("job.yaml", text, Local())
    assert states(report) == ["mistakes", "not_looked", "not_looked", "not_looked"]
    assert said in report.mistakes[0]


def test_a_spec_with_mistakes_shows_them_all_and_stops_the_other_layers() -> None:
    report = checked({"timeout_s": 1, "shards": "two", "more": 1})

    assert states(report) == ["mistakes", "not_looked", "not_looked", "not_looked"]
    assert [one.path for one in report.layers[0].findings] == [
        "job.yaml: $",
        "job.yaml: $.shards",
        "job.yaml: $.timeout_s",
    ]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"retries": {"max": 2}}, "$.retries.max"),
        ({"mounts": [{"name": "data", "uri": "s3://b/data", "path": "/data"}]}, "$.mounts[0].uri"),
    ],
)
def test_what_this_platform_does_not_do_is_a_mistake_of_its_rules(change: dict[str, Any], path: str) -> None:
    report = checked(change, ask_server=True)

    assert states(report) == ["ok", "not_looked", "mistakes", "not_looked"]
    assert report.mistakes[0].startswith(f"job.yaml: {path}: ")


def test_a_native_file_has_no_spec() -> None:
    report = native_checked(native())

    assert states(report) == ["not_looked", "ok", "ok", "not_looked"]
    assert report.layers[0].skipped == "a native file has no job spec"


def _process(**change: Any) -> dict[str, Any]:
    return native(processes=[native()["processes"][0] | change])


NATIVE = [
    ("not JSON", "{", Layer.VENDOR, "$"),
    ("key twice", '{"name": "a", "name": "b"}', Layer.VENDOR, "$"),
    ("unknown key", native(image="x"), Layer.VENDOR, "$"),
    ("no processes", native(processes=[]), Layer.VENDOR, "$.processes"),
    ("time as text", native(timeout_s="600"), Layer.VENDOR, "$.timeout_s"),
    ("number in the environment", _process(env={"A": 1}), Layer.VENDOR, "$.processes[0].env.A"),
    ("command as text", _process(argv="hexgate run"), Layer.VENDOR, "$.processes[0].argv"),
    ("nothing publishes", _process(argv=["hexgate", "run", "{out}"]), Layer.RULES, "$.processes[0].argv"),
    (
        "measures into nothing",
        _process(argv=["hexgate", "platforms", "run", "--output", "x", "--", "hexgate", "run"]),
        Layer.RULES,
        "$.processes[0].argv",
    ),
    (
        "reference that nobody resolves",
        _process(argv=["hexgate", "platforms", "run", "--output", "${OUT}", "--", "x", "{out}"]),
        Layer.RULES,
        "$.processes[0].argv[4]",
    ),
    ("a part twice", native(processes=native()["processes"] * 2), Layer.RULES, "$.processes[1].part"),
]


@pytest.mark.parametrize(
    ("value", "layer", "path"), [case[1:] for case in NATIVE], ids=[case[0] for case in NATIVE]
)
def test_a_changed_native_file_is_refused_by_the_layer_that_should(
    value: object, layer: Layer, path: str
) -> None:
    report = native_checked(value)

    found = next(one for one in report.layers if one.layer is layer)
    assert f"job.json: {path}" in [one.path for one in found.findings]


def test_a_program_that_is_not_here_is_found_by_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    value = _process(argv=["no-such-program", "{out}"])

    assert [one.path for one in Local().dry_run({"job.json": json.dumps(value)}).findings] == [
        "job.json: $.processes[0].argv[0]"
    ]


class Made:
    """A platform that has no steps, and whose vendor's package and server a test switches off."""

    name: ClassVar[str] = "made"
    fans_out: ClassVar[bool] = False

    def __init__(self, *, renders: bool = True) -> None:
        self._renders = renders

    def render(self, spec: JobSpec) -> dict[str, str]:
        if not self._renders:
            raise JobSpecError("spec", ["$.argv: too long", "$.labels: too many"])
        return {"job.txt": ""}

    def spec_findings(self, spec: JobSpec) -> Sequence[Finding]:
        return ()

    def check(self, files: Mapping[str, str]) -> Checked:
        raise MissingExtra("made", "the check")

    def native_findings(self, files: Mapping[str, str]) -> Sequence[Finding]:
        return ()

    def dry_run(self, files: Mapping[str, str], spec: JobSpec | None = None) -> Checked:
        raise InputError("the environment does not say where the server is")

    def driver(self, spec: JobSpec | None = None) -> Driver:
        raise NotImplementedError


def test_a_missing_package_or_server_is_told_and_is_no_ok() -> None:
    report = check_spec("job.yaml", yaml.safe_dump(SPEC), Made(), ask_server=True)

    assert states(report) == ["ok", "not_looked", "ok", "not_looked"]
    assert "pip install -e '.[made]'" in str(report.layers[1].skipped)
    assert "does not say where" in str(report.layers[3].skipped)


def test_what_cannot_be_rendered_is_a_mistake_of_the_rules() -> None:
    report = check_spec("job.yaml", yaml.safe_dump(SPEC), Made(renders=False))

    assert states(report) == ["ok", "not_looked", "mistakes", "not_looked"]
    assert report.mistakes == ["job.yaml: $.argv: too long", "job.yaml: $.labels: too many"]


def test_steps_on_a_platform_without_steps_are_refused() -> None:
    spec = SPEC | {"fan_out": True, "argv": ["hexgate", "{indicator}", "{out}"]}

    report = check_spec("job.yaml", yaml.safe_dump(spec), Made())

    assert report.mistakes == ["job.yaml: $.fan_out: made has no steps, expected false"]


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (yaml.safe_dump(SPEC), True),
        ("schema: hexgate.job/v2", True),
        ("schema: hexgate.local_job/v1", False),
        ("$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json", False),
        ("#!/bin/sh\nset -e\necho 'a: b: c'", False),
        ("[", False),
    ],
)
def test_a_spec_is_known_by_its_schema(text: str, *, ours: bool) -> None:
    assert is_spec(text) is ours


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for place in (tmp_path / "job.yaml", tmp_path / "a" / "job.yaml"):
        place.write_bytes(b"\xff")
    with pytest.raises(InputError, match="UTF-8"):
        read_files([tmp_path / "job.yaml"])
    with pytest.raises(InputError, match="cannot be read"):
        read_files([tmp_path / "none.yaml"])
    for place in (tmp_path / "job.yaml", tmp_path / "a" / "job.yaml"):
        place.write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="one name"):
        read_files([tmp_path / "job.yaml", tmp_path / "a" / "job.yaml"])


def test_every_name_is_a_platform_of_that_name() -> None:
    for name in PLATFORMS:
        assert platform(name).name == name
    with pytest.raises(InputError, match="no such platform"):
        platform("moon")
