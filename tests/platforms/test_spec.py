"""A job spec is plain data, without credentials, and every mistake in it is told with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, JobSpecError
from hexgate.platforms.spec import changed, parse_spec, read_spec

SPECS = Path(__file__).resolve().parents[2] / "platforms" / "specs"
LOCAL = SPECS / "local.yaml"
SECRET = "c2VudGluZWwtb2YtdGhlLXRlc3Q"


def spec(**changes: Any) -> dict[str, Any]:
    return read_spec(LOCAL).to_json() | changes


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_spec_of_the_repository_is_one(path: Path) -> None:
    assert read_spec(path).name


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("env: {1: a}", "$.env: got the key 1"),
        ("env: {true: a}", "$.env: got the key True"),
        ("labels: {null: x}", "$.labels: got the key None"),
        ("resources: {cpu: .nan}", "$.resources.cpu: got nan"),
        ("resources: {cpu: -.inf}", "$.resources.cpu: got -inf"),
        ("labels: {day: 2024-01-01}", "$.labels.day: got a date"),
        ('labels: {x: "a\\ud800"}', "$.labels.x: got half a character"),
        ('labels: {"a\\ud800": x}', "$.labels: got a key with half a character"),
        ("labels: {x: !!binary YQ==}", "$.labels.x: got a bytes"),
        ("platform: {local: {!!set {a}: 1}}", "YAML"),
        ("env: {A: b, A: c}", "a key stands twice"),
        ("labels: &a {x: *a}", "aliases are not part of a job spec"),
        ("retries: {max: 2024-13-45}", "month must be in 1..12"),
        (f"retries: {{max: {'9' * 5000}}}", "YAML"),
        ('retries: {max: !!int ""}', "not of its tag"),
        ("retries: {max: !!bool x}", "not of its tag"),
        (f"labels: {'[' * 3000}", "YAML"),
    ],
)
def test_what_json_could_not_hold_is_named_with_its_place(tmp_path: Path, lines: str, place: str) -> None:
    kept = [
        line
        for line in LOCAL.read_text("utf-8").splitlines()
        if not line.startswith(lines.split(":", maxsplit=1)[0])
    ]
    path = tmp_path / "job.yaml"
    path.write_text("\n".join(kept) + f"\n{lines}\n", encoding="utf-8")
    with pytest.raises(InputError) as failed:
        read_spec(path)
    assert place in str(failed.value)


def test_all_of_them_are_told_at_once() -> None:
    value = spec(env={1: "a"}, argv=["x\ud800", "{out}"], resources={"cpu": float("inf")})
    with pytest.raises(JobSpecError) as failed:
        parse_spec(value, "job.yaml")
    assert all(place in str(failed.value) for place in ("$.env:", "$.argv[0]:", "$.resources.cpu:"))


@pytest.mark.parametrize("item", ["argv.²=x", "argv.99999999999999999999=x", "argv.x=y"])
def test_an_item_that_is_not_there_is_an_error_of_the_input(item: str) -> None:
    with pytest.raises(InputError, match="leads nowhere"):
        changed(spec(), item)


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://AKIA:{SECRET}@bucket/runs",
        f"https://acct.blob.core.windows.net/runs?sv=2024&sig={SECRET}",
        f"oss://bucket/runs#{SECRET}",
        f"https:acct/?sig={SECRET}",
        f"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey={SECRET}",
        f"s3://AKIA:{SECRET}@bucket/a b",
        f"abfss://name:{SECRET}@acct.dfs.core.windows.net/a",
    ],
)
@pytest.mark.parametrize("place", ["$.output.uri", "$.mounts[0].uri"])
def test_an_address_with_credentials_is_refused_and_not_repeated(uri: str, place: str) -> None:
    mount = {"name": "model", "uri": uri, "path": "/models"}
    value = spec(output={"uri": uri}) if "output" in place else spec(mounts=[mount])
    with pytest.raises(JobSpecError) as failed:
        parse_spec(value, "job.yaml")
    assert place in str(failed.value)
    assert SECRET not in str(failed.value)
    with pytest.raises(InputError) as refused:
        changed(spec(), f"name.output.uri={uri}")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "uri",
    [
        "abfss://models@acct.dfs.core.windows.net/release",
        "azureml://datastores/store/paths/a",
        "azureml:model:1",
        "file:///srv/a@b",
        "pvc://claim/a",
    ],
)
def test_addresses_of_the_platforms_are_taken(uri: str) -> None:
    mount = {"name": "model", "uri": uri, "path": "/models"}
    assert parse_spec(spec(mounts=[mount]), "job.yaml").mounts[0].uri == uri
