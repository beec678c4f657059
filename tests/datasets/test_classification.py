from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.datasets.classification import read_items
from hexgate.errors import DataError, InputError
from hexgate.reference import digits_data


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def read_or_refuse(path: Path) -> bool:
    """Whether a file is either read, with items in it, or refused with an error that names it."""
    try:
        return bool(read_items(path).items)
    except DataError as error:
        return str(path) in str(error)


def test_embedded_digits() -> None:
    found = read_items("demo:")
    assert found.path == digits_data()
    assert found.items_total == len(found.items) > 500
    assert found.labels_seen == tuple("0123456789")
    assert all(item.shape == (64,) and item.features is not None for item in found.items)
    assert found.sha256 == hashlib.sha256(digits_data().read_bytes()).hexdigest()


def test_the_limit_leaves_total_and_digest_alone() -> None:
    everything, some = read_items("demo:"), read_items("demo:", limit=7)
    assert len(some.items) == 7
    assert (some.items_total, some.sha256) == (everything.items_total, everything.sha256)
    assert some.items == everything.items[:7]
    assert some.to_block(7, 7) == {
        "name": "val.jsonl",
        "sha256": everything.sha256,
        "items": everything.items_total,
        "used": 7,
        "limit": 7,
        "split": everything.split,
    }


FORMS = {
    "list.json": '[{"x": [1, 2], "y": 0}, {"x": [3, 4.5], "y": 1}]',
    "items.json": '{"items": [{"features": [1, 2], "label": 0}, {"features": [3, 4.5], "label": "1"}]}',
    "rows.jsonl": '{"input":[1,2],"label":0}\n\n{"image":[3,4.5],"target":true}\n',
    "crlf.jsonl": '{"input":[1,2],"label":0}\r\n{"input":[3,4.5],"label":1}\r\n',
    "bom.jsonl": b'\xef\xbb\xbf{"input":[1,2],"label":0}\n{"input":[3,4.5],"label":1}',
    "columns.csv": "label,x0,x1\n0,1,2\n1,3,4.5\n",
    "columns-bom-crlf.csv": b"\xef\xbb\xbfx0,x1,label\r\n1,2,0\r\n3,4.5,1\r\n",
    "cell.csv": 'input,answer\n"[1, 2]",0\n"[3, 4.5]",1\n',
    "tabs.tsv": "y\ta\tb\n0\t1\t2\n1\t3\t4.5\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_features(tmp_path: Path, name: str) -> None:
    found = read_items(write(tmp_path, name, FORMS[name]))
    assert [item.features for item in found.items] == [(1.0, 2.0), (3.0, 4.5)]
    assert [item.shape for item in found.items] == [(2,), (2,)]
    assert [item.label for item in found.items] == ["0", "true" if name == "rows.jsonl" else "1"]
    assert [item.id for item in found.items] == ["0", "1"]
    assert found.items_total == 2


def test_text_items(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", 'id,label,text,lang\na,正面,"很好，\n喜欢",zh\nb,negative,bad,en\n')
    found = read_items(path)
    assert [(item.id, item.label, item.text, item.features) for item in found.items] == [
        ("a", "正面", "很好，\n喜欢", None),
        ("b", "negative", "bad", None),
    ]
    assert found.labels_seen == ("negative", "正面")


def test_header_and_nesting(tmp_path: Path) -> None:
    items = [
        {"image": [[1, 2, 3], [4, 5, 6]], "label": 10},
        {"image": [[0] * 3] * 2, "label": 9, "text": "t"},
    ]
    found = read_items(
        write(tmp_path, "n.json", json.dumps({"name": "mine", "split": "test", "items": items}))
    )
    assert (found.name, found.split, found.labels_seen) == ("mine", "test", ("9", "10"))
    assert found.items[0].features == (1, 2, 3, 4, 5, 6)
    assert found.items[0].shape == (2, 3)
    assert found.items[1].text == "t"


def test_split_of_the_rows(tmp_path: Path) -> None:
    one = '{"x":[1],"y":1,"split":"val"}\n'
    assert read_items(write(tmp_path, "a.jsonl", one * 2)).split == "val"
    assert read_items(write(tmp_path, "b.jsonl", one + '{"x":[1],"y":1,"split":"train"}')).split is None


LABELS = [
    (3, "3"),
    (True, "true"),
    (False, "false"),
    ("a b ", "a b"),
    (3.0, "3"),
    (-1, "-1"),
    ("类别", "类别"),
]


@pytest.mark.parametrize(("stated", "expected"), LABELS)
def test_labels(tmp_path: Path, stated: object, expected: str) -> None:
    path = write(tmp_path, "l.json", json.dumps([{"x": [1], "y": stated}]))
    assert read_items(path).items[0].label == expected


BAD_ROWS = {
    "no label": ('{"x":[1]}', "line 2: has no label"),
    "null label": ('{"x":[1],"y":null}', "line 2: has no label"),
    "empty label": ('{"x":[1],"y":" "}', "is empty"),
    "list label": ('{"x":[1],"y":["a"]}', "expected a string"),
    "fractional label": ('{"x":[1],"y":1.5}', "expected a string"),
    "NaN label": ('{"x":[1],"y":NaN}', "expected a string"),
    "two labels": ('{"x":[1],"y":1,"label":2}', "both 'label' and 'y'"),
    "no input": ('{"y":1}', "neither features"),
    "two inputs": ('{"x":[1],"input":[2],"y":1}', "both 'input' and 'x'"),
    "NaN": ('{"x":[NaN],"y":1}', "features[0] hold nan"),
    "infinity": ('{"x":[1e999],"y":1}', "features[0] hold inf"),
    "null inside": ('{"x":[null],"y":1}', "hold None"),
    "text inside": ('{"x":["1"],"y":1}', "hold '1'"),
    "truth inside": ('{"x":[true],"y":1}', "hold True"),
    "other length": ('{"x":[1,2],"y":1}', "of 2 numbers, others have of 1 numbers"),
    "ragged": ('{"x":[[1,2],[3]],"y":1}', "unequal length"),
    "mixed": ('{"x":[[1,2],3],"y":1}', "mix lists and numbers"),
    "empty features": ('{"x":[],"y":1}', "an empty list"),
    "features as text": ('{"x":"abc","y":1}', "hold 'abc'"),
    "not an object": ("[1]", "is list, expected an object"),
    "not JSON": ("{x:1}", "not JSON"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "long number": ('{"x":[' + "9" * 5000 + '],"y":1}', "line 2: "),
    "duplicate id": ('{"id":"0","x":[1],"y":1}', "the id '0' stands already at line 1"),
    "bad id": ('{"id":[1],"x":[1],"y":1}', "the id is list"),
    "half a surrogate": ('{"text":"\\ud800","y":1}', "surrogate"),
    "text of another type": ('{"text":5,"y":1}', "expected a string"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows(tmp_path: Path, name: str) -> None:
    row, message = BAD_ROWS[name]
    path = write(tmp_path, "bad.jsonl", '{"x":[1],"y":1}\n' + row + "\n")
    with pytest.raises(DataError) as caught:
        read_items(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_all_mistakes_at_once_up_to_twenty(tmp_path: Path) -> None:
    path = write(tmp_path, "bad.jsonl", '{"x":[1]}\n' * 33)
    with pytest.raises(DataError) as caught:
        read_items(path)
    message = str(caught.value)
    assert "33 mistakes" in message
    assert message.count("has no label") == 20
    assert "line 20: " in message
    assert "... and 13 more" in message


BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "empty.jsonl": (b"", "is empty"),
    "blank.jsonl": ("\n \n", "no rows"),
    "empty.json": ("[]", "no rows"),
    "header.csv": ("label,x0\n", "no rows"),
    "object.json": ('{"a": 1}', 'a list under "items"'),
    "broken.json": ('[{"x": [1], "y": 1},\n {"x": ', "line 2, column 8"),
    "lines.json": ('{"x":[1],"y":1}\n{"x":[1],"y":2}\n', "suffix .jsonl"),
    "numbers.csv": ("0,1,2\n1,3,4\n", "names of columns"),
    "twice.csv": ("label,x,x\n0,1,2\n", "stands twice"),
    "short.csv": ("label,x0,x1\n0,1\n", "line 2: has 2 cells, the header has 3"),
    "word.csv": ("label,x0\n0,red\n", "the column 'x0' holds 'red'"),
    "nan.csv": ("label,x0\n0,nan\n", "expected a finite number"),
    "gap.csv": ("label,x0\n0,\n", "the column 'x0' holds ''"),
    "quote.csv": ('label,text\na,"open\n', "not CSV"),
    "gbk.jsonl": ('{"text":"很好","label":"正面"}'.encode("gbk"), "iconv -f GB18030 -t UTF-8"),
    "gbk.csv": ("label,text\n正面,很好\n".encode("gbk"), "line 2, byte 1"),
    "utf16.csv": ("label,text\na,b\n".encode("utf-16"), "UTF-16"),
    "latin.csv": ("label,text\na,caf\xe9\n".encode("latin-1"), "not UTF-8"),
    "table.xlsx": (b"PK\x03\x04", "save the sheet as CSV"),
    "data.parquet": (b"PAR1", "expected .json"),
    "plain.txt": ("a line", "expected .json"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(tmp_path: Path, name: str) -> None:
    content, message = BAD_FILES[name]
    path = write(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        read_items(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_file_folder_and_limit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_items(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="is a folder"):
        read_items(tmp_path)
    with pytest.raises(InputError, match="1 or more"):
        read_items("demo:", limit=0)


def test_mistakes_beyond_the_limit_do_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"x":[1],"y":1}\n' * 3 + "broken\n")
    assert len(read_items(path, limit=3).items) == 3
    with pytest.raises(DataError, match="line 4: not JSON"):
        read_items(path, limit=4)


@given(st.binary(max_size=300), st.sampled_from([".json", ".jsonl", ".csv", ".tsv"]))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"data{suffix}"
    path.write_bytes(data)
    assert read_or_refuse(path)


def test_mutated_rows_are_read_or_refused(tmp_path: Path) -> None:
    chance = random.Random(3)
    original = b'{"id":"a","x":[[1,2.5],[3,4]],"label":"yes"}\n{"id":"b","x":[[0,0],[0,1]],"label":"no"}\n'
    for _ in range(300):
        data = bytearray(original)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.choice(b'{}[]",:0eNaN-\xff\n ')
        assert read_or_refuse(write(tmp_path, "m.jsonl", bytes(data)))
