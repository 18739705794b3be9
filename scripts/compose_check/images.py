"""What stands in for the images of compose.yaml: programs of Debian and of this project, with what the images set."""

import pwd
import subprocess
from pathlib import Path

from settings import Image, Refused, dockerfile

# As the image's own: the first start makes the cluster, and answers nobody but its own machine while it does.
POSTGRES = r"""
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?is needed}"
  initdb --username "$POSTGRES_USER" --pwfile <(echo "$POSTGRES_PASSWORD") --encoding UTF8 --locale C.UTF-8
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  pg_ctl start -w -o "-c listen_addresses=''"
  createdb --username "$POSTGRES_USER" "${POSTGRES_DB:-$POSTGRES_USER}"
  touch /run/postgresql/alone
  for _ in $(seq 100); do [ -e /run/postgresql/go-on ] && break || sleep 0.1; done
  pg_ctl stop -w
fi
exec postgres -c "listen_addresses=*"
"""


def postgres(name, programs):
    user = pwd.getpwnam("postgres")
    return Image(
        name, f"PostgreSQL {programs.parent.name} of Debian", ("postgres", user.pw_uid, user.pw_gid),
        ["bash", "-c", POSTGRES], debian=True, volumes=["/var/lib/postgresql/data"], stop_signal="SIGINT",
        environment={"PATH": f"{programs}:/usr/bin:/bin", "PGDATA": "/var/lib/postgresql/data"},
        alone=("run/postgresql/alone", "run/postgresql/go-on"),
    )


def prometheus(name, program):
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    return Image(
        name, f"Prometheus {version} of Debian", ("nobody", 65534, 65534), ["/bin/prometheus"],
        ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"],
        folder="/prometheus", volumes=["/prometheus"], programs={"/bin/prometheus": program.resolve()},
    )


def tidegate(name, context):
    image = Image(name, "the programs in target/debug", ("nonroot", 65532, 65532), [], folder="/home/nonroot",
                  environment={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    return dockerfile(context / "Dockerfile", image, Path("target/debug"))


def image_of(service, base, postgres_programs):
    """None where nothing can stand in for the image."""
    if service.build:
        return tidegate(service.image, base / service.build)
    kind, _, version = service.image.partition(":")
    if not version:
        raise Refused(f"{service.name}: image: {service.image} has no version")
    if kind == "postgres":
        return postgres(service.image, postgres_programs)
    if kind == "prom/prometheus":
        return prometheus(service.image, Path("target/tools/prometheus-deb/usr/bin/prometheus"))
    if kind == "grafana/grafana":
        return None
    raise Refused(f"{service.name}: nothing is known to stand in for {service.image}")
