"""The second half of scripts/dashboard-picture: FOLDER DATABASE SECONDS."""

import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FOLDER, DATABASE, SECONDS = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
PROGRAMS = pathlib.Path("target/debug")
PROMETHEUS = "target/tools/prometheus-deb/usr/bin/prometheus"
DASHBOARD = json.loads(pathlib.Path("deploy/grafana/tidegate.json").read_text())
PICTURE = "docs/dashboard.png"
REPLICAS = ("tidegate-1", "tidegate-2")
# Seconds between two scrapes, and what Grafana makes of that for rates.
SCRAPE, RATE_INTERVAL = 2, "20s"
# The time that is left is drawn only where something is left: no replica here has TLS.
MAY_BE_EMPTY = {"TLS certificates"}
started = []


def port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def run(name, *command):
    log = open(FOLDER / f"{name}.log", "w")
    started.append(subprocess.Popen(command, stdout=log, stderr=log))


def until(what, is_so):
    for _ in range(300):
        try:
            if is_so():
                return
        except OSError:
            pass
        time.sleep(0.1)
    logs = "".join(it.read_text()[-2000:] for it in FOLDER.glob("*.log"))
    raise SystemExit(f"{what} has not come true: {logs}")


def answers(url):
    with urllib.request.urlopen(url, timeout=5) as page:
        return page.status == 200


def tool(address, token, *arguments, seconds=10):
    environment = {**os.environ, "TIDEGATE_ADDRESS": address, "TIDEGATE_TOKEN": token}
    command = [PROGRAMS / "tidegate", *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip()


def work(address, token, number, end):
    """Declares, has approved, runs and ends transfers, some of them badly, and asks for what is refused."""
    tables = itertools.cycle(["orders", "customers", "invoices"])
    for turn in itertools.count(number):
        if time.time() > end:
            return
        def transfer(verb, *rest):
            return tool(address, token, "transfer", verb, *rest)
        asks = ["--requires-approval"] if turn % 3 == 0 else []
        uuid = transfer("create", "--direction", "send", "--table", next(tables), "--records-requested", "1500", *asks, "-o", "name")
        if turn % 5 == 0:
            transfer("complete", uuid)
        if asks:
            transfer("request-approval", uuid)
            if turn % 2:
                continue
            transfer("approve", uuid)
        transfer("start", uuid, "--heartbeat-timeout", "10s")
        if turn % 11 == 0:
            continue
        transfer("progress", uuid, "--records", "700")
        if turn % 7 == 0:
            transfer("fail", uuid, "--error-message", "the site is gone")
        else:
            transfer("complete", uuid)
        if turn % 4 == 0:
            tool(address, "tg_nonsense", "whoami")


def serve():
    addresses, scraped = [], []
    token = None
    for name in REPLICAS:
        calls, metrics = port(), port()
        server = [PROGRAMS / "tidegate-server", "--database-url", DATABASE, "--auth", "required"]
        if token is None:
            subprocess.run([server[0], "migrate", "--database-url", DATABASE], check=True, capture_output=True)
            made = [server[0], "token", "create", "--role", "admin", "--name", "operator", "--database-url", DATABASE]
            token = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
        run(name, *server, "--listen", f"127.0.0.1:{calls}", "--metrics-listen", f"127.0.0.1:{metrics}")
        until(f"{name} serves", lambda: answers(f"http://127.0.0.1:{metrics}/readyz"))
        addresses.append(f"http://127.0.0.1:{calls}")
        scraped.append({"targets": [f"127.0.0.1:{metrics}"], "labels": {"instance": name}})
    return addresses, scraped, token


def watch(scraped):
    """A Prometheus on the replicas, and where it answers."""
    config = {
        "global": {"scrape_interval": f"{SCRAPE}s"},
        "scrape_configs": [{"job_name": "tidegate", "static_configs": scraped}],
    }
    (FOLDER / "prometheus.yml").write_text(json.dumps(config))
    here = f"127.0.0.1:{port()}"
    run("prometheus", PROMETHEUS, f"--config.file={FOLDER}/prometheus.yml", f"--storage.tsdb.path={FOLDER}/data",
        f"--web.listen-address={here}")
    until("Prometheus is ready", lambda: answers(f"http://{here}/-/ready"))
    return f"http://{here}"


def ask(prometheus, query, begin, end):
    query = query.replace("$__rate_interval", RATE_INTERVAL)
    asked = urllib.parse.urlencode({"query": query, "start": begin, "end": end, "step": SCRAPE})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{asked}") as page:
        return json.load(page)["data"]["result"]


def legend(form, labels):
    labels = {name: value.removeprefix("tidegate.v1.") for name, value in labels.items()}
    for name, value in labels.items():
        form = form.replace("{{" + name + "}}", value)
    return form


def duration(seconds):
    return next(f"{seconds / size:.3g} {name}" for size, name in ((3600, "h"), (60, "min"), (1, "s"), (0.001, "ms"))
                if seconds >= size or size == 0.001)


def draw(axes, panel, series, begin):
    axes.set_title(panel["title"], loc="left", fontsize=9, fontweight="bold")
    if panel["type"] == "timeseries":
        for name, values in sorted(series):
            # Without a value while a rate has nothing to divide by.
            points = [(float(at) - begin, float(value)) for at, value in values if value != "NaN"]
            axes.plot(*zip(*points), label=name, linewidth=1.2)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=6)
        axes.legend(fontsize=5.5, loc="upper left", ncols=2 if len(series) > 5 else 1, framealpha=0.6)
        axes.xaxis.set_major_formatter("{x:g} s")
        axes.set_ylabel({"s": "s", "ops": "1/s", "reqps": "calls/s"}.get(panel["fieldConfig"]["defaults"]["unit"], ""), fontsize=7)
        return
    axes.axis("off")
    if panel["type"] == "stat":
        last = float(series[0][1][-1][1]) if series else None
        text = "–" if last is None else duration(last) if panel["fieldConfig"]["defaults"]["unit"] == "s" else f"{last:g}"
    else:
        text = "\n".join(name for name, _ in sorted(series))
    axes.text(0.5, 0.45, text, ha="center", va="center", fontsize=22 if panel["type"] == "stat" else 10, transform=axes.transAxes)


def picture(prometheus, begin, end):
    panels = DASHBOARD["panels"]
    rows = max(it["gridPos"]["y"] + it["gridPos"]["h"] for it in panels)
    inch, empty = 0.26, []
    figure = plt.figure(figsize=(13, rows * inch))
    for panel in panels:
        place = panel["gridPos"]
        left, width = place["x"] / 24, place["w"] / 24
        bottom, height = 1 - (place["y"] + place["h"]) / rows, place["h"] / rows
        if panel["type"] == "row":
            figure.text(left + 0.01, bottom + height / 3, panel["title"], fontsize=11, color="tab:blue")
            continue
        series = [
            (legend(target["legendFormat"], found["metric"]), found["values"])
            for target in panel["targets"]
            for found in ask(prometheus, target["expr"], begin, end)
        ]
        if not series and panel["title"] not in MAY_BE_EMPTY:
            empty.append(panel["title"])
        pad = 0.035 if panel["type"] == "timeseries" else 0.01
        axes = figure.add_axes((left + pad, bottom + height * 0.13, width - pad - 0.01, height * 0.7))
        draw(axes, panel, series, begin)
    figure.savefig(PICTURE, dpi=80, metadata={"Software": None})
    if empty:
        raise SystemExit(f"nothing was found for {', '.join(empty)}")


def main():
    addresses, scraped, token = serve()
    prometheus = watch(scraped)
    begin = time.time()
    end = begin + SECONDS
    follow = [PROGRAMS / "tidegate", "transfer", "watch", "--address", addresses[1], "--token", token]
    run("watch", *follow)
    workers = [threading.Thread(target=work, args=(addresses[it % 2], token, it * 5, end)) for it in range(6)]
    for it in workers:
        it.start()
    for it in workers:
        it.join()
    time.sleep(2 * SCRAPE)
    picture(prometheus, begin, time.time())
    print(f"{PICTURE}: {os.path.getsize(PICTURE)} bytes")


try:
    main()
finally:
    for it in reversed(started):
        it.send_signal(signal.SIGTERM)
    for it in started:
        it.wait(20)
