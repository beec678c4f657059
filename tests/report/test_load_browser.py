"""The report of a load as a real browser shows it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hexgate.indicators.load_examples import sampled_replies
from hexgate.indicators.load_statistics import load_statistics
from hexgate.report.load_html import render_load_html
from support import needs
from support.load_folders import folder_of, plan_of

pytestmark = pytest.mark.infra


@pytest.mark.parametrize("requests", [10, 20_000])
@pytest.mark.parametrize(("lang", "status"), [("en", "Complete"), ("zh", "完整")])
def test_a_browser_shows_the_load_and_runs_our_script(
    tmp_path: Path, requests: int, lang: str, status: str
) -> None:
    chromium = needs.program("chromium")
    load = folder_of(tmp_path, plan_of(requests))
    page = tmp_path / "report.html"
    html = render_load_html(load_statistics(load), sampled_replies(load), {}, lang=lang)  # type: ignore[arg-type]
    page.write_text(html, encoding="utf-8")
    quiet = (
        "--disable-gpu",
        "--disable-quic",
        "--disable-sync",
        "--no-first-run",
        "--disable-component-update",
    )
    command = [chromium, "--headless", "--no-sandbox", "--disable-background-networking", *quiet]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode("utf-8")
    assert status in shown[shown.index("<h1>") : shown.index("</h1>")]
    assert shown.count("<figure>") >= 14
    assert shown.count("<svg") == shown.count("<figure>") + 1
    # The buttons are hidden until the script has run: the page's own policy lets it, by its digest.
    assert '<div class="tools" role="group"' in shown
