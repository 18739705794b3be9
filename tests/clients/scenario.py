"""Cases of the interop tests: steps that one client makes one after the other, and what each has to bring."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from google.protobuf import descriptor_pool

from calls import Call, Driver, Outcome, catalogue, second_details
from support import Server

CATALOGUE = catalogue()
SECOND = second_details()
SERVICES = ("BulkService", "ConnectionService", "CredentialService", "EventService", "TransferService")


def full_name(method: str) -> str:
    """A method of the contract may go without its service."""
    if "/" in method:
        return method
    for service in SERVICES:
        found = descriptor_pool.Default().FindServiceByName(f"tidegate.v1.{service}")
        if method in found.methods_by_name:
            return f"tidegate.v1.{service}/{method}"
    raise ValueError(f"no method {method}")


class In:
    """A time so many seconds from when the call is made."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __str__(self) -> str:
        return (datetime.now(UTC) + timedelta(seconds=self.seconds)).isoformat().replace("+00:00", "Z")


class OtherHours:
    """A part of the day that it is not now, whatever the time."""

    def __str__(self) -> str:
        return f"{In(2 * 3_600)}"[11:16] + "-" + f"{In(3 * 3_600)}"[11:16]


@dataclass(frozen=True)
class Step:
    method: str
    request: dict | list[dict]
    by: str | None = "admin"
    """Whose token, by the name that it is kept under."""
    reason: str | None = None
    code: str = "OK"
    answer: dict = field(default_factory=dict)
    """What the answer holds: values by their paths. In a stream a path begins with the number of the answer."""
    keep: dict = field(default_factory=dict)
    """Names for values of the answer; later steps say `$name`."""
    headers: dict = field(default_factory=dict)
    deadline: float = 20
    take: int | None = None
    raw: bytes | None = None
    compressed: bool = False
    pages: tuple[str, int] | None = None
    """The list, read to its end, and how many things it has at least."""
    tries: int = 1
    """The call is repeated until it is refused, so many times at most."""
    wait: float = 0
    """Seconds before the call."""
    during: Callable[[Server], None] | None = None
    """What happens once the first answer is there."""
    amid: Callable[[Server, str], AbstractContextManager] | None = None
    """What lasts as long as the call, given the token."""

    def call(self, names: dict[str, str]) -> Call:
        messages = self.request if isinstance(self.request, list) else [self.request]
        headers = {name: filled(value, names) for name, value in self.headers.items()}
        if self.by:
            headers["authorization"] = f"Bearer {names.get(self.by, '')}"
        return Call(
            full_name(self.method),
            [filled(it, names) for it in messages],
            headers,
            self.deadline,
            self.take,
            self.raw,
            self.compressed,
        )


@dataclass(frozen=True)
class Case:
    name: str
    steps: tuple[Step, ...]

    def reasons(self) -> set[str]:
        return {step.reason for step in self.steps if step.reason}

    def methods(self) -> set[str]:
        return {full_name(step.method) for step in self.steps if step.raw is None}


def filled(value, names: dict[str, str]):
    """The value with the names in it replaced by what they stand for."""
    if isinstance(value, dict):
        return {key: filled(it, names) for key, it in value.items()}
    if isinstance(value, list):
        return [filled(it, names) for it in value]
    if isinstance(value, In | OtherHours):
        return str(value)
    if isinstance(value, str):
        return re.sub(r"\$(\w+)", lambda it: names.get(it.group(1), it.group(0)), value)
    return value


def found(outcome: Outcome, path: str):
    """The value at a path of the answers, None where there is none."""
    parts = path.split(".")
    value = outcome.answers
    for part in parts if parts[0].isdigit() else ["0", *parts]:
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        elif value is not None:
            value = value.get(part)
    return value


def run(case: Case, driver: Driver, server: Server, names: dict[str, str]) -> None:
    names = dict(names)
    for number, step in enumerate(case.steps, 1):
        call = step.call(names)
        what = f"{driver.name}: {case.name}: step {number}, {call.method}"
        if step.pages:
            read_to_the_end(driver, call, *step.pages, what)
            continue
        acts = [step.during] if step.during else []
        time.sleep(step.wait)
        with step.amid(server, names[step.by]) if step.amid else nullcontext():
            for _ in range(step.tries):
                outcome = driver.make(call, lambda: acts.pop()(server) if acts else None)
                if outcome.code != "OK":
                    break
        check(step, outcome, names, what)
        for name, path in step.keep.items():
            names[name] = str(found(outcome, path))


def check(step: Step, outcome: Outcome, names: dict[str, str], what: str) -> None:
    # The client's own clock may be the first to end it.
    by_itself = step.reason == "DEADLINE_EXCEEDED" and outcome.reason is None
    assert outcome.code == step.code, f"{what}: {outcome}"
    assert outcome.reason == step.reason or by_itself, f"{what}: {outcome}"
    if outcome.reason and outcome.details is not None:
        assert outcome.details == {"ErrorInfo", SECOND[step.reason]} - {""}, f"{what}: {outcome}"
    for path, value in step.answer.items():
        assert found(outcome, path) == filled(value, names), f"{what}: {path}: {outcome}"


def read_to_the_end(driver: Driver, call: Call, key: str, least: int, what: str) -> None:
    seen, pages, token = [], 0, ""
    while True:
        request = call.messages[0] | ({"pageToken": token} if token else {})
        outcome = driver.make(replace(call, messages=[request]), lambda: None)
        assert outcome.code == "OK", f"{what}: {outcome}"
        [answer] = outcome.answers
        seen += [it["uuid"] for it in answer.get(key, [])]
        pages += 1
        token = answer.get("nextPageToken", "")
        if not token:
            break
    assert len(seen) >= least, f"{what}: {seen}"
    assert len(set(seen)) == len(seen), f"{what}: {seen}"
    # The tool turns pages by itself.
    assert driver.name == "tidegate" or pages > 1, f"{what}: one page"


def call(method: str, request: dict | list[dict] | None = None, **more) -> Step:
    return Step(method, {} if request is None else request, **more)


def refused(reason: str, method: str, request: dict | list[dict] | None = None, **more) -> Step:
    """Its code is the one that docs/errors.md names."""
    return Step(method, {} if request is None else request, **{"reason": reason, "code": CATALOGUE[reason]} | more)


def case(name: str, *steps: Step) -> Case:
    return Case(name, steps)
