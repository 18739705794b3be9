"""Becomes a program of a container, within namespaces that are there already:
  launcher.py run FILE           mounts its root as FILE says, and becomes its first program
  launcher.py exec FILE PROGRAM…   becomes another program in it"""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
DEVICES = ("null", "zero", "random", "urandom")


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def bind(source, target, read_only):
    if Path(source).is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mount("--bind", source, target)
    if read_only:
        mount("-o", "remount,bind,ro", target)


def make_root(said, root):
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root)
    for name in ("etc", "home", "dev", "proc", "run/postgresql", "tmp", said["folder"].lstrip("/")):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("run/postgresql", "tmp"):
        (root / name).chmod(0o1777)
    (root / "var").mkdir(exist_ok=True)
    (root / "var/run").symlink_to("../run")
    if said["debian"]:
        for name in ("bin", "lib", "lib64"):
            (root / name).symlink_to(f"usr/{name}")
    (root / "etc/hosts").write_text(said["hosts"])
    (root / "etc/resolv.conf").touch()
    user, uid, gid = said["user"]
    (root / "etc/passwd").write_text(f"root:x:0:0::/root:\n{user}:x:{uid}:{gid}::{said['folder']}:\n")
    for source, target, read_only in said["mounts"]:
        bind(source, root / target.lstrip("/"), read_only)
    mount("-t", "proc", "proc", root / "proc")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "dev")
    for name in DEVICES:
        bind(f"/dev/{name}", root / "dev" / name, False)
    (root / "dev/fd").symlink_to("/proc/self/fd")
    (root / "dev/shm").mkdir()
    mount("-t", "tmpfs", "-o", "mode=1777,size=64m", "tmpfs", root / "dev/shm")
    if said["read_only"]:
        mount("-o", "remount,bind,ro", root)


def become(said, root, command):
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    os.chroot(root)
    os.chdir(said["folder"])
    if said["no_capabilities"]:
        for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
            if prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "a capability cannot be dropped")
    if said["no_new_privileges"] and prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "privileges cannot be given up")
    _, uid, gid = said["user"]
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    os.execvpe(command[0], command, said["environment"])


def main():
    how, file, *command = sys.argv[1:]
    said = json.loads(Path(file).read_text())
    root = Path(said["root"])
    if how == "run":
        make_root(said, root)
        command = said["command"]
    become(said, root, command)


main()
