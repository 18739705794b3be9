"""The second half of scripts/compose-check, within namespaces of its own: FOLDER POSTGRES FILE."""

import json
import os
import re
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

import grafana
import settings
from containers import PATIENCE, Container, Failed, make_network, run
from images import image_of

FOLDER, POSTGRES, FILE = map(Path, sys.argv[1:])
BASE = Path.cwd()
PROGRAMS = BASE / "target/debug"
MANUAL = BASE / "docs/operations.md"
UP = "docker compose up --build --wait\n"
# Two scrapes and two looks at the rules, by deploy/prometheus.yml.
SCRAPES = 60
BEGIN = time.monotonic()


def say(text):
    print(f"{time.monotonic() - BEGIN:5.1f} s  {text}", flush=True)


def expect(what, is_so):
    if not is_so:
        raise Failed(what)


def refuses_to_go_without_a_password():
    try:
        settings.read(FILE, BASE, {})
    except settings.Refused as refused:
        expect(f"the refusal does not name POSTGRES_PASSWORD: {refused}", "POSTGRES_PASSWORD" in str(refused))
    else:
        raise Failed("the file can be used without POSTGRES_PASSWORD")


def containers(services):
    """The containers by their names, and the services that nothing can stand in for."""
    found, missing = {}, []
    for number, it in enumerate(services.values()):
        mine = all(address == "127.0.0.1" for address, *_ in it.ports)
        expect(f"{it.name}: others than this machine can reach a port", mine)
        image = image_of(it, BASE, POSTGRES)
        if image is None:
            missing.append(it)
            continue
        found[it.name] = Container(it, image, number, FOLDER)
        say(f"{it.name}: {image.what} in place of {it.image}")
    for it in missing:
        say(f"{it.name}: NOT STARTED, there is no {it.image} outside of its registry; its files are checked")
    return found, missing


def up(all_of_them, first):
    hosts = "".join(f"{it.address} {it.name}\n" for it in all_of_them)
    healthy = set()

    def wait(it):
        if it.name not in healthy:
            it.until_healthy()
            healthy.add(it.name)
            say(f"{it.name} is healthy")

    # As compose does: whatever waits for nothing starts at once, before the database can be had.
    at_once = [it for it in all_of_them if not it.service.needs]
    for it in at_once:
        it.start(hosts)
    for it in at_once:
        if first and it.image.alone:
            it.is_unhealthy_alone()
    for it in all_of_them:
        if it not in at_once:
            for other in all_of_them:
                if other.name in it.service.needs:
                    wait(other)
            it.start(hosts)
    for it in all_of_them:
        if it.health:
            wait(it)


def down(all_of_them):
    for it in reversed(all_of_them):
        say(f"{it.name} ended well after {it.stop():.1f} of {it.service.grace:g} s")


def environment(**more):
    """For the tool and the manual's commands: `docker` runs a program in a container."""
    return {"PATH": f"{FOLDER}/bin:{PROGRAMS}:{os.environ['PATH']}", "HOME": str(FOLDER), **more}


def manual():
    """What docs/operations.md has to be done before all is started, and after."""
    _, _, part = MANUAL.read_text().partition("**All of it.**")
    block = re.search(r"```sh\n(.*?)```", part, re.DOTALL)[1]
    before, up, after = block.partition(UP)
    expect(f"docs/operations.md does not say: {UP}", up)
    return before, after


def as_written(commands):
    (FOLDER / "clone").mkdir(exist_ok=True)
    done = run("bash", "-euo", "pipefail", "-c", commands, env=environment(), cwd=FOLDER / "clone")
    expect(f"the commands of docs/operations.md failed: {done.stderr}", done.returncode == 0)
    return done.stdout


def variables():
    """What compose finds in .env once the manual was followed."""
    as_written(manual()[0])
    return dict(it.split("=", 1) for it in (FOLDER / "clone/.env").read_text().splitlines())


def provide_docker(replicas):
    # Every command of compose reads the file, and so needs what it requires.
    lines = ["#!/bin/bash", "grep -qs ^POSTGRES_PASSWORD=. .env || exit 1", 'case "$*" in']
    for it in replicas:
        words = " ".join(it.command())
        lines.append(f'"compose exec -T {it.name} "*) exec {words} "${{@:5}}" ;;')
    lines += ["esac", 'echo "docker $*: not known to this check" >&2', "exit 1", ""]
    (FOLDER / "bin").mkdir()
    (FOLDER / "bin/docker").write_text("\n".join(lines))
    (FOLDER / "bin/docker").chmod(0o755)


def is_used_as_written():
    """Goes on with the token that was made so."""
    said = as_written(manual()[1] + 'echo "$TIDEGATE_TOKEN"\n')
    expect(f"the commands of docs/operations.md do not show the transfer: {said}", "orders" in said)
    say("the commands of docs/operations.md work: the first token, a transfer on one replica, read on the other")
    return said.split()[-1]


def url(it):
    host, port, _ = it.service.ports[0]
    return f"http://{host}:{port}"


def transfers(it, token):
    done = run(PROGRAMS / "tidegate", "transfer", "list", env=environment(
        TIDEGATE_ADDRESS=url(it), **({"TIDEGATE_TOKEN": token} if token else {})))
    return done.stdout + done.stderr


def wants_tokens(replicas, token):
    for it in replicas:
        for bad in (None, f"{token}x"):
            found = transfers(it, bad)
            expect(f"{it.name} lets in who shows {bad or 'no token'}: {found}", "UNAUTHENTICATED" in found)
        expect(f"{it.name} has no transfer", "orders" in transfers(it, token))
    say("both want a token, and a good one")


def ask(address, what, **query):
    try:
        url_of_it = f"{address}/api/v1/{what}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url_of_it, timeout=PATIENCE) as page:
            return json.load(page)["data"]
    except urllib.error.HTTPError as error:
        raise Failed(f"Prometheus does not take {what} {query}: {error.read().decode()}") from None


def rules_of_the_file():
    groups = yaml.safe_load((BASE / "deploy/alerts.yml").read_text())["groups"]
    return sorted(rule["alert"] for group in groups for rule in group["rules"])


def state(prometheus, replicas):
    """What is not as it should be with the targets, or with the rules once they were looked at since then."""
    targets = ask(url(prometheus), "targets")["activeTargets"]
    names = sorted(it["labels"]["instance"].partition(":")[0] for it in targets if it["labels"]["job"] == "tidegate")
    if names != sorted(it.name for it in replicas):
        return f"it watches {names}"
    found = ask(url(prometheus), "query", query='up{job="tidegate"}')["result"]
    values = {it["metric"]["instance"]: it["value"][1] for it in found}
    if list(values.values()) != ["1"] * len(replicas):
        return f"up is {values}; {[it['lastError'] for it in targets]}"
    rules = [it for group in ask(url(prometheus), "rules")["groups"] for it in group["rules"]]
    if sorted(it["name"] for it in rules) != rules_of_the_file():
        return "its rules are not those of deploy/alerts.yml"
    scraped = max(it["lastScrape"] for it in targets)
    if min(it["lastEvaluation"] for it in rules) < scraped:
        return f"no look at the rules since {scraped}"
    bad = [it["name"] for it in rules if it["health"] != "ok" or it["state"] != "inactive"]
    return f"{bad} are pending, fire or cannot be evaluated" if bad else None


def watches(prometheus, replicas):
    end = time.monotonic() + SCRAPES
    while wrong := state(prometheus, replicas):
        expect(f"Prometheus: {wrong}, after {SCRAPES} s", time.monotonic() < end)
        time.sleep(0.5)
    say(f"Prometheus finds both up, and of its {len(rules_of_the_file())} rules none fires")


def check(found, missing):
    all_of_them = list(found.values())
    replicas = [it for it in all_of_them if it.service.build]
    prometheus = next(it for it in all_of_them if it.image.name.startswith("prom/"))
    up(all_of_them, first=True)
    provide_docker(replicas)
    token = is_used_as_written()
    wants_tokens(replicas, token)
    addresses = {it.name: it.address for it in all_of_them}
    for it in missing:
        say(f"{it.name}: its files fit together, and Prometheus takes its {grafana.check(it, addresses, ask)} queries")
    watches(prometheus, replicas)
    down(all_of_them)
    kept = [it for it in all_of_them if it != prometheus]
    up(kept, first=False)
    wants_tokens(replicas, token)
    down(kept)
    say("the volume has kept all of it")


def main():
    found = {}
    try:
        refuses_to_go_without_a_password()
        services = settings.read(FILE, BASE, variables())
        make_network()
        found, missing = containers(services)
        check(found, missing)
    except (Failed, settings.Refused, OSError, subprocess.SubprocessError) as error:
        for it in found.values():
            if it.log.exists():
                print(f"{it.name}: {it.log.read_text()[-3000:]}", file=sys.stderr)
        if not isinstance(error, (Failed, settings.Refused)):
            traceback.print_exc()
        raise SystemExit(f"scripts/compose-check: {error}") from None


main()
