"""Holds the alert rules and the dashboard against the list of metrics, the chart and docs/operations.md."""

import argparse
import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path("deploy/monitoring")
CHART_FILES = pathlib.Path("deploy/helm/casebook/files")
RUNBOOK = pathlib.Path("docs/operations.md")

# What a scrape adds to every series, and what Prometheus adds to a bucket and an alert.
SCRAPE_LABELS = {"namespace", "job", "instance", "pod", "le", "alertname", "alertstate"}
KEYWORDS = {"by", "on", "without", "ignoring", "group_left", "group_right", "and", "or", "unless", "offset", "bool"}

problems = []


def problem(text):
    problems.append(text)


def read_metrics():
    """name -> labels; a histogram's series are three."""
    metrics, bases = {}, {}
    for line in (HERE / "metrics.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, kind, labels = line.split()
        labels = set() if labels == "-" else set(labels.split(","))
        series = [name + suffix for suffix in ("_bucket", "_sum", "_count")] if kind == "histogram" else [name]
        if (kind == "counter") != name.endswith("_total"):
            problem(f"metrics.txt: {name} is a {kind}: counters, and only they, end in _total")
        for one in series:
            metrics[one] = labels
            bases[one] = name
    return metrics, bases


def names_and_labels(expression):
    """The metrics of a PromQL expression, each with the labels that are matched on it, and the labels it groups by."""
    text = re.sub(r"\$__?[a-z_]+|\$[a-z]+", "1m", expression)
    matched = []
    # Selectors first, so that what is within braces and quotes is not taken for a name.
    def selector(found):
        labels = re.findall(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)", re.sub(r'"(?:[^"\\]|\\.)*"', '""', found.group(2)))
        matched.append((found.group(1), labels))
        return " "
    text = re.sub(r"([a-zA-Z_:][\w:]*)\s*\{((?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*)\}", selector, text)
    grouped = []
    def grouping(found):
        grouped.extend(label.strip() for label in found.group(1).split(",") if label.strip())
        return " "
    text = re.sub(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)", grouping, text)
    text = re.sub(r"\[[^\]]*\]|\boffset\s+\w+", " ", text)
    # A word before a parenthesis is a function; one that begins with a digit is a number.
    for found in re.finditer(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(\s*\()?", text):
        if not found.group(2) and found.group(1) not in KEYWORDS and not re.fullmatch(r"\d.*|1m", found.group(1)):
            matched.append((found.group(1), []))
    return matched, grouped


def check_expression(where, expression, metrics, recorded, used):
    matched, grouped = names_and_labels(expression)
    known = set(SCRAPE_LABELS)
    for name, labels in matched:
        if name == "ALERTS" or name in recorded:
            continue
        if name not in metrics:
            problem(f"{where}: there is no metric {name} (deploy/monitoring/metrics.txt)")
            continue
        used.add(name)
        known |= metrics[name]
        for label in labels:
            if label not in metrics[name] | SCRAPE_LABELS:
                problem(f"{where}: {name} has no label {label}")
    for label in grouped:
        if label not in known:
            problem(f"{where}: groups by {label}, which no metric in it has")
    return known


def check_rules(path, metrics, used):
    rules = [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    tested = (HERE / "casebook.rules.test.yaml").read_text()
    text = RUNBOOK.read_text() if RUNBOOK.exists() else ""
    headings = {re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-")
                for line in re.findall(r"^#+ (.*)$", text, re.M)}
    alerts = set()
    for rule in rules:
        if "record" in rule:
            check_expression(rule["record"], rule["expr"], metrics, recorded, used)
            continue
        name = rule["alert"]
        alerts.add(name)
        known = check_expression(name, rule["expr"], metrics, recorded, used)
        if rule.get("labels", {}).get("severity") not in ("critical", "warning"):
            problem(f"{name}: severity is neither critical nor warning")
        annotations = rule.get("annotations", {})
        for key in ("summary", "description", "runbook"):
            if key not in annotations:
                problem(f"{name}: no {key}")
        for label in re.findall(r"\$labels\.(\w+)", " ".join(annotations.values())):
            if label not in known:
                problem(f"{name}: its text names the label {label}, which no metric in it has")
        if annotations.get("runbook") != f"{RUNBOOK}#{name.lower()}":
            problem(f"{name}: runbook is not {RUNBOOK}#{name.lower()}")
        if name.lower() not in headings:
            problem(f"{name}: {RUNBOOK} has no heading {name}")
        if f'alertname="{name}"' not in tested:
            problem(f"{name}: casebook.rules.test.yaml does not test it")
    for heading in sorted(headings):
        if heading.startswith("casebook") and heading not in {name.lower() for name in alerts}:
            problem(f"{RUNBOOK}: {heading} is the heading of no alert")


def check_dashboard(path, metrics, used):
    dashboard = json.loads(path.read_text())
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    ids, cells = set(), {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            name = re.match(r"label_values\((\w+), (\w+)\)$", variable["definition"])
            if not name or name.group(1) not in metrics:
                problem(f"dashboard: variable {variable['name']} asks for no known metric")
            else:
                used.add(name.group(1))
    for panel in dashboard["panels"]:
        title = f"dashboard: {panel['title']}"
        if panel["id"] in ids:
            problem(f"{title}: its id is another panel's")
        ids.add(panel["id"])
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            problem(f"{title}: reaches beyond the right edge")
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if (x, y) in cells:
                    problem(f"{title}: lies over {cells[x, y]}")
                    break
                cells[x, y] = panel["title"]
        if panel["type"] == "row":
            continue
        if not panel.get("description"):
            problem(f"{title}: no description")
        for target in panel["targets"]:
            check_expression(title, target["expr"], metrics, set(), used)
            for variable in re.findall(r"\$(?:\{)?([a-z]\w*)", target["expr"]):
                if variable not in variables:
                    problem(f"{title}: there is no variable {variable}")
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                if not re.search(rf"by \([^)]*\b{label}\b", target["expr"]) and label not in SCRAPE_LABELS:
                    problem(f"{title}: the legend names {label}, which is not grouped by")


def registered_in_code():
    """What the code registers, as scraped. A note only: names put together at run time are not seen here."""
    names = set()
    for path in pathlib.Path(".").glob("*/src/**/*.rs"):
        for name in re.findall(r'\.register(?:_with_unit)?\(\s*"([a-z0-9_]+)"', path.read_text()):
            names.add(f"casebook_{name}")
    return names


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--dashboard", type=pathlib.Path, default=HERE / "casebook.dashboard.json")
    arguments = arguments.parse_args()
    metrics, bases = read_metrics()
    used = set()
    check_rules(HERE / "casebook.rules.yaml", metrics, used)
    check_dashboard(arguments.dashboard, metrics, used)
    for name in sorted(set(bases.values()) - {bases[name] for name in used}):
        problem(f"metrics.txt: {name} is in no rule and no panel")
    for name in ("casebook.rules.yaml", "casebook.dashboard.json"):
        if (CHART_FILES / name).read_text() != (HERE / name).read_text():
            problem(f"{CHART_FILES / name} is not the same as {HERE / name}")
    code = registered_in_code()
    listed = {name.removesuffix("_total") for name in set(bases.values()) if name.startswith("casebook_")}
    for name in sorted(code - listed):
        print(f"note: the code has {name}, and neither a rule nor a panel uses it")
    for name in sorted(listed - code):
        print(f"note: metrics.txt has {name}, and the code does not register it under this name")
    for text in problems:
        print(text)
    sys.exit(bool(problems))


main()
