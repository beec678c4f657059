"""Reports of a gate's verdict: HTML, Markdown, JUnit XML and a table for the terminal, all pure.

`reading` makes one view of verdict and artifacts, `section` one of each artifact; the renderers only lay them out.
They know artifacts and verdicts, never how anything was measured.
"""
