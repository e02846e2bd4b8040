"""A container with a real systemd as its first process, over a read-only tree.

Nothing a container does reaches the host: its root is an overlay in memory, its only network is a loopback of
its own, and the kernel kills everything in it when the process that tests it dies, by whatever cause.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.system import cgroups, namespaces
from tests.system.waiting import wait_for

PROGRAMS = ("systemd-nspawn", "unshare", "nsenter", "setpriv")

COMMAND_SECONDS = 60.0
"""What a command inside may take, `systemctl start` included, and the next bytes of an answer."""

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

# The first process of new namespaces: when it dies, the kernel kills all that runs in them. Its arguments are
# files into which a process writes 0 to join a control group, then `--`, then those of systemd-nspawn. With a
# disk the root is an overlay whose changes are kept there, for all boots of this launcher.
_LAUNCHER = """
mount -t proc proc /proc
if [ "$DISK" ]; then
    mkdir "$DISK/upper" "$DISK/work" "$DISK/root"
    mount -t overlay -o "lowerdir=$TREE,upperdir=$DISK/upper,workdir=$DISK/work" overlay "$DISK/root"
fi
while [ "$1" != -- ]; do echo 0 >"$1"; shift; done
shift
while code=0; systemd-nspawn "$@" || code=$?; [ $code = 133 ]; do :; done  # 133: it is to be booted again
exit $code
"""

_numbers = itertools.count(1)


class MachineError(Exception):
    """A container did not boot, or a command in it failed; the message has its output."""


def obstacle() -> str | None:
    """Return why this machine cannot boot containers, or None if nothing is known to stand in the way."""
    if os.geteuid() != 0:
        return "only root can boot a container"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


class Machine:
    """One container; a context manager that boots it and ends it. Boot it from the main thread.

    `mounts` maps paths inside to files or folders of the host, which appear there read-only. What is written
    inside is in memory and gone with a reboot, unless an empty folder of the host is given as its `disk`.
    """

    def __init__(self, tree: Path, *, mounts: Mapping[str, Path], disk: Path | None = None) -> None:
        self.name = cgroups.name_for(next(_numbers))
        self._tree = tree
        self._mounts = mounts
        self._disk = disk
        self._console = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the machine
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._connections: list[socket.socket] = []

    # Its life

    def __enter__(self) -> Machine:
        try:
            self._boot()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _boot(self) -> None:
        joins = []
        for top in cgroups.hierarchies():
            (top / self.name).mkdir()
            joins.append(str(top / self.name / "cgroup.procs"))
        self._process = subprocess.Popen(
            # --pdeathsig acts when the *thread* that started it ends, hence "from the main thread".
            # systemd-nspawn alone is not enough: killed, it leaves the container behind, running.
            [
                *("setpriv", "--pdeathsig", "KILL"),
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"),
                *("bash", "-euc", _LAUNCHER, "launcher", *joins, "--", *self._nspawn_arguments()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=self._console,
            # One hierarchy inside, as on any current Debian, also when the host has the hybrid arrangement.
            env={
                **os.environ,
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                "TREE": str(self._tree),
                "DISK": str(self._disk or ""),
            },
            start_new_session=True,
        )
        wait_for(self._has_leader, what=f"{self.name} has started its systemd")
        wait_for(self._is_up, what=f"{self.name} has booted")

    def reboot(self) -> None:
        """Have it shut down in order and boot again; only what is on its disk is there then."""
        before = self._leader
        self.run("systemctl", "reboot", check=False)  # the connection to the old systemd may break
        wait_for(
            lambda: self._has_leader() and self._leader != before,
            what=f"{self.name} has started its systemd again",
        )
        wait_for(self._is_up, what=f"{self.name} has booted again")

    def _nspawn_arguments(self) -> list[str]:
        return [
            "--quiet",
            f"--directory={self._disk / 'root' if self._disk else self._tree}",
            f"--machine={self.name}",
            f"--hostname={self.name}",
            *(() if self._disk else ("--volatile=overlay",)),
            "--private-network",
            "--register=no",
            "--keep-unit",
            "--console=pipe",
            "--link-journal=no",
            "--resolv-conf=off",
            "--timezone=off",
            *(f"--bind-ro={outside}:{inside}" for inside, outside in self._mounts.items()),
            "--boot",
        ]

    def _has_leader(self) -> bool:
        """Find the first process inside: a child of systemd-nspawn, which is one of the launcher's shell."""
        self._check_alive()
        assert self._process is not None
        with contextlib.suppress(OSError, IndexError):
            self._leader = _first_child(_first_child(_first_child(self._process.pid)))
            return os.readlink(f"/proc/{self._leader}/exe").endswith("/systemd")
        return False

    def _is_up(self) -> bool:
        self._check_alive()
        answer = self.run("systemctl", "is-system-running", "--wait", check=False)
        return answer.stdout.strip() in ("running", "degraded")

    def _check_alive(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self._console.seek(0)
            output = self._console.read().decode(errors="replace")
            raise MachineError(f"{self.name} has ended:\n{output[-3000:]}")

    def _end(self) -> None:
        for connection in self._connections:  # those that a failed test has left open
            connection.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait(COMMAND_SECONDS)
        self._console.close()
        cgroups.remove(self.name)

    # Commands inside

    def run(
        self, *command: str, check: bool = True, seconds: float = COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside, return what it said; MachineError if it fails and `check` is set."""
        result = subprocess.run(
            [
                *("nsenter", f"--target={self._leader}", "--mount", "--uts", "--ipc", "--net", "--pid"),
                *("--cgroup", "--root", "--wd", "--"),
                *("env", "-i", f"PATH={_PATH}", "LC_ALL=C.UTF-8", "TERM=dumb", *command),
            ],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if check and result.returncode != 0:
            raise MachineError(
                f"{' '.join(command)} exited with {result.returncode}:\n{result.stdout}{result.stderr}"
            )
        return result

    def into_network(self) -> list[str]:
        """Return what to put before a command of the host's so that it runs in the container's network."""
        return ["nsenter", f"--net=/proc/{self._leader}/ns/net", "--"]

    def systemctl(self, *arguments: str) -> str:
        """Run systemctl inside and return its output; MachineError if it fails."""
        return self.run("systemctl", *arguments).stdout

    # Files inside

    def path(self, inside: str) -> Path:
        """Return how this process reaches a path inside: files, unix sockets and FIFOs alike."""
        return Path(f"/proc/{self._leader}/root{inside}")

    def write(self, inside: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file inside, its folders too."""
        file = self.path(inside)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    # Connections into it

    def connect_tcp(self, host: str, port: int) -> socket.socket:
        """Connect to a port of the container; OSError as `connect` has it, TimeoutError for reads too."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        connection = namespaces.socket_in(Path(f"/proc/{self._leader}/ns/net"), family)
        return self._connected(connection, (host, port))

    def connect_unix(self, inside: str) -> socket.socket:
        """Connect to a unix socket of the container; errors as `connect_tcp`."""
        return self._connected(socket.socket(socket.AF_UNIX), str(self.path(inside)))

    def _connected(self, connection: socket.socket, address: tuple[str, int] | str) -> socket.socket:
        self._connections.append(connection)
        connection.settimeout(COMMAND_SECONDS)
        connection.connect(address)
        return connection


def _first_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
