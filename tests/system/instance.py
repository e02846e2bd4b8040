"""One instance of sdserve inside a container, in the words of the person who runs it."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.system.exchange import Answer, Exchange
from tests.system.machine import Machine
from tests.system.waiting import wait_for

CHECKOUT = Path(__file__).parents[2]
_APPLICATIONS = "/srv/applications"

EXAMPLES = CHECKOUT / "docs/examples"

UNITS = ("sdserve@.service", "sdserve-sockets@.target", "sdserve.target")

PACKAGE = "/usr/lib/python3/dist-packages/sdserve"
MOUNTS = {
    PACKAGE: CHECKOUT / "sdserve",
    "/usr/bin/sdserve": CHECKOUT / "tests/system/launcher.py",
    **{f"/usr/lib/systemd/system/{unit}": CHECKOUT / "systemd" / unit for unit in UNITS},
    **{f"/usr/lib/systemd/user/{unit}": CHECKOUT / "systemd/user" / unit for unit in UNITS},
    **{
        f"/usr/lib/systemd/{kind}-generators/sdserve-generator": CHECKOUT / "systemd/sdserve-generator"
        for kind in ("system", "user")
    },
    **{
        f"/usr/lib/systemd/system/sdserve-certificates@.{kind}": CHECKOUT
        / f"systemd/sdserve-certificates@.{kind}"
        for kind in ("path", "service")
    },
    "/usr/lib/tmpfiles.d/sdserve.conf": CHECKOUT / "systemd/tmpfiles.conf",
    _APPLICATIONS: CHECKOUT / "tests/system/applications",
    "/srv/examples": EXAMPLES,
}
"""Where a package would put sdserve, taken from the checkout; and the applications, below /srv."""


class Instance:
    """`sdserve@NAME`: its INI, its drop-ins, its addresses (`port` on the loopback, `/run/NAME.sock`)."""

    def __init__(self, machine: Machine, name: str = "hello", *, port: int = 8000) -> None:
        self.machine = machine
        self.name = name
        self.port = port
        self.service = f"sdserve@{name}.service"
        self.socket = f"sdserve@{name}@http.socket"
        self.sockets = f"sdserve-sockets@{name}.target"
        self.unix_path = f"/run/{name}.sock"

    # Setting it up

    def configure(self, application: str, *lines: str, directory: str = _APPLICATIONS) -> None:
        """Write the INI: the application to serve, and more lines to go after it, sections included."""
        app = f"[app]\napplication = {application}\ndirectory = {directory}"
        listen = f"[listen:http]\naddress = 127.0.0.1:{self.port}"
        self.configure_text("\n".join((app, listen, *lines, "")))

    def configure_text(self, text: str) -> None:
        """Write the INI as it stands."""
        self.machine.write(f"/etc/sdserve/{self.name}.ini", text)

    def listen(self) -> None:
        """Have systemd listen on all three addresses, whatever the INI says of them."""
        self.machine.write(
            f"/etc/sdserve/{self.name}.ini.d/10-listen.conf",
            f"[listen:http]\naddress = 127.0.0.1:{self.port}\n  [::1]:{self.port}\n  {self.unix_path}\n",
        )
        self.machine.systemctl("daemon-reload")
        self.machine.systemctl("start", self.sockets)

    def drop_in(self, unit: str, text: str) -> None:
        """Add settings to one of the instance's units."""
        self.machine.write(f"/etc/systemd/system/{unit}.d/10-test.conf", text)
        self.machine.systemctl("daemon-reload")

    # Orders

    def start(self) -> None:
        self.machine.systemctl("start", self.service)

    def stop(self) -> None:
        self.machine.systemctl("stop", self.service)

    def kill(self, pid: int) -> None:
        """Send SIGKILL to a process of the container."""
        self.machine.run("kill", f"-{signal.SIGKILL}", str(pid))

    # Questions

    def property(self, name: str, *, unit: str | None = None) -> str:
        """Return one property of the service, or of another unit, as `systemctl show` has it."""
        return self.machine.systemctl("show", f"--property={name}", "--value", unit or self.service).strip()

    def status(self) -> str:
        """Return what `systemctl status` prints; its exit code only tells whether the unit is active."""
        return self.machine.run(
            "systemctl", "status", "--no-pager", "--full", self.service, check=False
        ).stdout

    def journal(self, *arguments: str, unit: str | None = None) -> str:
        """Return the messages of the service, or of another unit: its processes' and systemd's about it."""
        return self.machine.run(
            "journalctl",
            "--quiet",
            "--no-pager",
            "--output=cat",
            f"--unit={unit or self.service}",
            *arguments,
        ).stdout

    def main_pid(self) -> int:
        return int(self.property("MainPID"))

    def pids(self) -> set[int]:
        """Return the processes in the service's control group; none when the group is gone."""
        group = self.property("ControlGroup")
        listing = (
            self.machine.run("cat", f"/sys/fs/cgroup{group}/cgroup.procs", check=False) if group else None
        )
        return {int(pid) for pid in listing.stdout.split()} if listing else set()

    def processes(self) -> set[int]:
        """Return all processes of the machine."""
        return {int(path.name) for path in self.machine.path("/proc").iterdir() if path.name.isdecimal()}

    def wait_for_state(self, *states: str) -> None:
        """Wait until the service's ActiveState is one of `states`."""
        wait_for(
            lambda: self.property("ActiveState") in states, what=f"{self.service} is {' or '.join(states)}"
        )

    # Requests

    def request(self, path: str) -> Exchange:
        """Send a request over TCP; do not wait for the answer."""
        return Exchange(self.machine.connect_tcp("127.0.0.1", self.port), path)

    def get(self, path: str) -> Answer:
        return self.request(path).answer()

    def get_v6(self, path: str) -> Answer:
        return Exchange(self.machine.connect_tcp("::1", self.port), path).answer()

    def get_unix(self, path: str) -> Answer:
        return Exchange(self.machine.connect_unix(self.unix_path), path).answer()

    def worker_pid(self) -> int:
        """Ask the test application which process serves it."""
        return int(self.get("/pid").text)
