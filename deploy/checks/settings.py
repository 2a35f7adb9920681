"""What is known of casebook.yaml without Casebook's own parser: its keys, by the chart's schema, and its sources."""

import json
import pathlib
import re

SCHEMA = pathlib.Path("deploy/helm/casebook/values.schema.json")
# What the chart sets itself, so that its values have no such key.
CHART_SETS = {"http", "rules", "correlation.spill_directory", "kafka.token_file"}
# Maps whose keys are the user's.
OPEN = {"kafka.properties", "lateness.sources"}


def sources():
    text = pathlib.Path("event/src/source.rs").read_text()
    return set(re.findall(r'^\s+name: "([a-z_]+)",$', text, re.M)) | {"auto"}


def key_paths(settings, prefix=""):
    """kafka.brokers and the like. Of a list, the keys of its items."""
    paths = set()
    for key, value in settings.items():
        path = prefix + key
        paths.add(path)
        if path in OPEN:
            continue
        if isinstance(value, dict):
            paths |= key_paths(value, path + ".")
        for item in value if isinstance(value, list) else []:
            if isinstance(item, dict):
                paths |= key_paths(item, path + ".")
    return paths


def chart_keys(schema=None):
    schema = schema or json.loads(SCHEMA.read_text())

    def keys(node, prefix):
        found = set()
        for key, value in node.get("properties", {}).items():
            found.add(prefix + key)
            if prefix + key not in OPEN:
                found |= keys(value, prefix + key + ".")
                found |= keys(value.get("items", {}), prefix + key + ".")
        return found

    return keys(schema["properties"]["config"], "") | CHART_SETS


def check_settings(where, settings):
    """What is wrong with the content of a casebook.yaml."""
    found = [f"{where}: no such key: {path}" for path in sorted(key_paths(settings) - chart_keys())]
    if not settings.get("kafka", {}).get("brokers"):
        found.append(f"{where}: no kafka.brokers")
    if not settings.get("kafka", {}).get("topics"):
        found.append(f"{where}: no kafka.topics")
    known = sources()
    for topic in settings.get("kafka", {}).get("topics") or []:
        if topic.get("source", "auto") not in known:
            found.append(f"{where}: {topic['name']}: there is no source {topic['source']}")
    return found


def seconds(duration):
    number, unit = re.fullmatch(r"(\d+) ?(ms|s|m|h|d|w)", duration).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
