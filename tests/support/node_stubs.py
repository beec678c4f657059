"""A pretend node: stub programs that record how they are called and play authored output. None is the real thing.

The output is written by hand after the public formats of nvidia-smi, nvpmodel, jetson_clocks and tegrastats. What is
real is bash, run.sh, and the files and processes that it handles.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hexgate.platforms import platform
from hexgate.platforms.spec import JobSpec, parse_spec
from support.command import Ended

RUN_ID = "20261121T021951Z-0a1b2c3d"
NO_PERMISSION = "The current user does not have permission to change clocks for GPU 00000000:17:00.0."
BUSY = ("0, 1980, 2619, 97, 0x0000000000000000", "1, 1980, 2619, 95, 0x0000000000000004")
IDLE = ("0, 345, 2619, 0, 0x0000000000000001", "1, 345, 2619, 0, 0x0000000000000001")
TEGRA_BUSY = (
    "11-21-2026 02:20:01 RAM 4071/15823MB (lfb 4x4MB) CPU [12%@2201,9%@2201] EMC_FREQ 3%@3199 "
    "GR3D_FREQ 88%@1300 gpu@51.2C VDD_IN 9390mW/8387mW"
)
TEGRA_IDLE = TEGRA_BUSY.replace("88%@1300", "0%@306")

_RECORD = r"""
{ printf '%s' "${0##*/}"; printf '\t%s' "$@"; printf '\n'; } >>"$NODE/calls"
play() { [[ -e $NODE/play/$1 ]]; }
"""
_STUBS = {
    "nvidia-smi": r"""
case " $* " in
  *" --help-query-gpu "*) cat "$NODE/play/fields" ;;
  *--loop=*)
    mapfile -t rows <"$NODE/play/rows"
    echo $$ >"$NODE/sampler"
    while :; do for row in "${rows[@]}"; do printf '%s\n' "$row" || exit 0; done; sleep 0.02; done
    ;;
  *" --query-supported-clocks=graphics "*) printf '1980\n1965\n345\n' ;;
  *" --query-supported-clocks=memory "*) printf '2619\n' ;;
  *" --query-gpu=index "*) printf '0\n1\n' ;;
  *" --query-gpu=clocks.default_applications.graphics "*) cat "$NODE/play/default_clock" ;;
  *"--id=0 --query-gpu=pci.bus_id "*) echo 00000000:17:00.0 ;;
  *"--id=1 --query-gpu=pci.bus_id "*) echo 00000000:A1:00.0 ;;
  *" --lock-"*)
    if play deny_smi; then cat "$NODE/play/deny_smi"; exit 4; fi
    if play half && [[ $1 == --id=1 ]]; then echo "Unable to set clocks: Unknown Error"; exit 9; fi
    if play unsupported; then echo "Setting locked GPU clocks is not supported for GPU 00000000:17:00.0."; exit 0; fi
    printf '%s\n' "${2#*=}" >"$NODE/machine/${2%%=*}.${1#--id=}"
    ;;
  *" --reset-"*)
    if play stuck; then echo "Unknown Error"; exit 9; fi
    rm -f "$NODE/machine/${2/--reset-/--lock-}.${1#--id=}"
    ;;
  *) exit 2 ;;
esac
""",
    "nvpmodel": r"""
case $1 in
  -q)
    mode=$(<"$NODE/machine/power_mode")
    printf 'NV Fan Mode:quiet\nNV Power Mode: %s\n%s\n' "$(sed -n "$((mode + 1))p" "$NODE/play/modes")" "$mode"
    ;;
  -m)
    if play deny_nvpmodel; then echo "NVPM ERROR: must be root" >&2; exit 1; fi
    if play reboot; then
      echo "NVPM WARN: Reboot required for changing to this power mode: $2"
      echo "NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:"
      read -r answer || exit 1
      echo "$answer" >"$NODE/machine/rebooted"
    fi
    echo "$2" >"$NODE/machine/power_mode"
    ;;
esac
""",
    "jetson_clocks": r"""
case ${1-} in
  --store) cat "$NODE/machine/clocks" >"$2" ;;
  --restore) cat "$2" >"$NODE/machine/clocks" ;;
  '')
    if play half; then echo part >"$NODE/machine/clocks"; echo "cannot access the EMC clock" >&2; exit 1; fi
    echo max >"$NODE/machine/clocks"
    ;;
esac
""",
    "tegrastats": r"""
mapfile -t rows <"$NODE/play/rows"
echo $$ >"$NODE/sampler"
while :; do for row in "${rows[@]}"; do printf '%s\n' "$row" || exit 0; done; sleep 0.02; done
""",
    "timeout": r"""
if play early; then
  # As coreutils' own where the signal comes between its fork and the note of its child: it ends, and its child goes on.
  while [[ $1 == --* ]]; do shift; done
  shift
  trap 'exit 143' TERM
  "$@" &
  wait
  exit
fi
exec "$(PATH=/usr/bin:/bin command -v timeout)" "$@"
""",
    "docker": r"""
case "$1 ${2-}" in
  "container inspect") play exists; exit ;;
  inspect*)
    if [[ $* == *State.Running* ]]; then kill -0 "$(cat "$NODE/pid-$4" 2>/dev/null)" 2>/dev/null && echo true; exit; fi
    if play oom; then echo true; else echo false; fi
    exit
    ;;
  "run --rm") if play no_cuda; then echo "OSError: libcuda.so.1: cannot open shared object file"; exit 1; fi; exit 0 ;;
  "ps "*) if play left; then echo 0123456789ab; fi; exit ;;
  "run "*) ;;
  "stop "*) kill -TERM "$(cat "$NODE/pid-$4" 2>/dev/null)" 2>/dev/null; exit 0 ;;
  *) exit 0 ;;
esac
trap 'echo TERM >>"$NODE/stopped"; exit "$(cat "$NODE/play/stopped_with" 2>/dev/null || echo 130)"' TERM
for word in "$@"; do
  if [[ $word == *,target=/observed,* ]]; then record=${word#*source=}; record=${record%%,*}/state.jsonl; fi
  if [[ $word == hexgate-* ]]; then name=$word; fi
done
echo $$ >"$NODE/pid-$name"
echo $PPID >"$NODE/started-$name"
if play hang; then while :; do sleep 0.02; done; fi
if grep -q '"kind":"source"' "$record"; then
  for _ in {1..500}; do
    (($(grep -c '"kind":"sample"' "$record") < 6)) || break
    sleep 0.02
  done
fi
echo "the job's own words"
exit "$(cat "$NODE/play/code-$name" "$NODE/play/code" 2>/dev/null | head -n 1)"
""",
    "sudo": r"""
if play deny_sudo; then echo "sudo: a password is required" >&2; exit 1; fi
[[ $1 == -n && $2 == -k ]] || exit 2
shift 2
exec "$@"
""",
}


@dataclass
class Node:
    """One pretend node in a folder."""

    folder: Path
    kind: str
    """``dgx`` or ``jetson``."""
    spec: dict[str, Any] = field(default_factory=dict)
    """Keys of the job spec that differ from the test's usual one."""

    def __post_init__(self) -> None:
        for name in ("bin", "play", "machine", "state", "tmp", "models", "data", "root"):
            (self.folder / name).mkdir()
        for name in self.stubs:
            stub = self.folder / "bin" / name
            stub.write_text(
                f"#!/usr/bin/env bash\n# A stub, not the real {name}.\n{_RECORD}{_STUBS[name]}", "utf-8"
            )
            stub.chmod(0o755)
        for name, text in {
            "models/model.onnx": "model",
            "data/val.jsonl": "{}\n",
            "play/code": "0\n",
            "play/default_clock": "1980\n",
            "play/fields": '"clocks_event_reasons.active" or "clocks_throttle_reasons.active"\n',
            "play/modes": "MAXN\n15W\n25W\n",
            "machine/power_mode": "2\n",
            "machine/clocks": "as they were\n",
            "play/rows": "\n".join(BUSY if self.kind == "dgx" else (TEGRA_BUSY,)) + "\n",
        }.items():
            (self.folder / name).write_text(text, "utf-8")
        self._make_host()
        files = platform(self.kind).render(self.job)
        self.script = self.folder / "run.sh"
        self.script.write_text(files["run.sh"], "utf-8")
        self.script.chmod(0o755)

    @property
    def stubs(self) -> Sequence[str]:
        own = ("nvidia-smi",) if self.kind == "dgx" else ("nvpmodel", "jetson_clocks", "tegrastats")
        return (*own, "docker", "sudo")

    def _make_host(self) -> None:
        for cpu, governor in enumerate(("schedutil", "schedutil", "schedutil", "powersave")):
            self.host(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", f"{governor}\n")
        if self.kind == "dgx":
            for bus, node in {"0000:17:00.0": 0, "0000:a1:00.0": 1}.items():
                self.host(f"sys/bus/pci/devices/{bus}/numa_node", f"{node}\n")
            for node, cpus in enumerate(("0-31,64-95", "32-63,96-127")):
                self.host(f"sys/devices/system/node/node{node}/cpulist", f"{cpus}\n")
        else:
            self.host("etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic\n")

    def host(self, path: str, text: str) -> None:
        place = self.folder / "root" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, "utf-8")

    def play(self, name: str, text: str = "") -> None:
        """What a stub does from now on."""
        (self.folder / "play" / name).write_text(text, "utf-8")

    @property
    def job(self) -> JobSpec:
        value = {
            "schema": "hexgate.job/v1",
            "name": "test",
            "run_id": RUN_ID,
            "indicator": "all",
            "image": {
                "ref": "registry.example.com/hexgate:0.1.0" + ("-r36" if self.kind == "jetson" else "")
            },
            "argv": [
                *("hexgate", "run", "--indicator", "all", "--model", "/models/model.onnx"),
                *("--data", "/data/val.jsonl", "--out", "{out}"),
            ],
            "resources": {"gpus": 2 if self.kind == "dgx" else 1},
            "mounts": [
                {"name": "model", "uri": (self.folder / "models").as_uri(), "path": "/models"},
                {"name": "data", "uri": (self.folder / "data").as_uri(), "path": "/data"},
            ],
            "output": {"uri": self.out.as_uri(), "path": "/output"},
            "timeout_s": 600,
            "platform": {"dgx": {"numa": "off"}} if self.kind == "dgx" else {},
        }
        return parse_spec(value | self.spec, "test")

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'bin'}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            "NODE": str(self.folder),
            "HEXGATE_HOST_ROOT": str(self.folder / "root"),
            "HEXGATE_STATE_DIR": str(self.folder / "state"),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
        }

    def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.script), *arguments],
            env=self.env | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            **options,
        )

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> Ended:
        process = self.start(*arguments, env=env, **options)
        out, err = process.communicate(timeout=60)
        return Ended(process.returncode, out, err)

    def stop_in_the_run(self, number: int, *arguments: str, times: int = 1) -> Ended:
        """Send a signal to run.sh alone, once the container runs."""
        self.play("hang")
        process = self.start(*arguments)
        self.wait_until(lambda: any(self.folder.glob("started-*")))
        for _ in range(times):
            process.send_signal(number)
        out, err = process.communicate(timeout=60)
        return Ended(process.returncode, out, err)

    def wait_until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.01)

    def calls(self, program: str) -> list[list[str]]:
        """How a stub was called, in order."""
        path = self.folder / "calls"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [line.split("\t")[1:] for line in lines if line.split("\t")[0] == program]

    @property
    def jobs(self) -> list[list[str]]:
        """The docker commands of containers that measure."""
        return [call for call in self.calls("docker") if call[0] == "run" and call[1] != "--rm"]

    def record(self, run_id: str = RUN_ID) -> list[dict[str, Any]]:
        lines = (self.out / "observed" / run_id / "state.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def locked(self) -> dict[str, bool]:
        return {line["what"]: line["locked"] for line in self.record() if line["kind"] == "locked"}

    def governors(self) -> list[str]:
        found = sorted((self.folder / "root/sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_governor"))
        return [path.read_text("utf-8").strip() for path in found]

    def as_it_was(self) -> None:
        """Everything that run.sh may pin is as before, and no note of it is left."""
        assert self.governors() == ["schedutil", "schedutil", "schedutil", "powersave"]
        machine = {path.name: path.read_text("utf-8").strip() for path in (self.folder / "machine").iterdir()}
        assert machine == {"power_mode": "2", "clocks": "as they were"}
        assert list((self.folder / "state").iterdir()) == []
        assert list((self.folder / "tmp").iterdir()) == []

    def kill_in_the_run(self, *arguments: str) -> None:
        """Kill run.sh outright once the container runs, then the container, as a reboot of the engine would."""
        self.play("hang")
        process = self.start(*arguments)
        self.wait_until(lambda: any(self.folder.glob("started-*")))
        process.kill()
        for path in self.folder.glob("started-*"):
            self.wait_until(lambda path=path: path.read_text("utf-8").endswith("\n"))  # type: ignore[misc]
            os.kill(int(path.read_text("utf-8")), signal.SIGTERM)
        process.communicate(timeout=60)


def printed(ended: Ended) -> list[list[str]]:
    """The commands that a dry run printed."""
    return [shlex.split(line) for line in ended.out.splitlines()]


def gone(pid: int) -> bool:
    """Whether a process has ended, also if nobody has waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
