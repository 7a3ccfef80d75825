"""A real RabbitMQ, Debian's, started by hand: its node, its port mapper (epmd) and its files are its own and go with it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
from pika.exceptions import AMQPConnectionError

from tests.servers.ports import reserve_port
from tests.waiting import wait_until

_DEADLINE_S = 120
_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on PATH changes the user, and reads the machine's settings
_SETTINGS = """
listeners.tcp.default = 127.0.0.1:{port}
log.console = true
log.file = false
management_agent.disable_metrics_collector = true
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 1MB
"""


class RabbitMq:
    """One server; ``start`` and ``stop`` may be called again and again, the port stays, and so do durable queues."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._epmd: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._epmd_port, self._node_port, self.port = reserve_port(), reserve_port(), reserve_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"
        (folder / "rabbitmq.conf").write_text(_SETTINGS.format(port=self.port))
        (folder / "enabled_plugins").write_text("[].")

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            how = {"stdout": log, "stderr": log, "env": self._environment(), "cwd": self._folder}
            if self._epmd is None:
                epmd = shutil.which("epmd")
                assert epmd is not None, "no epmd on PATH; Debian: apt-get install rabbitmq-server"
                command = [epmd, "-address", "127.0.0.1", "-port", str(self._epmd_port)]
                self._epmd = subprocess.Popen(command, stdin=subprocess.DEVNULL, **how)
            # Its standard input is a pipe that nobody writes to: at the end of a file it would read a shell's farewell there.
            self._process = subprocess.Popen([_PROGRAM], stdin=subprocess.PIPE, **how)
        deadline = time.monotonic() + _DEADLINE_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill it: what is not durable is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=_DEADLINE_S)
            self._process = None

    def end(self) -> None:
        """Stop it, and its port mapper too."""
        self.stop()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait(_DEADLINE_S)
            self._epmd = None

    def connect(self) -> pika.BlockingConnection:
        return pika.BlockingConnection(pika.URLParameters(self.url))

    def control(self, *arguments: str) -> str:
        """Run ``rabbitmqctl``."""
        command = [_PROGRAM.with_name("rabbitmqctl"), *arguments]
        done = subprocess.run(
            command, env=self._environment(), cwd=self._folder, capture_output=True, text=True, timeout=_DEADLINE_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def freeze(self) -> None:
        """Stop it where it is: connections stay open, the kernel accepts new ones, and get no response."""
        self._signal(signal.SIGSTOP)
        wait_until(self._is_stopped)  # the signal reaches one thread after another; until then the others still confirm

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(what)

    def _is_stopped(self) -> bool:
        assert self._process is not None
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/stat")  # proc(5): "pid (name) state ..."
        return all(thread.read_text().rpartition(") ")[2][0] == "T" for thread in threads)

    def _is_ready(self) -> bool:
        try:
            self.connect().close()
        except AMQPConnectionError:
            return False
        return True

    def _environment(self) -> dict[str, str]:
        own = {
            "HOME": self._folder,  # where the Erlang cookie is kept
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": self._epmd_port,
            "RABBITMQ_ALLOW_INPUT": "1",  # the server itself is our child then, and not a shell that watches it
            "RABBITMQ_CONF_ENV_FILE": self._folder / "rabbitmq-env.conf",
            "RABBITMQ_CONFIG_FILE": self._folder / "rabbitmq",
            "RABBITMQ_DIST_PORT": self._node_port,
            "RABBITMQ_ENABLED_PLUGINS_FILE": self._folder / "enabled_plugins",
            "RABBITMQ_LOG_BASE": self._folder / "logs",
            "RABBITMQ_MNESIA_BASE": self._folder / "data",
            "RABBITMQ_NODENAME": f"notifyflow{self.port}@localhost",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -start_epmd false +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **{name: str(value) for name, value in own.items()}}


@contextmanager
def rabbitmq_server() -> Iterator[RabbitMq]:
    """Run a server for as long as the block lasts."""
    assert _PROGRAM.exists(), "no RabbitMQ; Debian: apt-get install rabbitmq-server"
    folder = Path(tempfile.mkdtemp(prefix="rabbitmq-"))
    server = RabbitMq(folder)
    try:
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)
