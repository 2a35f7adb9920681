"""Rendered manifests: the Kubernetes schemas, what the objects say of one another, and the restricted pod standard.

Kinds of the operators have no schema in the Kubernetes API; of those the shape and the references are checked, and a
note says that it is no more than that.
"""

import argparse
import functools
import pathlib
import re
import sys

import kubernetes_validate
import yaml
from kubernetes_validate import utils

from settings import check_settings, seconds

# The oldest that the chart is for, and the newest whose schemas there are.
VERSIONS = ("1.27.0", kubernetes_validate.latest_version())
OPERATORS = {
    ("keda.sh/v1alpha1", "ScaledObject"): {"scaleTargetRef", "triggers"},
    ("monitoring.coreos.com/v1", "PodMonitor"): {"selector", "podMetricsEndpoints"},
    ("monitoring.coreos.com/v1", "ServiceMonitor"): {"selector", "endpoints"},
    ("monitoring.coreos.com/v1", "PrometheusRule"): {"groups"},
}
# What the restricted standard lets a pod mount.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

# The definitions are megabytes, and read anew for each object.
utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)

problems = []


def problem(where, text):
    problems.append(f"{where}: {text}")


class Loader(yaml.SafeLoader):
    """Refuses a key that comes twice, of which YAML's readers silently take one."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise yaml.YAMLError(f"a key comes twice: {sorted(keys)}")
        return super().construct_mapping(node, deep)


Loader.add_constructor("tag:yaml.org,2002:map", lambda loader, node: loader.construct_mapping(node, deep=True))


def name_of(thing):
    return f"{thing['kind']} {thing['metadata']['name']}"


def check_schema(thing):
    where = name_of(thing)
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problem(where, f"Kubernetes {version}: {'.'.join(str(part) for part in error.path)}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            problem(where, f"Kubernetes {version} has no {thing['apiVersion']} {thing['kind']}")


def strings(where, mapping):
    for key, value in mapping.items():
        if not isinstance(value, str):
            problem(where, f"{key}: {value!r} is not text")


def check_labels(thing):
    where = name_of(thing)
    for mapping in (thing["metadata"].get("labels") or {}, thing["metadata"].get("annotations") or {}):
        strings(where, mapping)
    for value in (thing["metadata"].get("labels") or {}).values():
        if not re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", str(value)):
            problem(where, f"label value {value!r}")
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", thing["metadata"]["name"]) or len(thing["metadata"]["name"]) > 63:
        problem(where, "its name")


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


class Manifests:
    def __init__(self, things, outside):
        self.things = things
        self.outside = outside
        self.pods = []
        for thing in things:
            if thing["kind"] == "Deployment":
                self.pods.append((thing, thing["spec"]["template"]))
            elif thing["kind"] == "Pod":
                self.pods.append((thing, thing))

    def has(self, kind, name):
        return any(thing["kind"] == kind and thing["metadata"]["name"] == name for thing in self.things)

    def refer(self, where, kind, name):
        if not self.has(kind, name) and f"{kind}/{name}" not in self.outside:
            problem(where, f"needs a {kind} {name}, which is not among the manifests (nor in `# outside:` of the values)")

    def content_of(self, name):
        for thing in self.things:
            if thing["kind"] == "ConfigMap" and thing["metadata"]["name"] == name and "casebook.yaml" in thing["data"]:
                return yaml.load(thing["data"]["casebook.yaml"], Loader)
        return None

    def check_pod(self, owner, template):
        where = name_of(owner)
        spec = template["spec"]
        worker = owner["kind"] == "Deployment"
        if worker and not selects(owner["spec"]["selector"], template["metadata"]["labels"]):
            problem(where, "its selector does not select its own pods")
        for constraint in spec.get("topologySpreadConstraints", []):
            if not selects(constraint["labelSelector"], template["metadata"]["labels"]):
                problem(where, "topology spread is over other pods than its own")
        # ---- the restricted standard, and a root that nothing is written to
        if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
            problem(where, "shares a namespace with the node")
        security = spec.get("securityContext", {})
        if not security.get("runAsNonRoot") or security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            problem(where, "runAsNonRoot or the seccomp profile is missing")
        if spec.get("automountServiceAccountToken") is not False:
            problem(where, "a token for the API server is mounted")
        self.refer(where, "ServiceAccount", spec.get("serviceAccountName", "default"))
        volumes = {}
        for volume in spec.get("volumes", []):
            kinds = set(volume) - {"name"}
            if volume["name"] in volumes or not kinds <= VOLUMES:
                problem(where, f"volume {volume['name']}: comes twice, or is of a kind that is not allowed: {kinds}")
            volumes[volume["name"]] = volume
            if "configMap" in volume:
                self.refer(where, "ConfigMap", volume["configMap"]["name"])
            if "secret" in volume:
                self.refer(where, "Secret", volume["secret"]["secretName"])
            if "persistentVolumeClaim" in volume:
                self.refer(where, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
            if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
                problem(where, f"volume {volume['name']} has no sizeLimit")
        for container in spec["containers"]:
            self.check_container(where, spec, container, volumes, worker)

    def check_container(self, where, spec, container, volumes, worker):
        security = container.get("securityContext", {})
        if security.get("allowPrivilegeEscalation") is not False or security.get("capabilities") != {"drop": ["ALL"]}:
            problem(where, "privileges or capabilities are left")
        if security.get("readOnlyRootFilesystem") is not True:
            problem(where, "the root can be written to")
        if "memory" not in container["resources"].get("limits", {}) or "memory" not in container["resources"]["requests"]:
            problem(where, "no limit or request of memory")
        mounts = container["volumeMounts"]
        paths = [mount["mountPath"] for mount in mounts]
        if len(paths) != len(set(paths)):
            problem(where, "two volumes at one path")
        for mount in mounts:
            if mount["name"] not in volumes:
                problem(where, f"mounts {mount['name']}, which is no volume")
        for unused in set(volumes) - {mount["name"] for mount in mounts}:
            problem(where, f"volume {unused} is mounted nowhere")
        if worker:
            ports = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if container[probe]["httpGet"]["port"] not in ports:
                    problem(where, f"{probe}: no such port")
        config = next(volumes[mount["name"]] for mount in mounts if mount["mountPath"] == "/etc/casebook")
        settings = self.content_of(config["configMap"]["name"])
        if settings is None:
            problem(where, "its casebook.yaml is not among the manifests")
            return
        problems.extend(check_settings(where, settings))
        deadline = seconds(settings.get("shutdown_deadline", "45s"))
        if worker and spec["terminationGracePeriodSeconds"] <= deadline:
            problem(where, f"is killed before its shutdown deadline of {deadline} s")
        if worker and not any(str(port["containerPort"]) == settings["http"].split(":")[-1] for port in container["ports"]):
            problem(where, f"no port for http: {settings['http']}")
        # ---- every path in the settings is one that is mounted, or comes with the image
        mounted = [mount["mountPath"] for mount in mounts]
        wanted = [rule for rule in settings["rules"] if rule != "/usr/share/casebook/rules"]
        wanted.append(settings.get("correlation", {}).get("spill_directory", "/tmp"))
        if "://" not in settings["store"]:
            wanted.append(settings["store"])
        if "token_file" in settings["kafka"]:
            wanted.append(settings["kafka"]["token_file"])
        environment = {variable["name"] for variable in container.get("env", [])}
        for key, value in settings["kafka"].get("properties", {}).items():
            if isinstance(value, dict) and "file" in value:
                wanted.append(value["file"])
            elif isinstance(value, dict) and value["env"] not in environment:
                problem(where, f"kafka.properties.{key}: there is no variable {value['env']}")
            elif key.endswith(".location"):
                wanted.append(value)
        for path in wanted:
            if not any(path == mount or path.startswith(mount + "/") for mount in mounted):
                problem(where, f"casebook.yaml names {path}, where nothing is mounted")

    def check_others(self, thing, rules_path):
        where = name_of(thing)
        spec = thing.get("spec", {})
        kind = thing["kind"]
        labels = [template["metadata"]["labels"] for owner, template in self.pods if owner["kind"] == "Deployment"]
        if kind in ("PodDisruptionBudget", "PodMonitor") and not any(selects(spec["selector"], one) for one in labels):
            problem(where, "selects no pod")
        if kind == "NetworkPolicy" and not all(selects(spec["podSelector"], one) for one in labels):
            problem(where, "does not select every worker")
        if kind in ("HorizontalPodAutoscaler", "ScaledObject"):
            target = spec["scaleTargetRef"]
            if not self.has(target["kind"], target["name"]):
                problem(where, f"scales {target['name']}, which does not exist")
            for owner, _ in self.pods:
                if owner["metadata"]["name"] == target["name"] and "replicas" in owner["spec"]:
                    problem(where, f"{target['name']} has a number of replicas, which every upgrade would set again")
        if kind == "ScaledObject":
            for trigger in spec["triggers"]:
                strings(where, trigger["metadata"])
                for key in ("bootstrapServers", "consumerGroup", "lagThreshold"):
                    if key not in trigger["metadata"]:
                        problem(where, f"trigger without {key}")
        if kind in ("PodMonitor", "ServiceMonitor"):
            ports = {port["name"] for _, template in self.pods for container in template["spec"]["containers"]
                     for port in container.get("ports", [])}
            for endpoint in spec.get("podMetricsEndpoints", []) + spec.get("endpoints", []):
                if endpoint["port"] not in ports:
                    problem(where, f"no port {endpoint['port']}")
        if kind == "ServiceMonitor":
            services = [other for other in self.things if other["kind"] == "Service"]
            if not any(selects(spec["selector"], service["metadata"]["labels"]) for service in services):
                problem(where, "selects no service")
        if kind == "PrometheusRule" and rules_path:
            rules_path.write_text(yaml.safe_dump({"groups": spec["groups"]}))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rules", type=pathlib.Path, help="where the content of a PrometheusRule is put")
    arguments.add_argument("--outside", default="", help="KIND/NAME of what exists already, with spaces between")
    arguments.add_argument("manifests", type=pathlib.Path)
    arguments = arguments.parse_args()
    things = [thing for thing in yaml.load_all(arguments.manifests.read_text(), Loader) if thing]
    manifests = Manifests(things, set(arguments.outside.split()))
    seen = set()
    without_schema = set()
    for thing in things:
        key = (thing["kind"], thing["metadata"]["name"])
        if key in seen:
            problem(name_of(thing), "comes twice")
        seen.add(key)
        check_labels(thing)
        operators = OPERATORS.get((thing["apiVersion"], thing["kind"]))
        if operators is None:
            check_schema(thing)
        else:
            without_schema.add(thing["kind"])
            for missing in operators - set(thing["spec"]):
                problem(name_of(thing), f"no spec.{missing}")
    for owner, template in manifests.pods:
        manifests.check_pod(owner, template)
    for thing in things:
        manifests.check_others(thing, arguments.rules)
    if not manifests.pods:
        problem(arguments.manifests.name, "no workers")
    if without_schema:
        print(f"note: no schema for {', '.join(sorted(without_schema))}: shape and references alone")
    for text in problems:
        print(text)
    sys.exit(bool(problems))


main()
