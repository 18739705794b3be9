"""Runs a service as a container: with a network, processes, mounts and a root of its own."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

BRIDGE = "172.28.0."
LAUNCHER = Path(__file__).with_name("launcher.py").resolve()
# How long a program may take that is given no time by the file.
PATIENCE = 30


class Failed(Exception):
    """Something is not as it should be."""


def run(*command, **options):
    return subprocess.run([str(it) for it in command], capture_output=True, text=True, timeout=PATIENCE, **options)


def ip(*words):
    done = run("ip", *words)
    if done.returncode:
        raise Failed(f"ip {' '.join(words)}: {done.stderr}")


def make_network():
    ip("link", "set", "lo", "up")
    Path("/run/netns").mkdir(exist_ok=True)
    # For this mount namespace alone.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"], check=True)
    ip("link", "add", "compose", "type", "bridge")
    ip("address", "add", f"{BRIDGE}1/24", "dev", "compose")
    ip("link", "set", "compose", "up")


def libraries(program):
    return re.findall(r"(/\S+) \(0x", run("ldd", program, check=True).stdout)


def pass_on(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for it, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        try:
            it.shutdown(how)
        except OSError:
            pass


def publish(host, port, address, inner):
    """Takes connections to a port of this machine to a container's."""
    listener = socket.create_server((host, port))

    def serve():
        while True:
            caller, _ = listener.accept()
            try:
                called = socket.create_connection((address, inner), timeout=5)
                called.settimeout(None)
            except OSError:
                caller.close()
                continue
            for pair in ((caller, called), (called, caller)):
                threading.Thread(target=pass_on, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()


class Container:
    def __init__(self, service, image, number, folder):
        self.service, self.image, self.name = service, image, service.name
        self.address = f"{BRIDGE}{number + 2}"
        self.folder = folder / self.name
        self.folder.mkdir()
        self.log = self.folder / "log"
        self.file = self.folder / "settings.json"
        self.volumes = folder / "volumes"
        self.health = service.health or image.health
        self.process, self.started = None, None
        ip("netns", "add", self.name)
        ip("link", "add", f"veth{number}", "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("link", "set", f"veth{number}", "master", "compose", "up")
        ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", self.name, "link", "set", device, "up")
        for host, port, inner in service.ports:
            publish(host, port, self.address, inner)

    def mounts(self):
        """What is mounted: programs and their libraries, files, and a folder for each volume."""
        found = [("/usr", "/usr", True)] if self.image.debian else []
        for target, source in self.image.programs.items():
            found += [(it, it, True) for it in libraries(source)] + [(source, target, True)]
        found = [(str(source), target, read_only) for source, target, read_only in dict.fromkeys(found)]
        found += [(str(source), target, read_only) for source, target, read_only in self.service.mounts]
        named = {target: name for name, target in self.service.named}
        for target in {*self.image.volumes, *named}:
            place = self.volumes / f"named-{named.get(target)}"
            if target not in named:
                # A volume without a name is a new one for each new container.
                place = self.volumes / f"{self.name}{target.replace('/', '-')}"
                shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True, exist_ok=True)
            os.chown(place, *self.image.user[1:])
            found.append((str(place), target, False))
        # So that none covers another.
        return sorted(found, key=lambda it: it[1].count("/"))

    def start(self, hosts):
        root = self.folder / "root"
        root.mkdir(exist_ok=True)
        self.file.write_text(json.dumps({
            "root": str(root), "hosts": f"127.0.0.1 localhost\n{hosts}", "mounts": self.mounts(),
            "environment": {**self.image.environment, "HOME": self.image.folder, **self.service.environment},
            "command": self.image.entrypoint + self.image.command, "user": self.image.user,
            "folder": self.image.folder, "debian": self.image.debian, "read_only": self.service.read_only,
            "no_capabilities": self.service.no_capabilities, "no_new_privileges": self.service.no_new_privileges,
        }))
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, "unshare", "--mount", "--pid", "--ipc", "--uts", "--fork",
                 "--kill-child", sys.executable, LAUNCHER, "run", self.file],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.started = time.monotonic()
        self.until("has a process", self.pids)

    def pids(self):
        return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()

    def pid(self):
        """The first process of the container, as it is numbered here."""
        self.is_up()
        return int(self.pids()[0])

    def is_up(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} has ended with {self.process.returncode}")

    def until(self, what, is_so):
        end = time.monotonic() + PATIENCE
        while not is_so():
            self.is_up()
            if time.monotonic() > end:
                raise Failed(f"{self.name} {what}: not within {PATIENCE} s")
            time.sleep(0.05)

    def command(self, *program):
        """What runs a program in the container."""
        return ["nsenter", "--target", str(self.pid()), "--mount", "--net", "--pid", "--ipc", "--uts",
                sys.executable, str(LAUNCHER), "exec", str(self.file), *program]

    def is_healthy(self):
        try:
            done = subprocess.run(self.command(*self.health.test), capture_output=True, timeout=self.health.timeout)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def is_unhealthy_alone(self):
        """What others wait for must not be called healthy before it answers them."""
        alone, go_on = (Path(f"/proc/{self.pid()}/root") / it for it in self.image.alone)
        self.until("makes its database", alone.exists)
        if self.health and self.is_healthy():
            raise Failed(f"the health check of {self.name} takes it for healthy while it answers nobody else yet")
        go_on.touch()

    def until_healthy(self):
        next_time, failures = self.started, 0
        while failures < self.health.retries:
            next_time += self.health.interval
            time.sleep(max(0, next_time - time.monotonic()))
            self.is_up()
            if self.is_healthy():
                return
            if time.monotonic() - self.started > self.health.start_period:
                failures += 1
        raise Failed(f"{self.name} is not healthy")

    def stop(self):
        """Ends it as docker does, and says how long that took."""
        begin = time.monotonic()
        os.kill(self.pid(), getattr(signal, self.image.stop_signal))
        try:
            code = self.process.wait(self.service.grace)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} has not ended in {self.service.grace:g} s") from None
        if code:
            raise Failed(f"{self.name} ended with {code}")
        return time.monotonic() - begin
