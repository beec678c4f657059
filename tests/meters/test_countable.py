from __future__ import annotations

from functools import partial
from itertools import permutations

import pytest

from hexgate.errors import InputError
from hexgate.meters.base import Domain, Kind, Scope, Unit
from hexgate.meters.countable import CONTAINS, contains, countable, doubts
from hexgate.meters.windows import NotMeasured, total


def _domain(scope: Scope, name: str = "", *, source: str = "test", device: str = "") -> Domain:
    name = name or scope.value
    return Domain(name, source, device or name, name, scope, Kind.GAUGE, Unit.WATT)


def test_what_another_contains_is_left_out() -> None:
    board, package, dram, module, rail, host = map(
        partial(_domain, device="one"),
        (Scope.BOARD, Scope.PACKAGE, Scope.DRAM, Scope.MODULE, Scope.RAIL, Scope.HOST),
    )
    assert countable([board, package, dram]) == (board, package, dram)
    assert countable([module, board, rail]) == (module,)
    assert countable([rail, package, module, dram]) == (module, dram)
    assert countable([board, host, package]) == (host,)
    assert countable([]) == ()


def test_two_of_a_kind_are_both_counted() -> None:
    boards = [_domain(Scope.BOARD, "a"), _domain(Scope.BOARD, "b")]
    assert countable(boards) == tuple(boards)


def test_rails_alone_are_no_total() -> None:
    assert countable([_domain(Scope.RAIL, "a"), _domain(Scope.RAIL, "b")]) == ()
    package = _domain(Scope.PACKAGE)
    assert countable([_domain(Scope.RAIL), package]) == (package,)


def test_another_gpu_beside_one_that_shows_its_module_is_counted() -> None:
    module = _domain(Scope.MODULE, "a", source="nvml")
    board = _domain(Scope.BOARD, "b", source="nvml")
    assert not contains(module, board)
    assert countable([module, board]) == (module, board)
    assert doubts([module, board], ()) == ()


def test_a_module_of_one_meter_and_a_board_of_another_leave_a_doubt() -> None:
    module, board = (
        _domain(Scope.MODULE, "VDD_IN", source="jetson"),
        _domain(Scope.BOARD, "gpu", source="nvml"),
    )
    assert countable([board, module]) == (module,)
    [reason] = doubts([board, module], ())
    assert reason == "gpu is not in it: whether it is a part of VDD_IN is not known"
    host = _domain(Scope.HOST, source="imported")
    assert countable([board, module, host]) == (host,)
    assert doubts([board, module, host], ()) == (), "a wall meter holds them all"


def test_an_import_is_not_added_to_a_built_in_domain_of_its_scope() -> None:
    board, plug = _domain(Scope.BOARD, "gpu", source="nvml"), _domain(Scope.BOARD, "plug", source="imported")
    assert countable([board, plug]) == (board,)
    assert doubts([board, plug], ()) == (
        "plug is not in it: it has the scope of gpu and may be the same device",
    )
    package = _domain(Scope.PACKAGE, source="rapl")
    assert countable([package, plug]) == (package, plug)


def test_what_could_not_be_read_is_a_doubt() -> None:
    board = _domain(Scope.BOARD, "gpu", source="nvml")
    lacks = [
        {"meter": "nvml", "what": "GPU 1", "reason": "it does not answer", "remedy": None},
        {"meter": "rapl", "what": "energy of package-1", "reason": "denied", "remedy": None},
        {
            "meter": "nvml",
            "what": "energy of single MIG instances of x",
            "reason": "whole board",
            "remedy": None,
        },
        {"meter": "jetson", "what": "power of a Jetson", "reason": "no Jetson", "remedy": None},
    ]
    assert doubts([board], lacks) == (
        "GPU 1 is not in it (nvml: it does not answer)",
        "energy of package-1 is not in it (rapl: denied)",
    )
    assert doubts([_domain(Scope.HOST)], lacks) == ()


@pytest.mark.parametrize("pair", list(permutations(Scope, 2)), ids="-".join)
def test_sum_refuses_exactly_what_is_left_out_here(pair: tuple[Scope, Scope]) -> None:
    """What `total` refuses and what `countable` leaves out are one rule."""
    domains = [_domain(scope, device="one") for scope in pair]
    energies = {domain.id: NotMeasured(domain.id, ("not looked at",)) for domain in domains}
    nested = any(inner in CONTAINS.get(outer, frozenset()) for outer, inner in permutations(pair))
    if nested:
        with pytest.raises(InputError, match="contains"):
            total(domains, energies)
    else:
        assert isinstance(total(domains, energies), NotMeasured)
    left = countable(domains)
    if left:
        assert isinstance(total(left, energies), NotMeasured)
