"""A real Slurm of one node, in a folder of its own: munge, controller and node daemon as children of the test.

Nothing of it is a fake but the two GPUs, which are null devices. It listens on 127.0.0.1 alone, and keeps no
accounting. Needs root, for the devices.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from support import needs

_CONF = """\
ClusterName=hexgate
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/node.pid
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
KillWait=30
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 Gres=gpu:2
PartitionName=gate Nodes={host} Default=YES MaxTime=60 State=UP
"""
_DEADLINE_S = 120


class SlurmCluster:
    """One cluster. Use as a context manager; `conf` is what SLURM_CONF must name."""

    def __init__(self) -> None:
        self._programs = {name: needs.program(name) for name in ("munged", "slurmctld", "slurmd", "sbatch")}
        if os.geteuid() != 0:
            needs.lacking("a Slurm of our own needs root", "infra")
        # A socket's path may have some hundred characters, which a folder of pytest's can exceed.
        self.folder = Path(tempfile.mkdtemp(prefix="hexgate-slurm-"))
        self.conf = self.folder / "slurm.conf"
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> SlurmCluster:
        try:
            self._lay_out()
            self._start("munged", "--foreground", *self._munge_options())
            self._until("munge's socket", (self.folder / "munge" / "sock").exists)
            self.start_controller()
            self._start("slurmd", "-D")
            self._until("the node", self._is_idle)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "slurmd" in self._children:
            # The processes of jobs are no children of these daemons, and would outlive them.
            self.ask("scancel", "--full", "--signal=KILL", f"--user={getpass.getuser()}")
            self.ask("scancel", f"--user={getpass.getuser()}")
            end = time.monotonic() + _DEADLINE_S
            while self.ask("squeue", "--noheader") and time.monotonic() < end:
                time.sleep(0.05)
        for name in ("slurmd", "slurmctld", "munged"):
            self._stop(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_controller(self) -> None:
        """Start the controller, with the jobs that it had saved."""
        self._start("slurmctld", "-D")
        self._until("the controller", lambda: self.ask("scontrol", "ping").endswith("is UP"))

    def stop_controller(self) -> None:
        """Stop the controller; commands then get no answer."""
        self._stop("slurmctld")

    def forget(self) -> None:
        """Make the controller forget every job, as it does minutes after their ends."""
        self.stop_controller()
        for path in (self.folder / "state").iterdir():
            if path.is_file():
                path.unlink()
        self.start_controller()
        self._until("the node", self._is_idle)

    def _is_idle(self) -> bool:
        return self.ask("sinfo", "--noheader", "--format=%T") == "idle"

    def ask(self, *argv: str) -> str:
        """What a command of Slurm prints; empty where it fails."""
        ended = subprocess.run(
            argv, capture_output=True, text=True, timeout=_DEADLINE_S, env=self._environment(), check=False
        )
        return ended.stdout.strip() if ended.returncode == 0 else ""

    def _lay_out(self) -> None:
        for name in ("munge", "state", "spool", "dev"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        (self.folder / "munge").chmod(0o711)
        key = self.folder / "munge" / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        for index in range(2):
            # As /dev/null: Slurm numbers only what is a device.
            os.mknod(self.folder / "dev" / f"gpu{index}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        (self.folder / "gres.conf").write_text(
            f"NodeName={host} Name=gpu Count=2 File={self.folder}/dev/gpu[0-1]\n", encoding="utf-8"
        )
        controller_port, node_port = _free_ports(2)
        self.conf.write_text(
            _CONF.format(
                host=host,
                user=getpass.getuser(),
                folder=self.folder,
                controller_port=controller_port,
                node_port=node_port,
            ),
            encoding="utf-8",
        )

    def _munge_options(self) -> list[str]:
        folder = self.folder / "munge"
        names = {
            "socket": "sock",
            "key-file": "key",
            "pid-file": "pid",
            "log-file": "log",
            "seed-file": "seed",
        }
        return [*(f"--{option}={folder}/{name}" for option, name in names.items()), "--force"]

    def _start(self, name: str, *options: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self._children[name] = subprocess.Popen(
                [self._programs[name], *options],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._environment(),
                start_new_session=True,
            )

    def _stop(self, name: str) -> None:
        child = self._children.pop(name, None)
        if child is None:
            return
        child.terminate()
        try:
            child.wait(_DEADLINE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _environment(self) -> dict[str, str]:
        return dict(os.environ) | {"SLURM_CONF": str(self.conf)}

    def _until(self, what: str, there: Callable[[], bool]) -> None:
        end = time.monotonic() + _DEADLINE_S
        while not there():
            dead = [name for name, child in self._children.items() if child.poll() is not None]
            if dead or time.monotonic() > end:
                said = "\n".join(path.read_text("utf-8", "replace") for path in self.folder.glob("*.out"))
                raise AssertionError(f"{what} of Slurm did not come ({dead} ended):\n{said}")
            time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
