"""Runs Deployments and Jobs as real processes, by the rules of a kubelet and of the controllers; there is no Kubernetes.

Rules that the manifests do not set are those of Kubernetes (pages "Deployments", "Jobs", "Pod Lifecycle"): a container that ends
is started again after 10 s, and twice as long each time, up to 5 minutes.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.field import DEADLINE_S
from tests.chaos.manifests import Deployment, Job, Kind, PodSpec, Probe
from tests.chaos.rolling import Tree
from tests.servers.ports import reserve_port

BACK_OFF_S = 10.0
_LONGEST_BACK_OFF = 30
"""As a multiple of the first one."""
_STEP_S = 0.2
_THREADS = 32


@dataclass(frozen=True, eq=False)
class Revision:
    """What a rollout brings: the code of an image, and the settings of a ConfigMap."""

    tree: Tree
    settings: Mapping[str, str]


@dataclass
class _Question:
    """A probe of one container, with its answers so far."""

    probe: Probe
    due_at: float
    failed: int = 0
    has_passed: bool = False

    @property
    def has_failed(self) -> bool:
        return self.failed >= self.probe.failures

    def ask(self, url: str) -> None:
        self.due_at = time.monotonic() + self.probe.period_s
        try:
            urllib.request.urlopen(url + self.probe.path, timeout=self.probe.timeout_s).close()
        except OSError:
            self.failed += 1
        else:
            self.failed, self.has_passed = 0, True


class Pod:
    """One container, which is started again when it ends, and stopped with SIGTERM.

    Attributes:
        exits: The exit codes of containers that ended by themselves, or that a probe ended.
        ready_since: Since when it counts as ready; None while it does not.
        was_killed: Whether it still ran when its grace was over.
    """

    def __init__(self, spec: PodSpec, revision: Revision, volumes: Path, log: Path, *, back_off_s: float) -> None:
        self._spec, self.revision, self._log = spec, revision, log
        self._back_off_s = back_off_s
        self._stopping = threading.Event()
        self._port = str(reserve_port())
        given = {"--host": "127.0.0.1", "--port": self._port}  # a pod has an address of its own
        program, *options = spec.command
        before = ["", *options[:-1]] if options else []
        values = [given.get(name, value) for name, value in zip(before, options, strict=True)]
        self._command = [Path(sys.executable).with_name(program), *values]
        own = dict(spec.variables)
        for path, name in spec.mounts.items():
            own = {key: value.replace(path, str(volumes / name)) for key, value in own.items()}
        self._variables = {**(revision.settings if spec.takes_settings else {}), **own}
        self.exits: list[int] = []
        self.ready_since: float | None = None
        self.was_killed = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def said(self) -> str:
        """All that its containers wrote."""
        return self._log.read_text(errors="replace")

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def is_available(self, min_ready_s: float) -> bool:
        since = self.ready_since
        return since is not None and time.monotonic() - since >= min_ready_s

    def stop(self) -> None:
        """Ask it to end, and return at once."""
        self._stopping.set()

    def keep(self, tries: int | None = None) -> None:
        """Run containers, one after the other, until it is stopped, has succeeded or has had all its tries."""
        back_off_s = self._back_off_s
        while not self.is_stopping:
            process = self._start()
            try:
                self._watch(process)
            finally:
                self.ready_since = None
                self._end(process)
            if self.is_stopping:
                return
            self.exits.append(process.returncode)
            if self._spec.policy == "OnFailure" and process.returncode == 0:
                return
            assert self._spec.policy in ("OnFailure", "Always")
            if len(self.exits) == tries:
                return
            self._stopping.wait(back_off_s)
            back_off_s = min(2 * back_off_s, _LONGEST_BACK_OFF * self._back_off_s)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                cwd=self.revision.tree.path,
                env=self.revision.tree.settings(self._variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Ask the probes until the container ends, or has to."""
        began = time.monotonic()
        questions = {kind: _Question(probe, began + probe.period_s) for kind, probe in self._spec.probes.items()}
        if not questions.keys() & {"startup", "readiness"}:
            self.ready_since = began
        while process.poll() is None and not self._stopping.wait(_STEP_S):
            for kind in _asked(questions):
                question = questions[kind]
                if time.monotonic() < question.due_at:
                    continue
                question.ask(self.url)
                if kind == "readiness":
                    self._note_readiness(question)
                elif question.has_failed:
                    return

    def _note_readiness(self, question: _Question) -> None:
        if question.has_failed:
            self.ready_since = None
        elif question.failed == 0 and self.ready_since is None:
            self.ready_since = time.monotonic()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Stop the container if it runs: by SIGTERM to its first process, and by SIGKILL to all that is left of it later."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(self._spec.grace_s)
            except subprocess.TimeoutExpired:
                self.was_killed = True
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE_S)


def _asked(questions: Mapping[Kind, _Question]) -> Sequence[Kind]:
    """Return whose turn it is: before its startup probe has passed once, a container is asked nothing else."""
    startup = questions.get("startup")
    if startup is not None and not startup.has_passed:
        return ("startup",)
    return [kind for kind in questions if kind != "startup"]


@dataclass
class Cluster:
    """Runs pods, and makes a Deployment's pods those of its newest revision.

    Attributes:
        folder: Has a folder for each volume, and gets the logs.
        back_off_s: How long a container waits before it is started again for the first time.
    """

    folder: Path
    back_off_s: float = BACK_OFF_S
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS))
    _kept: list[Future[None]] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)

    @contextmanager
    def running(self, *rollouts: "Rollout") -> Iterator[None]:
        """Bring about what some Deployments want for as long as the block takes; then stop all pods."""
        is_over = threading.Event()

        def control() -> None:
            while not is_over.wait(_STEP_S):
                for rollout in rollouts:
                    rollout.step()

        controlled = self._threads.submit(control)
        try:
            yield
        finally:
            is_over.set()
            for pod in self.pods:
                pod.stop()
            self._threads.shutdown()
        for future in (controlled, *self._kept):
            future.result()

    def run(self, job: Job, revision: Revision) -> Pod:
        """Run a Job to its end, and return its pod."""
        pod = self._pod(job.pod, revision)
        pod.keep(tries=1 + job.backoff_limit)
        return pod

    def start(self, spec: PodSpec, revision: Revision) -> Pod:
        """Start a pod and keep it."""
        pod = self._pod(spec, revision)
        self._kept.append(self._threads.submit(pod.keep))
        return pod

    def _pod(self, spec: PodSpec, revision: Revision) -> Pod:
        log = self.folder / f"pod-{len(self.pods)}.log"
        pod = Pod(spec, revision, self.folder, log, back_off_s=self.back_off_s)
        self.pods.append(pod)
        return pod


class Rollout:
    """A Deployment: its pods, and the step by which its controller replaces those of older revisions."""

    def __init__(self, of: Deployment, cluster: Cluster, revision: Revision) -> None:
        self.of, self._cluster = of, cluster
        self._revision = revision
        self.pods: list[Pod] = []

    def apply(self, revision: Revision) -> None:
        """Want another revision from now on."""
        self._revision = revision

    def pods_of(self, revision: Revision) -> Sequence[Pod]:
        """Return the pods of a revision that nobody has stopped."""
        return [pod for pod in self._running if pod.revision is revision]

    def available(self, revision: Revision) -> int:
        return sum(map(self._is_available, self.pods_of(revision)))

    @property
    def ready(self) -> Sequence[Pod]:
        return [pod for pod in self._running if pod.ready_since is not None]

    @property
    def is_complete(self) -> bool:
        """Whether there are as many as wanted, all available, and no others."""
        wanted = self._revision
        return len(self._running) == len(self.pods_of(wanted)) == self.available(wanted) == self.of.replicas

    def step(self) -> None:
        """Start as many as ``maxSurge`` allows; stop as many as ``maxUnavailable`` does, those that are not available first."""
        running, new = self._running, self.pods_of(self._revision)
        for _ in range(min(self.of.replicas + self.of.max_surge - len(running), self.of.replicas - len(new))):
            self.pods.append(self._cluster.start(self.of.pod, self._revision))
        least = self.of.replicas - self.of.max_unavailable
        old = [pod for pod in running if pod not in new]
        useless = [pod for pod in old if not self._is_available(pod)]
        useful = [pod for pod in old if pod not in useless]
        spare = len(useful) + self.available(self._revision) - least
        may_go = len(running) - least - (len(new) - self.available(self._revision))
        for pod in [*useless, *useful[: max(0, spare)]][: max(0, may_go)]:
            pod.stop()

    @property
    def _running(self) -> Sequence[Pod]:
        return [pod for pod in self.pods if not pod.is_stopping]

    def _is_available(self, pod: Pod) -> bool:
        return pod.is_available(self.of.min_ready_s)
