"""What can be said of Grafana's files without a Grafana."""

import json
import urllib.parse

import yaml

from containers import Failed

PROVISIONING = "/etc/grafana/provisioning"


def provisioned(files, kind, key):
    found = [yaml.safe_load(source.read_text()) for target, source in files.items()
             if target.rpartition("/")[0] == f"{PROVISIONING}/{kind}"]
    if not found:
        raise Failed(f"Grafana: nothing is mounted into {PROVISIONING}/{kind}")
    return [it for said in found for it in said[key]]


def source_url(files, addresses):
    """Where the source of data is that the dashboard takes, for who is not in the network of the containers."""
    sources = [it for it in provisioned(files, "datasources", "datasources") if it.get("isDefault")]
    if [it["type"] for it in sources] != ["prometheus"]:
        raise Failed(f"Grafana: one Prometheus is to be the source of data unless another is chosen, not {sources}")
    url = urllib.parse.urlsplit(sources[0]["url"])
    if url.hostname not in addresses:
        raise Failed(f"Grafana: its source of data, {url.geturl()}, is no service that runs")
    return url._replace(netloc=f"{addresses[url.hostname]}:{url.port}").geturl()


def queries(dashboard):
    return [target["expr"].replace("$__rate_interval", "1m") for panel in dashboard["panels"]
            for target in panel.get("targets", [])]


def check(service, addresses, ask):
    """The number of queries that the source of data has taken."""
    files = {target: source for source, target, _ in service.mounts}
    source = source_url(files, addresses)
    folders = [it["options"]["path"] for it in provisioned(files, "dashboards", "providers")]
    boards = {target: json.loads(source.read_text()) for target, source in files.items() if target.endswith(".json")}
    for folder in folders:
        if not any(target.startswith(folder + "/") for target in boards):
            raise Failed(f"Grafana: no dashboard is mounted into {folder}")
    home = service.environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    if home not in boards:
        raise Failed(f"Grafana: its first dashboard, {home}, is not mounted")
    asked = [it for board in boards.values() for it in queries(board)]
    for it in asked:
        ask(source, "query", query=it)
    return len(asked)
