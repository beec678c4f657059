from __future__ import annotations

import pytest

from hexgate.meters.jetson_boards import BOARDS, TABLE, Board, board_of, parts_of
from support.jetson_trees import KITS


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_statement_has_a_source_and_no_total_adds_a_container_to_its_part(board: Board) -> None:
    assert TABLE == "jetson-boards/1"
    assert board.sources
    assert all(mark == mark.lower() for mark in board.marks)
    assert bool(board.totals) != bool(board.likely)
    assert board.totals or board.doubt
    for names in (*board.totals, board.likely):
        assert len(set(names)) == len(names)
        for name in names:
            assert not parts_of(board, name) & set(names)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("NVIDIA Jetson Nano Developer Kit nvidia,jetson-nano nvidia,tegra210", "Jetson Nano"),
        ("NVIDIA Jetson Orin Nano Developer Kit", "Jetson Orin NX or Orin Nano"),
        ("NVIDIA Jetson TX2 NX Developer Kit nvidia,p3509-0000+p3636-0001", "Jetson TX2 NX"),
        ("nvidia,p3449-0000+p3668-0000 nvidia,tegra194", "Jetson Xavier NX"),
        ("nvidia,jetson-xavier-nx nvidia,tegra194", "Jetson Xavier NX"),
        ("NVIDIA Jetson AGX Xavier nvidia,p2888 nvidia,tegra194", "Jetson AGX Xavier"),
        ("carrier of a third party nvidia,p3701-0005 nvidia,tegra234", "Jetson AGX Orin"),
        ("jetson_tx1 nvidia,p2597-2180 nvidia,jetson-cv nvidia,tegra210", "Jetson TX1"),
    ],
)
def test_board_is_known_by_its_module(words: str, name: str) -> None:
    board = board_of(words)
    assert board is not None
    assert board.name == name


def test_boards_of_the_trees_are_all_known_and_others_are_not() -> None:
    assert None not in [board_of(f"{kit.model} {' '.join(kit.compatible)}") for kit in KITS.values()]
    assert board_of("nvidia,p9999 nvidia,tegra999") is None
