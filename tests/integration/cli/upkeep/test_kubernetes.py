"""The manifests that ``notifyflow deploy kubernetes`` writes, against the schemas of Kubernetes and the product itself.

``scripts/deploy-check`` has KEDA's schema read the ScaledObject.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import kubernetes_validate
import pytest
import yaml

from notifyflow.cli.upkeep.deployment import Platform, render
from notifyflow.settings import Settings
from notifyflow.version import __version__
from notifyflow.web.metrics.exposition import GAUGES
from tests.unit.web.conftest import Backend, client_of

FILES = render(Platform.KUBERNETES)
DOCUMENTS = {
    (place, number): document
    for place, text in FILES.items()
    if place.endswith(".yaml")
    for number, document in enumerate(yaml.safe_load_all(text))
}
OBJECTS = {place: each for place, each in DOCUMENTS.items() if not each["apiVersion"].startswith(("kustomize", "keda"))}
KUSTOMIZATION, COMPONENT = DOCUMENTS["kustomization.yaml", 0], DOCUMENTS["keda/kustomization.yaml", 0]
PODS = {
    each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in OBJECTS.values() if "template" in each.get("spec", ())
}
JOB, WEB, WORKER = (DOCUMENTS[f"{name}.yaml", 0] for name in ("upgrade", "web", "worker"))


def containers() -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((name, container) for name, pod in PODS.items() for container in pod["containers"])


def walk(value: object, name: str) -> Iterator[Any]:
    """Yield what a field of this name holds, wherever it is."""
    if isinstance(value, Mapping):
        yield from (each for key, each in value.items() if key == name)
    children = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for child in children:
        yield from walk(child, name)


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("place", OBJECTS, ids=str)
def test_a_manifest_is_one_of_kubernetes(place: tuple[str, int], version: str):
    kubernetes_validate.validate(OBJECTS[place], version, strict=True)


def test_the_number_of_workers_follows_a_metric_that_exists_between_two_and_more():
    scaled = DOCUMENTS["keda/scaled-object.yaml", 0]["spec"]
    assert (scaled["minReplicaCount"], scaled["fallback"]["replicas"]) == (2, 2)
    assert scaled["scaleTargetRef"] == {"name": WORKER["metadata"]["name"]}
    (trigger,) = scaled["triggers"]
    assert trigger["metricType"] == "AverageValue", "KEDA falls back for no other"
    named = re.findall(r"notifyflow_\w+", trigger["metadata"]["query"])
    assert named == ["notifyflow_oldest_due_timestamp_seconds"]
    assert set(named) <= GAUGES.keys()
    (patch,) = COMPONENT["patches"]
    assert yaml.safe_load(patch["patch"]) == [{"op": "remove", "path": "/spec/replicas"}]
    assert patch["target"] == {"kind": "Deployment", "name": WORKER["metadata"]["name"]}


def test_kustomize_builds_every_file_and_no_other():
    listed = {"kustomization.yaml", *KUSTOMIZATION["resources"]}
    listed |= {"keda/kustomization.yaml", *(f"keda/{each}" for each in COMPONENT["resources"])}
    generated = [
        place for each in KUSTOMIZATION["configMapGenerator"] for kind in ("envs", "files") for place in each.get(kind, ())
    ]
    assert listed | set(generated) == FILES.keys()
    (image,) = KUSTOMIZATION["images"]
    assert {container["image"] for _, container in containers()} == {image["name"]}


def test_a_pod_is_restricted_and_has_time_to_stop():
    assert PODS.keys() == {each["metadata"]["name"] for each in (JOB, WEB, WORKER)}
    for name, pod in PODS.items():
        assert pod["terminationGracePeriodSeconds"] == 45, name
        assert pod["automountServiceAccountToken"] is False, name
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"], security["runAsGroup"]) == (True, 12345, 0), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_no_pod_gets_variables_of_services_which_are_no_settings():
    assert {name: pod["enableServiceLinks"] for name, pod in PODS.items()} == dict.fromkeys(PODS, False)


def test_each_file_of_a_setting_is_mounted_where_the_setting_says():
    settings = re.findall(r"^NOTIFYFLOW_\w+=(/.+)$", FILES["notifyflow.env"], re.MULTILINE)
    assert len(settings) > 5
    files = set(KUSTOMIZATION["configMapGenerator"][1]["files"])
    for name, container in containers():
        given = [each["value"] for each in container.get("env", ())] or settings
        mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
        volumes = {each["name"] for each in PODS[name]["volumes"]}
        assert set(mounts.values()) == volumes, name
        for path in map(PurePosixPath, given):
            kept_in = mounts[str(path.parent)]
            assert kept_in == "secrets" or path.name in files, path


def test_the_upgrade_is_named_by_the_version_and_stays_as_it_is_when_settings_change():
    """A Job cannot be changed, and the name of a generated ConfigMap changes with its content."""
    assert JOB["metadata"]["name"] == "notifyflow-upgrade-" + re.findall(r"[\d.]*\d", __version__)[0].replace(".", "-")
    assert JOB["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure"
    assert not list(walk(JOB, "configMapRef"))
    assert not list(walk(JOB, "configMap"))
    (variable,) = JOB["spec"]["template"]["spec"]["containers"][0]["env"]
    assert Settings.model_fields.keys() >= {variable["name"].removeprefix("NOTIFYFLOW_").removesuffix("_FILE").lower()}


def test_a_rollout_replaces_a_worker_only_by_one_that_has_run_for_a_minute():
    assert WORKER["spec"]["minReadySeconds"] == 60
    for deployment in (WEB, WORKER):
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        assert deployment["spec"]["template"]["spec"]["restartPolicy"] == "Always"
        assert deployment["spec"]["replicas"] == 2


def test_a_worker_has_no_probes_and_those_of_the_web_service_are_routes():
    assert [name for name in WORKER["spec"]["template"]["spec"]["containers"][0] if "Probe" in name] == []
    (web,) = WEB["spec"]["template"]["spec"]["containers"]
    paths = {name: each["httpGet"]["path"] for name, each in web.items() if name.endswith("Probe")}
    assert paths.keys() == {"startupProbe", "livenessProbe", "readinessProbe"}
    client = client_of(Backend())
    assert {name: client.get(path).status_code for name, path in paths.items()} == dict.fromkeys(paths, 200)
    assert web["ports"] == [{"name": "http", "containerPort": int(web["command"][-1])}]


def test_each_selector_finds_the_pods_of_one_component():
    for place, component in {"web.yaml": "web", "worker.yaml": "worker"}.items():
        documents = [each for (found, _), each in DOCUMENTS.items() if found == place]
        labels = documents[0]["spec"]["template"]["metadata"]["labels"]
        assert labels == {"app.kubernetes.io/name": "notifyflow", "app.kubernetes.io/component": component}
        selectors = [
            *walk(documents, "matchLabels"),
            *(each["spec"]["selector"] for each in documents if each["kind"] == "Service"),
        ]
        assert selectors == [labels] * (4 if component == "web" else 3)


def test_only_what_comes_in_is_limited():
    policies = [each for each in DOCUMENTS.values() if each["kind"] == "NetworkPolicy"]
    assert [each["spec"]["policyTypes"] for each in policies] == [["Ingress"], ["Ingress"]]
    assert "ingress" not in policies[0]["spec"]
    assert policies[1]["spec"]["ingress"] == [{"ports": [{"port": "http", "protocol": "TCP"}]}]


def test_an_eviction_takes_one_pod_of_a_component_at_a_time():
    budgets = [each for each in DOCUMENTS.values() if each["kind"] == "PodDisruptionBudget"]
    assert {each["metadata"]["name"]: each["spec"]["maxUnavailable"] for each in budgets} == {
        "notifyflow-web": 1,
        "notifyflow-worker": 1,
    }
