"""NVML's meter on boards whose power is known for every instant, through the official binding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynvml
import pytest

from hexgate.errors import InputError
from hexgate.meters import nvml as module
from hexgate.meters.base import Domain, Kind, Meter, MeterOptions, Reading, Scope, Unavailable, Unit
from hexgate.meters.host import open_meter as open_host
from hexgate.meters.rows import power_row, resources_row, traces
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j, total
from support.nvml_stub import NS_PER_S, Sensed, Waveform

UNSUPPORTED = -pynvml.NVML_ERROR_NOT_SUPPORTED
ORIGIN_NS = 1_000 * NS_PER_S
PERIOD_NS = 20_000_000
IDLE_W, DECODE_W = 65.0, 210.0


def _request(seconds: float) -> list[tuple[float, float]]:
    """A burst, then tokens with a ripple of 12.5 Hz, then a tail that cools."""
    ripple = [(0.04, DECODE_W + (30 if step % 2 else -30)) for step in range(round((seconds - 0.2) / 0.04))]
    return [(0.2, 320.0), *ripple, (0.2, 120.0), (0.2, 80.0)]


QUIET = Waveform.of([(2.0, IDLE_W), *_request(3.0), (3.0, IDLE_W)])
"""One request of 3 s from 2 s on, with its tail over at 5.4 s."""
AROUND = Window(ORIGIN_NS + 3 * NS_PER_S // 2, ORIGIN_NS + 6 * NS_PER_S)
"""A window whose edges lie in the quiet."""
STEADY = Waveform.of([(60.0, DECODE_W)])


class Clock:
    """The clock of the meter."""

    def __init__(self) -> None:
        self.now_ns = ORIGIN_NS

    def monotonic_ns(self) -> int:
        """Now."""
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


@pytest.fixture
def plug(nvml: Any, clock: Clock) -> Callable[[Sensed], None]:
    """Puts a board with such sensors into the machine."""

    def plugged(sensed: Sensed) -> None:
        def shown(what: str, read: Callable[[int], int]) -> Any:
            return UNSUPPORTED if what in sensed.lacks else lambda: read(clock.now_ns - ORIGIN_NS)

        def error() -> int:
            is_lost = sensed.lost_ns is not None and clock.now_ns - ORIGIN_NS >= sensed.lost_ns
            return pynvml.NVML_ERROR_GPU_IS_LOST if is_lost else 0

        nvml.add(
            sensed.uuid,
            energy_mj=shown("counter", sensed.energy_mj),
            instant_mw=shown("instant", sensed.instant_mw),
            average_mw=shown("power", sensed.average_mw),
            memory_used=UNSUPPORTED if "memory" in sensed.lacks else 3 * 2**30,
            capability=sensed.capability,
            mig=int(sensed.is_mig),
            error=error,
        )

    return plugged


def _open() -> Meter:
    meter = module.open_meter(MeterOptions())
    assert not isinstance(meter, Unavailable)
    return meter


def _read(meter: Meter, clock: Clock, seconds: float) -> list[Reading]:
    """Read every 20 ms for so long."""
    readings: list[Reading] = []
    end_ns = clock.now_ns + round(seconds * NS_PER_S)
    while clock.now_ns < end_ns:
        readings += meter.read()
        clock.now_ns += PERIOD_NS
    return readings


def _energy(readings: list[Reading], domain: Domain, window: Window) -> Energy | NotMeasured:
    return energy_j(traces(map(power_row, readings)).get(domain.id, ()), domain, window)


@pytest.mark.parametrize("phase_ms", range(0, 100, 9))
def test_counter_is_right_whatever_its_phase(
    plug: Callable[[Sensed], None], clock: Clock, phase_ms: int
) -> None:
    plug(Sensed("GPU-a", QUIET, phase_ns=phase_ms * 1_000_000))
    meter = _open()
    [domain] = meter.domains()
    assert domain.kind is Kind.COUNTER
    energy = _energy(_read(meter, clock, 8.0), domain, AROUND)
    meter.close()
    assert isinstance(energy, Energy), energy
    truth = QUIET.energy_j(AROUND.start_ns - ORIGIN_NS, AROUND.end_ns - ORIGIN_NS)
    # At either edge at most what the board draws between two refreshes, and between two readings.
    assert abs(energy.energy_j - truth) <= 2 * IDLE_W * 0.12
    assert energy.energy_j == pytest.approx(truth, rel=0.02)


def test_momentary_power_is_right_where_there_is_no_counter(
    plug: Callable[[Sensed], None], clock: Clock
) -> None:
    plug(Sensed("GPU-a", QUIET, phase_ns=37_000_000, lacks=("counter",)))
    meter = _open()
    [domain] = meter.domains()
    assert (domain.kind, domain.unit, domain.averaging_s) == (Kind.GAUGE, Unit.WATT, 0.0)
    energy = _energy(_read(meter, clock, 8.0), domain, AROUND)
    meter.close()
    assert isinstance(energy, Energy), energy
    truth = QUIET.energy_j(AROUND.start_ns - ORIGIN_NS, AROUND.end_ns - ORIGIN_NS)
    assert energy.energy_j == pytest.approx(truth, rel=0.05)


def test_averaged_power_is_late_and_says_so(plug: Callable[[Sensed], None], clock: Clock) -> None:
    board = Sensed("GPU-a", QUIET, lacks=("counter", "instant"))
    plug(board)
    meter = _open()
    [domain] = meter.domains()
    assert domain.averaging_s == 1.0
    readings = _read(meter, clock, 8.0)
    meter.close()
    shown = {reading.t_ns - ORIGIN_NS: reading.value for reading in readings}
    # 0.2 s at 320 W are a fifth of the second before.
    at_ns = 2 * NS_PER_S + NS_PER_S // 5
    assert shown[at_ns] == pytest.approx(0.8 * IDLE_W + 0.2 * 320.0, abs=1e-3)
    assert shown[at_ns] == board.average_mw(at_ns) / 1e3
    energy = _energy(readings, domain, AROUND)
    assert isinstance(energy, NotMeasured) or energy.degraded


@pytest.mark.parametrize(
    ("capability", "averaging_s"),
    [((7, 0), 0.0), ((7, 5), 0.0), ((8, 0), 0.0), ((8, 6), 1.0), ((9, 0), 1.0), (UNSUPPORTED, 1.0)],
)
def test_power_is_averaged_from_ampere_on_but_for_ga100(
    nvml: Any, capability: tuple[int, int] | int, averaging_s: float
) -> None:
    nvml.add("GPU-a", energy_mj=UNSUPPORTED, instant_mw=UNSUPPORTED, capability=capability)
    meter = _open()
    assert [domain.averaging_s for domain in meter.domains()] == [averaging_s]
    meter.close()


def test_driver_loaded_anew_is_no_energy(plug: Callable[[Sensed], None], clock: Clock) -> None:
    plug(Sensed("GPU-a", STEADY, reset_ns=5 * NS_PER_S))
    meter = _open()
    [domain] = meter.domains()
    readings = _read(meter, clock, 10.0)
    meter.close()
    found = {
        name: _energy(readings, domain, Window(ORIGIN_NS + begin * NS_PER_S, ORIGIN_NS + end * NS_PER_S))
        for name, begin, end in [("before", 1, 4), ("across", 3, 7), ("after", 6, 9)]
    }
    assert isinstance(found["across"], NotMeasured)
    assert "reset" in found["across"].reasons[0]
    for name in ("before", "after"):
        one = found[name]
        assert isinstance(one, Energy), one
        assert one.energy_j == pytest.approx(3 * DECODE_W, rel=0.02)


def test_board_that_is_lost_in_the_middle_takes_none_with_it(
    plug: Callable[[Sensed], None], clock: Clock
) -> None:
    plug(Sensed("GPU-a", STEADY))
    plug(Sensed("GPU-b", STEADY, lost_ns=4 * NS_PER_S))
    meter = _open()
    kept, lost = meter.domains()
    readings = _read(meter, clock, 8.0)
    meter.close()
    of_lost = [reading for reading in readings if reading.domain == lost.id]
    assert {reading.reason for reading in of_lost if reading.value is None} == {"GPU is lost"}
    assert [reading.value is None for reading in of_lost] == [False] * 200 + [True] * 200
    assert all(reading.value is not None for reading in readings if reading.domain == kept.id)
    window = Window(ORIGIN_NS + 2 * NS_PER_S, ORIGIN_NS + 7 * NS_PER_S)
    energies = {domain.id: _energy(readings, domain, window) for domain in (kept, lost)}
    assert isinstance(energies[kept.id], Energy)
    assert isinstance(energies[lost.id], NotMeasured)
    whole = total((kept, lost), energies)
    assert isinstance(whole, NotMeasured)
    assert whole.reasons[0].startswith("nvml:GPU-b: the last reading is 3.0")


def test_several_boards_are_told_apart_and_added_up(plug: Callable[[Sensed], None], clock: Clock) -> None:
    plug(Sensed("GPU-a", STEADY))
    plug(Sensed("GPU-b", Waveform.of([(60.0, 2 * DECODE_W)]), lacks=("counter",)))
    meter = _open()
    readings = _read(meter, clock, 6.0)
    meter.close()
    window = Window(ORIGIN_NS + NS_PER_S, ORIGIN_NS + 5 * NS_PER_S)
    energies = {domain.id: _energy(readings, domain, window) for domain in meter.domains()}
    whole = total(meter.domains(), energies)
    assert isinstance(whole, Energy)
    assert whole.energy_j == pytest.approx(3 * DECODE_W * 4, rel=0.02)


def test_divided_board_is_measured_as_a_whole_and_its_instances_are_refused(
    plug: Callable[[Sensed], None], clock: Clock
) -> None:
    plug(Sensed("GPU-a", STEADY, is_mig=True))
    meter = _open()
    [domain] = meter.domains()
    assert (domain.device, domain.scope, domain.kind) == ("GPU-a", Scope.BOARD, Kind.COUNTER)
    [lack] = meter.lacks()
    assert "MIG instances" in lack.what
    assert "all its instances" in lack.reason
    assert lack.remedy
    meter.close()


def test_virtual_board_without_power_is_a_lack_and_never_zero(
    plug: Callable[[Sensed], None], clock: Clock
) -> None:
    plug(Sensed("GPU-v", STEADY, name="NVIDIA A40-8Q", lacks=("counter", "instant", "power")))
    plug(Sensed("GPU-a", STEADY))
    meter = _open()
    assert [domain.device for domain in meter.domains()] == ["GPU-a"]
    [lack] = meter.lacks()
    assert "GPU-v" in lack.what
    assert "Not Supported" in lack.reason
    assert "virtual" in str(lack.remedy)
    assert {reading.domain for reading in meter.read()} == {"nvml:GPU-a"}
    meter.close()


def test_power_of_a_module_is_not_taken_for_a_boards(nvml: Any) -> None:
    nvml.add(
        "GPU-a",
        energy_mj=UNSUPPORTED,
        instant_mw=UNSUPPORTED,
        average_mw=UNSUPPORTED,
        module_mw=612_000,
    )
    meter = _open()
    [domain] = meter.domains()
    assert (domain.scope, domain.kind, domain.averaging_s) == (Scope.MODULE, Kind.GAUGE, 0.0)
    assert [reading.value for reading in meter.read()] == [612.0]
    package = Domain("rapl:package-0", "rapl", "package-0", "CPU", Scope.PACKAGE, Kind.COUNTER, Unit.JOULE)
    with pytest.raises(InputError, match="contains"):
        total((domain, package), {})
    meter.close()


def test_sensor_that_shows_no_power_is_not_believed(nvml: Any) -> None:
    nvml.add("GPU-a", energy_mj=UNSUPPORTED, instant_mw=0)
    meter = _open()
    assert [domain.averaging_s for domain in meter.domains()] == [1.0]
    meter.close()
    nvml.boards.clear()
    nvml.add("GPU-b", energy_mj=UNSUPPORTED, instant_mw=0, average_mw=0)
    meter = _open()
    assert meter.domains() == ()
    assert "it shows 0 W" in meter.lacks()[0].reason
    meter.close()


def test_machine_without_gpu_memory_to_show_still_shows_power(
    plug: Callable[[Sensed], None], clock: Clock
) -> None:
    plug(Sensed("GPU-a", STEADY, lacks=("memory",)))
    meter = _open()
    assert [domain.kind for domain in meter.domains()] == [Kind.COUNTER]
    meter.close()
    host = open_host(MeterOptions())
    assert not isinstance(host, Unavailable)
    row = resources_row(host.read(), host.lacks())
    host.close()
    assert row["gpu_memory_used_bytes"] == [None]
    assert row["missing"]["gpu_memory_used_bytes.0"] == "Not Supported"
    assert (row["gpu_util_ratio"], row["gpu_temperature_c"]) == ([0.37], [45])


def test_driver_that_cannot_count_its_gpus_says_why(nvml: Any) -> None:
    nvml.add("GPU-a")
    nvml._nvmlDeviceGetCount_v2 = lambda _: pynvml.NVML_ERROR_UNKNOWN
    lack = module.open_meter(MeterOptions())
    assert isinstance(lack, Unavailable)
    assert "Unknown Error" in lack.reason


def test_driver_that_is_gone_does_not_break_the_end(nvml: Any) -> None:
    nvml.add("GPU-a")
    meter = _open()
    nvml._nvmlShutdown = lambda: pynvml.NVML_ERROR_UNINITIALIZED
    meter.close()
    nvml.open_count = 0


def test_error_without_a_name_is_told_by_its_number(nvml: Any) -> None:
    board = nvml.add("GPU-a")
    meter = _open()
    board.energy_mj = -77
    [reading] = meter.read()
    assert reading.value is None
    assert "77" in str(reading.reason)
    meter.close()


def test_name_that_is_no_text_is_left_out(nvml: Any) -> None:
    def garbled(_handle: Any, buffer: Any, _length: Any) -> int:
        buffer.value = b"\xff\xfe"
        return 0

    nvml.add("GPU-a")
    nvml._nvmlDeviceGetName = garbled
    meter = _open()
    assert [domain.label for domain in meter.domains()] == ["GPU-a"]
    meter.close()
