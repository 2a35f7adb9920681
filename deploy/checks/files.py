"""What the image copies, what compose runs, and whether the settings files have keys and sources that exist."""

import fnmatch
import json
import pathlib
import re
import shlex
import sys

import yaml

from settings import check_settings, chart_keys, key_paths

DEPLOY = pathlib.Path("deploy")
problems = []


def problem(text):
    problems.append(text)


def check_image():
    ignored = [line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
               if line and not line.startswith("#")]
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if not words or words[0] != "COPY" or any(word.startswith("--from") for word in words):
            continue
        for source in words[1:-1]:
            if not pathlib.Path(source).exists():
                problem(f"Dockerfile: COPY {source}: there is no such thing")
            if any(fnmatch.fnmatch(source, pattern) for pattern in ignored):
                problem(f"Dockerfile: COPY {source}: Dockerfile.dockerignore leaves it out")
    members = re.search(r"^members = \[(.*)\]", pathlib.Path("Cargo.toml").read_text(), re.M).group(1)
    for member in re.findall(r'"([^"]+)"', members):
        if any(fnmatch.fnmatch(member, pattern) for pattern in ignored):
            problem(f"Dockerfile.dockerignore leaves out {member}, which the build needs")
    wanted = re.search(r'^rust-version = "([^"]+)"', pathlib.Path("Cargo.toml").read_text(), re.M).group(1)
    if f"FROM rust:{wanted}-" not in text:
        problem(f"Dockerfile: does not build with Rust {wanted}, as Cargo.toml asks")
    version = re.search(r'^version = "([^"]+)"', pathlib.Path("Cargo.toml").read_text(), re.M).group(1)
    chart = yaml.safe_load((DEPLOY / "helm/casebook/Chart.yaml").read_text())
    if chart["appVersion"] != version:
        problem(f"Chart.yaml: appVersion is {chart['appVersion']}, and the workspace's version {version}")
    base = yaml.safe_load((DEPLOY / "kubernetes/base/kustomization.yaml").read_text())
    for image in base["images"]:
        if image["newTag"] != version:
            problem(f"kustomization.yaml: newTag is {image['newTag']}, and the workspace's version {version}")


def check_compose():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    volumes = compose.get("volumes", {})
    for name, service in compose["services"].items():
        if "image" not in service and "build" not in service:
            problem(f"compose: {name} has neither image nor build")
        for other, _ in (service.get("depends_on") or {}).items():
            if other not in compose["services"]:
                problem(f"compose: {name} depends on {other}, which is no service")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                if not (DEPLOY / source).exists():
                    problem(f"compose: {name} mounts {source}, which does not exist")
            elif source not in volumes:
                problem(f"compose: {name} mounts {source}, which is no volume")
        for published in service.get("ports", []):
            if not published.startswith("127.0.0.1:"):
                problem(f"compose: {name} publishes {published} to everybody")
        if "build" in service and not (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists():
            problem(f"compose: {name} is built from no Dockerfile")
    kafka = re.search(r"<kafka.version>(.*)</kafka.version>", (DEPLOY / "dev/kafka-dist/pom.xml").read_text()).group(1)
    for name, service in compose["services"].items():
        if service.get("image", "").startswith("apache/kafka:") and service["image"] != f"apache/kafka:{kafka}":
            problem(f"compose: {name} is not the Kafka {kafka} that the tests run against")
    settings = yaml.safe_load((DEPLOY / "compose/casebook.yaml").read_text())
    problems.extend(check_settings("compose/casebook.yaml", settings))
    # The topics that it reads are those that the helper creates, and the broker is where it listens.
    created = set(re.findall(r"logs\.[a-z-]+", " ".join(compose["services"]["topics"]["command"])))
    read = {topic["name"] for topic in settings["kafka"]["topics"]}
    if created != read:
        problem(f"compose: topics {sorted(created ^ read)} are created or read, and not both")
    advertised = compose["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    if f"://{settings['kafka']['brokers']}" not in advertised:
        problem(f"compose: no listener is advertised as {settings['kafka']['brokers']}")
    if not settings["http"].startswith("0.0.0.0:"):
        problem("compose: http is not on all interfaces of the container")


def check_example():
    example = yaml.safe_load((DEPLOY / "casebook.example.yaml").read_text())
    problems.extend(check_settings("casebook.example.yaml", example))
    # Whatever can be set can be set through the chart.
    schema = json.loads((DEPLOY / "helm/casebook/values.schema.json").read_text())
    for path in sorted(key_paths(example) - chart_keys(schema)):
        problem(f"values.schema.json: config has no {path}, and casebook.example.yaml has")


check_image()
check_compose()
check_example()
for text in problems:
    print(text)
sys.exit(bool(problems))
