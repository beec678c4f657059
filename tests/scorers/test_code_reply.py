from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.scorers.code_reply import program_in

PYTHON = ("python", "py")


def found(reply, **options):
    return program_in(reply, PYTHON, **options).program


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("Here:\n\n```py\nx = 1\n\ny = 2\n```\nand so on", "x = 1\n\ny = 2\n"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("~~~ Python title='a'\nx = 1\n~~~", "x = 1\n"),
        ("```{.python}\nx = 1\n```", "x = 1\n"),
        ("````python\n```\nx\n````", "```\nx\n"),
        ("```bash\npip install x\n```\n```python\nx = 1\n```", "x = 1\n"),
        ("```\nplain\n```\n```python\nx = 1\n```", "x = 1\n"),
        ("```python\nfirst = 1\n```\n```python\nsecond = 2\n```", "first = 1\n"),
        ("```python\n\n```\n```python\nx = 1\n```", "x = 1\n"),
        ("  ```python\n  if x:\n      y\n  ```", "if x:\n    y\n"),
        ("```python\r\nx = 1\r\n```\r\n", "x = 1\n"),
        ("```python\ns = '\u2028\x0c'\n```", "s = '\u2028\x0c'\n"),
        ("<think>\n```python\nwrong\n```\n</think>\n```python\nx = 1\n```", "x = 1\n"),
        ("```python\nx = 1\n```\n```python\ncut of", "x = 1\n"),
        ("代码如下：\n```python\n打印 = print\n```", "打印 = print\n"),
        ("```python\ns = '''\n    ```\n'''\n```", "s = '''\n    ```\n'''\n"),
    ],
)
def test_the_first_whole_block_of_the_language(reply, program):
    assert found(reply) == program


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("I cannot help with that.", "no code block"),
        ("Use `sorted(x)` for it.", "no code block"),
        ("```python\ndef f():\n    return", "cut off"),
        ("```java\nclass A {}\n```", "of the language"),
        ("```python\n```", "holds anything"),
        ("<think>\n```python\nx = 1\n```\n</think>\nSorry.", "no code block"),
    ],
)
def test_why_there_is_none(reply, reason):
    extracted = program_in(reply, PYTHON)
    assert extracted.program is None
    assert reason in extracted.reason


def test_a_reply_without_fences():
    assert found("def f(x):\n    return x\n", names=("f",)) == "def f(x):\n    return x\n"
    assert found("def g(x):\n    return x\n", names=("f",)) is None
    assert found("class G:\n    pass\n") == "class G:\n    pass\n"
    assert found("    return x + 1\n", continues=True) == "    return x + 1\n"
    assert found("    return x + 1\n") is None


@given(st.text(), st.sampled_from(["", "python", "sql"]))
def test_any_reply_has_a_program_or_a_reason(text, language):
    for reply in (text, f"```{language}\n{text}\n```", f"```{language}\n{text}"):
        extracted = program_in(reply, PYTHON)
        assert (extracted.program is None) != (extracted.reason is None)
