"""What compose.yaml and the Dockerfile that it builds say, with the defaults of compose and docker. Whatever is said in
a way that is not understood here is refused: nothing is skipped."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import yaml

TOP = {"name", "services", "volumes"}
SERVICE = {"build", "cap_drop", "depends_on", "environment", "healthcheck", "image", "ports", "read_only", "restart",
           "security_opt", "stop_grace_period", "volumes"}
HEALTH = {"test", "interval", "timeout", "retries", "start_period"}
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}|(?P<bad>))")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


class Refused(Exception):
    """The file makes no sense, or more than is known here."""


def known(where, found, wanted):
    strange = {it for it in found if not it.startswith("x-")} - wanted
    if strange:
        raise Refused(f"{where}: {', '.join(sorted(strange))}: not known to this check")


def seconds(text):
    parts = re.findall(r"(\d+)(ms|s|m|h)", text)
    if "".join(map("".join, parts)) != text or not parts:
        raise Refused(f"{text!r} is no duration")
    return sum(int(number) * SECONDS[unit] for number, unit in parts)


def filled(value, variables):
    """The value with its variables in place, as compose does it: in every text, but not in keys."""
    if isinstance(value, dict):
        return {key: filled(it, variables) for key, it in value.items()}
    if isinstance(value, list):
        return [filled(it, variables) for it in value]
    if not isinstance(value, str):
        return value

    def fill(found):
        if found["dollar"]:
            return "$"
        if found["bad"] is not None:
            raise Refused(f"{value!r} has a variable that is not known to this check")
        has = variables.get(found["name"], "")
        if not has and found["kind"] == "?":
            raise Refused(f"required variable {found['name']} is missing a value: {found['rest']}")
        return has or (found["rest"] if found["kind"] == "-" else "")

    return VARIABLE.sub(fill, value)


@dataclass
class Health:
    test: list
    interval: float
    timeout: float
    retries: int
    start_period: float

    @classmethod
    def of(cls, said):
        known("healthcheck", said, HEALTH)
        kind, *test = said["test"]
        if kind != "CMD":
            raise Refused(f"healthcheck: {kind}: not known to this check")
        times = [seconds(said.get(name, default)) for name, default in
                 (("interval", "30s"), ("timeout", "30s"), ("start_period", "0s"))]
        return cls(test, times[0], times[1], int(said.get("retries", 3)), times[2])


@dataclass
class Image:
    """What an image sets. `programs` is where the files of its programs are on this machine; one with `debian` has
    this machine's /usr instead."""

    name: str
    what: str
    user: tuple
    entrypoint: list
    command: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)
    folder: str = "/"
    volumes: list = field(default_factory=list)
    programs: dict = field(default_factory=dict)
    debian: bool = False
    stop_signal: str = "SIGTERM"
    health: Health = None
    # Files by which the first start says that only its own machine is answered, and is told to go on.
    alone: tuple = None


@dataclass
class Service:
    name: str
    image: str
    build: str
    environment: dict
    mounts: list  # source, target, whether it is read-only
    named: list  # volume, target
    ports: list  # address and port here, port there
    needs: dict
    health: Health
    read_only: bool
    no_capabilities: bool
    no_new_privileges: bool
    grace: float


def port(text):
    found = re.fullmatch(r"([\d.]+):(\d+):(\d+)", str(text))
    if not found:
        raise Refused(f"ports: {text}: not ADDRESS:PORT:PORT")
    return found[1], int(found[2]), int(found[3])


def volumes(said, named, base):
    """The files that are mounted, and the volumes."""
    mounts, kept = [], []
    for it in said:
        source, target, *rest = it.split(":")
        if rest not in ([], ["ro"]):
            raise Refused(f"volumes: {it}: not known to this check")
        if source.startswith("."):
            if not (base / source).exists():
                raise Refused(f"volumes: {source} does not exist")
            mounts.append(((base / source).resolve(), target, bool(rest)))
        elif source in named:
            kept.append((source, target))
        else:
            raise Refused(f"volumes: {source} is no volume of this file")
    return mounts, kept


def only(where, said, wanted):
    if said not in ([], [wanted]):
        raise Refused(f"{where}: {said}: not known to this check")
    return bool(said)


def service(name, said, named, base):
    known(name, said, SERVICE)
    environment = said.get("environment", {})
    for key, value in environment.items():
        if not isinstance(value, str):
            raise Refused(f"{name}: environment: {key} is no text")
    needs = said.get("depends_on", {})
    for other, how in needs.items():
        if how != {"condition": "service_healthy"}:
            raise Refused(f"{name}: depends_on: {other}: {how}: not known to this check")
    mounts, kept = volumes(said.get("volumes", []), named, base)
    return Service(
        name, said["image"], said.get("build"), environment, mounts, kept, [port(it) for it in said.get("ports", [])],
        needs, Health.of(said["healthcheck"]) if "healthcheck" in said else None, said.get("read_only", False),
        only("cap_drop", said.get("cap_drop", []), "ALL"),
        only("security_opt", said.get("security_opt", []), "no-new-privileges:true"),
        seconds(said.get("stop_grace_period", "10s")),
    )


def read(file, base, variables):
    """The services by their names, in an order in which each comes after those that it needs."""
    said = filled(yaml.safe_load(file.read_text()), variables)
    known(file.name, said, TOP)
    found = {name: service(name, it, said.get("volumes", {}), base) for name, it in said["services"].items()}
    ordered = {}
    while len(ordered) < len(found):
        ready = [it for it in found.values() if it.name not in ordered and set(it.needs) <= set(ordered)]
        if not ready:
            raise Refused("depends_on: a service that does not exist, or a circle")
        ordered.update((it.name, it) for it in ready)
    return ordered


def dockerfile(path, image, programs):
    """The image that the last stage of the Dockerfile makes, the programs that it copies being in a folder here."""
    *_, last = re.split("^FROM ", path.read_text(), flags=re.MULTILINE)
    base, *lines = [it for it in re.sub(r"\\\n", " ", last).splitlines() if it and not it.startswith("#")]
    if not re.fullmatch("gcr.io/distroless/.*:nonroot", base):
        raise Refused(f"Dockerfile: what {base} sets is not known to this check")
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "ENV":
            image.environment.update(it.split("=", 1) for it in shlex.split(rest))
        elif word == "COPY":
            *sources, target = [it for it in rest.split() if not it.startswith("--")]
            if target.endswith("/"):
                image.programs.update({target + Path(it).name: (programs / Path(it).name).resolve() for it in sources})
        elif word == "ENTRYPOINT":
            image.entrypoint = json.loads(rest)
        elif word == "VOLUME":
            image.volumes.append(rest)
        elif word == "STOPSIGNAL":
            image.stop_signal = rest
        elif word == "HEALTHCHECK":
            options, _, test = rest.partition(" CMD ")
            said = dict(it.removeprefix("--").split("=") for it in options.split())
            image.health = Health.of({**{key.replace("-", "_"): it for key, it in said.items()},
                                      "test": ["CMD", *json.loads(test)]})
        elif word != "EXPOSE":
            raise Refused(f"Dockerfile: {word}: not known to this check")
    return image
