"""The READMEs of the two folders: their commands change the files as they say, in both languages alike."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hexgate.platforms import platform
from hexgate.platforms.spec import read_spec

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def blocks(name: str, readme: str) -> list[str]:
    return BLOCK.findall((ROOT / "platforms" / "job_templates" / name / readme).read_text("utf-8"))


def seds(name: str) -> list[tuple[str, str]]:
    """Each `sed` of a README, and the file that it writes."""
    commands = "\n".join(blocks(name, "README.md")).replace("\\\n", " ").splitlines()
    return [(line, line.rpartition("> ")[2]) for line in commands if line.startswith("sed ")]


@pytest.mark.parametrize("name", ["bailian", "volcano"])
def test_both_languages_give_the_same_commands(name: str) -> None:
    assert blocks(name, "README.md") == blocks(name, "README.zh-CN.md")


@pytest.mark.skipif(shutil.which("sed") is None, reason="sed is not installed")
@pytest.mark.parametrize(
    ("name", "command", "written"),
    [(name, *each) for name in ("bailian", "volcano") for each in seds(name)],
    ids=lambda value: value if value in {"bailian", "volcano", "job.yaml", "endpoint.yaml"} else "",
)
def test_what_a_readme_s_sed_writes_passes(name: str, command: str, written: str, tmp_path: Path) -> None:
    (tmp_path / "platforms").symlink_to(ROOT / "platforms")
    subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=True)
    text = (tmp_path / written).read_text("utf-8")
    if written == "endpoint.yaml":
        files = platform("local").render(read_spec(tmp_path / written))
        assert not platform("local").native_findings(files)
    else:
        assert "example" not in text
        # The words in capitals that a reader replaces are no valid names of an image.
        files = {written: re.sub(r"MY-[A-Z]+", lambda word: word[0].lower(), text)}
        assert not platform(name).native_findings(files)
