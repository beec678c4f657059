"""The page as a real browser shows it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hexgate.report.html import render_html

Json = dict[str, Any]

pytestmark = pytest.mark.infra


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        reason = "no Chromium on this machine; install the package chromium"
        if os.environ.get("HEXGATE_REQUIRE_INFRA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def dom(chromium: str, folder: Path, html: str) -> str:
    page = folder / "report.html"
    page.write_text(html, encoding="utf-8")
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8")


@pytest.mark.parametrize(("lang", "word"), [("en", "Inconclusive"), ("zh", "证据不足以判定")])
def test_a_browser_shows_the_verdict_and_runs_our_script(
    chromium: str, tmp_path: Path, verdict: Json, artifacts: list[Json], lang: str, word: str
) -> None:
    shown = dom(chromium, tmp_path, render_html(verdict, artifacts, lang=lang))  # type: ignore[arg-type]
    heading = shown[shown.index("<h1>") : shown.index("</h1>")]
    assert word in heading
    assert shown.count("<svg") > 20
    # The buttons are hidden until the script has run: the page's own policy lets it, by its digest.
    assert '<div class="tools" role="group"' in shown


def test_a_browser_runs_nothing_that_an_artifact_brings(
    chromium: str, tmp_path: Path, verdict: Json, artifacts: list[Json]
) -> None:
    run = "document.documentElement.id='owned'"
    attack = f'</title></style><script>{run}</script><img src=x onerror="{run}">'
    verdict["subject"]["name"] = attack
    verdict["rules"][0]["reasons"] = [{"code": "x", "params": {}, "text": attack}]
    for artifact in artifacts:
        artifact["subject"]["name"] = attack
        artifact["method"][attack] = attack
    shown = dom(chromium, tmp_path, render_html(verdict, artifacts, lang="en"))
    assert "<html" in shown
    assert 'id="owned"' not in shown
    assert shown.count("<script") == 1
    assert "<img" not in shown
