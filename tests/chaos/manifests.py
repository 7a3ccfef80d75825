"""The Deployments and Jobs of ``deploy/kubernetes`` as values: the fields that ``tests/chaos/cluster.py`` follows.

A field that says how pods run, and that the driver does not follow, is refused, so that no manifest says more than is tried.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from tests.chaos.field import ROOT

Kind = Literal["startup", "liveness", "readiness"]
_KINDS: tuple[Kind, ...] = ("startup", "liveness", "readiness")
_FOLDER = ROOT / "deploy" / "kubernetes"
_OF_THE_NODE = (
    *("enableServiceLinks", "automountServiceAccountToken", "securityContext", "topologySpreadConstraints", "volumes"),
    *("name", "image", "resources", "ports"),
)
"""Fields that need a kubelet, an image or several nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question by HTTP; ``failures`` is after how many in a row something happens."""

    path: str
    period_s: float
    timeout_s: float
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSpec:
    """A pod of one container.

    Attributes:
        takes_settings: Whether it gets the variables of the ConfigMap, beside its own.
        mounts: Path in the container to the name of the volume.
        policy: The ``restartPolicy``.
    """

    command: Sequence[str]
    takes_settings: bool
    variables: Mapping[str, str]
    mounts: Mapping[str, str]
    probes: Mapping[Kind, Probe]
    policy: str
    grace_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    replicas: int
    max_surge: int
    max_unavailable: int
    min_ready_s: float
    pod: PodSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    backoff_limit: int
    pod: PodSpec


def deployment(name: str) -> Deployment:
    """Read the Deployment of ``NAME.yaml``."""
    spec = _spec(name, "Deployment")
    _follow(spec, "replicas", "minReadySeconds", "strategy", "selector", "template")
    _follow(spec["strategy"], "type", "rollingUpdate")
    strategy = spec["strategy"]["rollingUpdate"]
    _follow(strategy, "maxSurge", "maxUnavailable")
    return Deployment(
        replicas=spec["replicas"],
        max_surge=int(strategy["maxSurge"]),
        max_unavailable=int(strategy["maxUnavailable"]),
        min_ready_s=spec.get("minReadySeconds", 0),
        pod=_pod(spec["template"]["spec"]),
    )


def job(name: str) -> Job:
    """Read the Job of ``NAME.yaml``."""
    spec = _spec(name, "Job")
    _follow(spec, "backoffLimit", "template")
    return Job(backoff_limit=spec["backoffLimit"], pod=_pod(spec["template"]["spec"]))


def _spec(name: str, kind: str) -> Mapping[str, Any]:
    documents = yaml.safe_load_all((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    (found,) = (each for each in documents if each["kind"] == kind)
    return found["spec"]


def _pod(spec: Mapping[str, Any]) -> PodSpec:
    _follow(spec, "restartPolicy", "terminationGracePeriodSeconds", "containers", *_OF_THE_NODE)
    (container,) = spec["containers"]
    _follow(container, "command", "env", "envFrom", "volumeMounts", *(f"{kind}Probe" for kind in _KINDS), *_OF_THE_NODE)
    return PodSpec(
        command=container["command"],
        takes_settings="envFrom" in container,
        variables={each["name"]: each["value"] for each in container.get("env", ())},
        mounts={each["mountPath"]: each["name"] for each in container["volumeMounts"]},
        probes=dict(_probes(container)),
        policy=spec["restartPolicy"],
        grace_s=spec["terminationGracePeriodSeconds"],
    )


def _probes(container: Mapping[str, Any]) -> Iterator[tuple[Kind, Probe]]:
    for kind in _KINDS:
        if found := container.get(f"{kind}Probe"):
            _follow(found, "httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold")
            yield (
                kind,
                Probe(
                    path=found["httpGet"]["path"],
                    period_s=found.get("periodSeconds", 10),
                    timeout_s=found.get("timeoutSeconds", 1),
                    failures=found.get("failureThreshold", 3),
                ),
            )


def _follow(found: Mapping[str, Any], *names: str) -> None:
    assert set(found) <= set(names), f"the driver does not follow {sorted(set(found) - set(names))}"
