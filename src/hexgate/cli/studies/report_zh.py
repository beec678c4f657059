"""What reading a study refuses, in Chinese: pairs for `Twins`."""

from __future__ import annotations

__all__ = ["STUDY_REPORT_ERRORS"]

STUDY_REPORT_ERRORS: tuple[tuple[str, str], ...] = (
    # study/reading.py
    ("the folder holds no study", "目录中没有研究"),
    ("a folder that hexgate study run has written", "hexgate study run 写出的目录"),
    ("the file describes another study than the folder holds", "该文件描述的研究与目录中的不同"),
    (
        "quality, judge and rating may differ from those with which the study began, and nothing else",
        "只有 quality、judge 和 rating 可以与研究开始时不同",
    ),
    ("its items are not those with which the study began", "题目与研究开始时不同"),
    ("an energy is too large to be that of a run", "能耗过大，不可能是一次运行的能耗"),
    ("at most {joules} J", "不超过 {joules} J"),
    # cli/studies/report.py
    ("name a file for the page, such as --out report.html", "请指定页面文件，例如 --out report.html"),
)
"""English with gaps and its twin. Of several that fit, the first is taken."""
