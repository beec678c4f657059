from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from hexgate.meters.base import Meter, MeterOptions, Scope, Unavailable
from hexgate.meters.rapl import open_meter
from hexgate.meters.windows import Energy, Window, energy_j


def _open(tree: Any, **kwargs: Any) -> Meter:
    meter = open_meter(MeterOptions(rapl_root=tree.root), **kwargs)
    assert not isinstance(meter, Unavailable)
    return meter


def _scopes(meter: Meter) -> dict[str, Scope]:
    return {domain.id: domain.scope for domain in meter.domains()}


def test_server_packages_with_their_memory_and_nothing_inside_them(powercap: Any) -> None:
    for socket in "01":
        powercap.zone(f"intel-rapl:{socket}", f"package-{socket}")
        powercap.zone(f"intel-rapl:{socket}:0", "core")
        powercap.zone(f"intel-rapl:{socket}:1", "dram")
    meter = _open(powercap)
    assert _scopes(meter) == {
        "rapl:package-0": Scope.PACKAGE,
        "rapl:package-0-dram": Scope.DRAM,
        "rapl:package-1": Scope.PACKAGE,
        "rapl:package-1-dram": Scope.DRAM,
    }
    assert [reading.value for reading in meter.read()] == [1.0] * 4


def test_psys_is_never_read_beside_packages(powercap: Any) -> None:
    powercap.zone("intel-rapl:0", "package-0")
    powercap.zone("intel-rapl:1", "psys")
    assert list(_scopes(_open(powercap))) == ["rapl:package-0"]


def test_psys_alone_without_the_memory_inside_it(powercap: Any) -> None:
    powercap.zone("intel-rapl:0", "psys")
    powercap.zone("intel-rapl:0:0", "dram")
    assert _scopes(_open(powercap)) == {"rapl:psys": Scope.PSYS}


def test_two_dies_are_two_packages(powercap: Any) -> None:
    powercap.zone("intel-rapl:0", "package-0-die-0")
    powercap.zone("intel-rapl:1", "package-0-die-1")
    assert len(_open(powercap).domains()) == 2


def test_duplicate_through_mmio_is_left_out_even_if_numbered_otherwise(powercap: Any) -> None:
    powercap.zone("intel-rapl:0", "psys")
    powercap.zone("intel-rapl:1", "package-0", energy_uj=7_000_000)
    powercap.zone("intel-rapl:1:0", "dram", energy_uj=2_000_000)
    powercap.zone("intel-rapl-mmio:0", "package-0", energy_uj=99_000_000)
    powercap.zone("intel-rapl-mmio:0:0", "dram", energy_uj=98_000_000)
    meter = _open(powercap)
    assert {reading.domain: reading.value for reading in meter.read()} == {
        "rapl:package-0": 7.0,
        "rapl:package-0-dram": 2.0,
    }


def test_mmio_serves_where_it_is_all_there_is(powercap: Any) -> None:
    powercap.zone("intel-rapl-mmio:0", "package-0")
    assert list(_scopes(_open(powercap))) == ["rapl:package-0"]


def test_links_that_lead_in_a_circle_are_harmless(powercap: Any) -> None:
    counter = powercap.zone("intel-rapl:0", "package-0")
    (counter.parent / "device").symlink_to(powercap.root, target_is_directory=True)
    (powercap.root / "intel-rapl:9").symlink_to("intel-rapl:9")
    assert list(_scopes(_open(powercap))) == ["rapl:package-0"]


def test_counter_that_only_root_may_read_is_told_with_the_exact_remedy(powercap: Any) -> None:
    powercap.zone("intel-rapl:0", "package-0")

    def closed(path: Path) -> str:
        # The test may run as root, whom the mode 0400 would not stop.
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return path.read_text(encoding="ascii")

    lack = open_meter(MeterOptions(rapl_root=powercap.root), read_text=closed)
    assert isinstance(lack, Unavailable)
    assert "Permission denied" in lack.reason
    assert f"sudo chmod a+r {powercap.root}/intel-rapl*/energy_uj" in str(lack.remedy)
    assert 'SUBSYSTEM=="powercap"' in str(lack.remedy)


def test_one_closed_zone_leaves_the_others(powercap: Any) -> None:
    powercap.zone("intel-rapl:0", "package-0")
    powercap.zone("intel-rapl:0:0", "dram").write_text("", encoding="ascii")
    meter = _open(powercap)
    assert list(_scopes(meter)) == ["rapl:package-0"]
    [lack] = meter.lacks()
    assert "not a number" in lack.reason


def test_failed_read_is_never_zero(powercap: Any) -> None:
    counter = powercap.zone("intel-rapl:0", "package-0")
    meter = _open(powercap)
    counter.unlink()
    [reading] = meter.read()
    assert reading.value is None
    assert reading.reason == "No such file or directory"


def test_range_is_the_tree_s_own_and_none_where_unreadable(powercap: Any) -> None:
    powercap.zone("intel-rapl:0", "package-0", range_uj=65_532_610_987)
    powercap.zone("intel-rapl:1", "package-1")
    (powercap.root / "intel-rapl:1" / "max_energy_range_uj").unlink()
    first, second = _open(powercap).domains()
    assert first.wrap_range_j == pytest.approx(65_532.610987)
    assert first.resolution == pytest.approx(15.258e-6, rel=1e-3)
    assert second.wrap_range_j is None


def test_no_tree_is_told(tmp_path: Path) -> None:
    lack = open_meter(MeterOptions(rapl_root=tmp_path / "nowhere"))
    assert isinstance(lack, Unavailable)
    assert "virtual machines" in lack.reason


def test_counter_that_wraps_while_it_is_written_adds_up(powercap: Any) -> None:
    """A writer adds 0.5 J at a time to a counter of 10 J; whatever is read, the joules add up."""
    step_uj, range_uj, steps = 500_000, 10_000_000, 200
    counter = powercap.zone("intel-rapl:0", "package-0", energy_uj=0, range_uj=range_uj)
    meter = _open(powercap)
    [domain] = meter.domains()
    trace: list[tuple[int, float]] = []
    seen = threading.Semaphore(0)
    written = threading.Semaphore(0)

    def write() -> None:
        for number in range(1, steps + 1):
            powercap.put(counter, number * step_uj % range_uj)
            written.release()
            seen.acquire()

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(steps):
        written.acquire()
        [reading] = meter.read()
        assert reading.value is not None
        trace.append((reading.t_ns, reading.value))
        seen.release()
    writer.join()
    energy = energy_j(trace, domain, Window(trace[0][0], trace[-1][0]), period_s=60)
    assert isinstance(energy, Energy), energy
    assert energy.energy_j == pytest.approx((steps - 1) * step_uj / 1e6, rel=1e-12)


def test_counter_is_kept_open_and_read_anew(powercap: Any) -> None:
    counter = powercap.zone("intel-rapl:0", "package-0", energy_uj=1_000_000)
    meter = _open(powercap)
    values = []
    for energy_uj in (2_000_000, 3_000_000):
        counter.write_text(f"{energy_uj}\n", encoding="ascii")
        values += [reading.value for reading in meter.read()]
    assert values == [2.0, 3.0]
    assert _times_open(counter) == 1
    meter.close()
    assert _times_open(counter) == 0


def test_counter_that_was_replaced_or_came_back_is_opened_again(powercap: Any) -> None:
    counter = powercap.zone("intel-rapl:0", "package-0", energy_uj=1_000_000)
    meter = _open(powercap)
    values = []
    for change in (
        lambda: None,
        lambda: powercap.put(counter, 2_000_000),
        counter.unlink,
        lambda: powercap.put(counter, 3_000_000),
    ):
        change()
        values += [reading.value for reading in meter.read()]
    assert values == [1.0, 2.0, None, 3.0]
    meter.close()


def _times_open(path: Path) -> int:
    return sum(os.path.realpath(file) == str(path) for file in Path("/proc/self/fd").iterdir())
