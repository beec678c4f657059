"""The header of a GGUF file: what it says, and every way in which it can be broken."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.errors import InputError
from hexgate.study.edge.gguf_file import FILE_TYPES, read_gguf
from support.gguf_headers import ARRAY, PAIRS, STRING, TENSORS, U32, header, text, write_header


@pytest.mark.parametrize("version", [2, 3])
def test_what_a_header_says(tmp_path: Path, version: int) -> None:
    path = tmp_path / "tiny.gguf"
    data = write_header(path, version=version)
    found = read_gguf(path)
    assert (found.version, found.size_bytes) == (version, len(data))
    assert (found.name, found.architecture) == ("Tiny 你好", "llama")
    assert found.quantization == "Q6_K"
    assert found.parameters == 64 * 3 + 64
    assert found.context_length == 2048
    assert found.files == 1


def test_what_it_does_not_say_is_none_and_never_0(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(header({}, ()))
    found = read_gguf(path)
    assert (found.name, found.architecture, found.context_length, found.parameters) == (None,) * 4
    assert found.quantization is None


def test_a_quantisation_that_only_the_name_states_is_taken_from_it(tmp_path: Path) -> None:
    path = tmp_path / "qwen1_5-1_8b-chat-q6_k.gguf"
    write_header(path, {name: pair for name, pair in PAIRS.items() if name != "general.file_type"})
    assert read_gguf(path).quantization == "Q6_K"


def test_a_guessed_file_type_is_read_without_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_header(path, {**PAIRS, "general.file_type": (U32, 1024 + 15)})
    assert read_gguf(path).quantization == "Q4_K_M"


def test_the_first_of_several_files_has_no_count_of_parameters(tmp_path: Path) -> None:
    path = tmp_path / "big-00001-of-00003.gguf"
    write_header(path, {**PAIRS, "split.count": (U32, 3)})
    found = read_gguf(path)
    assert (found.files, found.parameters) == (3, None)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a GGUF file"),
        (b"PK\x03\x04" + bytes(64), "not a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "this version of GGUF"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big endian"),
        (b"GGUF\x03", "cut off"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "cannot be"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "cannot be"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**50), "cannot be"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("key") + struct.pack("<I", 77), "unknown type"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("key") + struct.pack("<IIQ", ARRAY, ARRAY, 1),
            "unknown type",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("key") + struct.pack("<IIQ", ARRAY, U32, 2**20),
            "cut off",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("key") + struct.pack("<IQ", STRING, 2**20),
            "cut off",
        ),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + text("w") + struct.pack("<I", 99), "99 dimensions"),
    ],
)
def test_a_broken_file_gives_one_clear_error(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_gguf(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_ends_before_its_last_tensor_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "half.gguf"
    data = write_header(path)
    path.write_bytes(data[: len(header()) + 100])
    with pytest.raises(InputError, match="cut off"):
        read_gguf(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_gguf(tmp_path / "none.gguf")
    with pytest.raises(InputError, match="cannot be read"):
        read_gguf(tmp_path)


@given(cut=st.integers(0, len(header()) - 1))
def test_wherever_a_header_is_cut_it_is_refused(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.gguf"
    path.write_bytes(header()[:cut])
    with pytest.raises(InputError):
        read_gguf(path)


@given(at=st.integers(0, len(header()) - 1), byte=st.integers(0, 255))
def test_any_byte_may_be_wrong(at: int, byte: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "wrong.gguf"
    data = bytearray(header(PAIRS, TENSORS) + bytes(2048))
    data[at] = byte
    path.write_bytes(bytes(data))
    # Another number is another model; whatever else it is, it is one error and no fault.
    with suppress(InputError):
        assert read_gguf(path).size_bytes == len(data)


def test_names_of_file_types_are_those_that_names_of_files_have() -> None:
    assert {FILE_TYPES[7], FILE_TYPES[15], FILE_TYPES[18], FILE_TYPES[32]} == {
        "Q8_0",
        "Q4_K_M",
        "Q6_K",
        "BF16",
    }
    assert len(set(FILE_TYPES.values())) == len(FILE_TYPES)
