"""The page of a study as a real browser shows it: it sorts, it filters, and nothing overflows on a phone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hexgate.report.studies.page import study_page
from hexgate.report.text import Lang
from support import needs
from support.readings import MODELS, Made, synthetic

pytestmark = pytest.mark.infra

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
)
_WATCH = (
    """<script>window.failed = 0; addEventListener("error", function () { window.failed += 1; });</script>"""
)
_ASK = """<script>addEventListener("load", function () {
  var table = document.querySelector("#cells table.sorts");
  var heads = table.tHead.rows[0].cells;
  var place = Array.prototype.findIndex.call(heads, function (head) { return /Energy/.test(head.textContent); });
  function column() {
    return Array.prototype.map.call(table.tBodies[0].rows, function (row) {
      return row.hidden ? "hidden" : row.cells[place].getAttribute("data-v");
    }).join(",");
  }
  function say(name, text) {
    var line = document.createElement("p");
    line.className = "asked";
    line.textContent = name + "=" + text + ";";
    document.body.appendChild(line);
  }
  // A window is at least 500 wide, a phone is not. What scrolls in a box of its own may be wider than that box.
  var root = document.documentElement;
  root.style.width = Math.min(WIDTH, root.clientWidth) + "px";
  var wide = Array.prototype.filter.call(document.querySelectorAll("body *"), function (one) {
    var box = one.parentElement.closest(".scroll, pre, svg");
    return !box && one.getBoundingClientRect().right > root.getBoundingClientRect().right + 1;
  });
  say("wide", wide.map(function (one) { return one.tagName + "." + one.className; }).join(" "));
  heads[place].querySelector("button").click();
  say("rising", column());
  heads[place].querySelector("button").click();
  say("falling", column());
  var input = table.closest(".card").querySelector("input");
  input.value = "tiny MATH";
  input.dispatchEvent(new Event("input"));
  say("filtered", String(column().split(",").filter(function (one) { return one !== "hidden"; }).length));
  say("errors", String(window.failed));
});</script>"""
"""Not of the page: it stands in for a reader, so that the page's policy has to let it."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    rating = {"reference": MODELS[3].name, "floor": {"acceptance": 0.1}}
    return synthetic(tmp_path_factory.mktemp("study"), questions=6, failing=0.03, rating=rating)


def asked(chromium: str, folder: Path, page: str, width: int) -> dict[str, str]:
    # The page's own policy refuses any script but its own, which is tested beside; a reader needs one.
    opened = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    path = folder / "page.html"
    opened = opened.replace("<head>", f"<head>{_WATCH}").replace(
        "</body>", f"{_ASK.replace('WIDTH', str(width))}</body>"
    )
    path.write_text(opened, encoding="utf-8")
    command = [chromium, *_FLAGS, f"--window-size={width},900", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [*command, "--dump-dom", path.as_uri()], capture_output=True, timeout=120, check=True
    )
    shown = done.stdout.decode("utf-8")
    return dict(re.findall(r'<p class="asked">(\w+)=(.*?);</p>', shown))


@pytest.mark.parametrize("width", [400, 1280])
def test_the_table_sorts_and_filters_and_nothing_overflows(tmp_path: Path, made: Made, width: int) -> None:
    chromium = needs.program("chromium")
    found = asked(chromium, tmp_path, study_page(made.reading(), "en"), width)
    rising = [float(one) for one in found["rising"].split(",")]
    assert rising == sorted(rising)
    assert len(rising) == 40
    assert [float(one) for one in found["falling"].split(",")] == rising[::-1]
    assert found["filtered"] == "5"
    assert found["wide"] == ""
    assert found["errors"] == "0"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_its_own_script_runs_under_its_own_policy(tmp_path: Path, made: Made, lang: Lang) -> None:
    chromium = needs.program("chromium")
    path = tmp_path / "page.html"
    path.write_text(study_page(made.reading(), lang), encoding="utf-8")
    command = [chromium, *_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()]
    shown = subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode("utf-8")
    assert '<div class="tools" role="group"' in shown
    assert '<p class="filter">' in shown
    assert "40 / 40" in shown
