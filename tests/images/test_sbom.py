"""tools/sbom.py, on the environment that the tests run in."""

from __future__ import annotations

import json
from importlib.metadata import distributions

import pytest
from packaging.utils import canonicalize_name

from support import needs
from support.tools import tool

SBOM = tool("sbom")


@pytest.fixture(scope="module")
def bill() -> dict[str, object]:
    made: dict[str, object] = SBOM.bill(1767323045)
    return made


def test_it_names_every_distribution_and_no_other(bill: dict) -> None:
    named = {
        (part["name"], part["version"])
        for part in [bill["metadata"]["component"], *bill["components"]]
        if part["purl"].startswith("pkg:pypi/")
    }
    assert named == {(canonicalize_name(one.metadata["Name"]), one.version) for one in distributions()}


def test_dependencies_are_followed(bill: dict) -> None:
    edges = {one["ref"].partition("@")[0]: one["dependsOn"] for one in bill["dependencies"]}
    names = {ref.partition("@")[0] for ref in edges["pkg:pypi/hexgate"]}
    assert {"pkg:pypi/numpy", "pkg:pypi/onnxruntime", "pkg:pypi/httpx"} <= names
    # Of an extra that nobody asked for.
    assert "pkg:pypi/pytest" not in names


def test_an_extra_that_one_asks_of_another_is_followed() -> None:
    class Fake:
        version = "1"

        def __init__(self, *requires: str) -> None:
            self.requires = list(requires)

    found = {"a": Fake("b[x]"), "b": Fake("c; extra == 'x'", "d; extra == 'y'"), "c": Fake(), "d": Fake()}
    edges = {one["ref"]: one["dependsOn"] for one in SBOM._dependencies(found)}
    assert edges["pkg:pypi/a@1"] == ["pkg:pypi/b@1"]
    assert edges["pkg:pypi/b@1"] == ["pkg:pypi/c@1"]


def test_every_reference_leads_somewhere(bill: dict) -> None:
    parts = [bill["metadata"]["component"], *bill["components"]]
    refs = [part["bom-ref"] for part in parts]
    assert len(refs) == len(set(refs))
    for one in bill["dependencies"]:
        assert {one["ref"], *one["dependsOn"]} <= set(refs)


def test_the_same_environment_gives_the_same_bill(bill: dict) -> None:
    assert SBOM.bill(1767323045) == bill
    assert SBOM.bill(0)["serialNumber"] != bill["serialNumber"]


def test_debian_packages_are_named_with_their_release(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, release = tmp_path / "status", tmp_path / "os-release"
    status.write_text(
        "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.2.13.dfsg-1\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n"
        "Package: libstdc++6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12\n",
        "utf-8",
    )
    release.write_text('NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n', "utf-8")
    monkeypatch.setattr(SBOM, "DPKG_STATUS", status)
    monkeypatch.setattr(SBOM, "OS_RELEASE", release)
    assert [one["purl"] for one in SBOM._system_packages()] == [
        "pkg:deb/debian/libstdc%2B%2B6@12?arch=amd64&distro=debian-12",
        "pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1?arch=amd64&distro=debian-12",
    ]


def test_the_bill_is_valid_cyclonedx(bill: dict) -> None:
    needs.module("cyclonedx", group="infra")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(bill)) is None
    assert validator.validate_str(json.dumps(bill | {"component": []})) is not None
