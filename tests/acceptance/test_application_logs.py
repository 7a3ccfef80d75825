"""An application's own logging decides about our lines: it gets each once, and nothing else is printed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTIFY = """
from notifyflow import Incident, NotifyFlow, Recipient, Settings

with NotifyFlow(Settings(database_url="sqlite:///pages.db", drain_s=0)) as flow:
    flow.notify(Incident(key="db-1", title="down"), [Recipient(id="ada", phone="+15005550006")])
    flow.wait("db-1", timeout_s=30)
"""
DICT_CONFIG = """
import json, logging, logging.config, sys

class Json(logging.Formatter):
    def format(self, record):
        extra = {key: value for key, value in vars(record).items() if key not in vars(logging.makeLogRecord({}))}
        return json.dumps({"logger": record.name, **extra}, default=str)

logging.config.dictConfig({
    "version": 1,
    "formatters": {"json": {"()": Json}},
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": sys.stdout, "formatter": "json"}},
    "loggers": {"notifyflow": {"handlers": ["out"], "level": "INFO"}},
})
"""
STRUCTLOG = """
import logging, sys
import structlog

renderer = structlog.processors.JSONRenderer(default=str)
structlog.configure(
    processors=[structlog.stdlib.add_logger_name, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
)
before = structlog.get_config()
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(structlog.stdlib.ProcessorFormatter(
    processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
))
logging.getLogger("notifyflow").addHandler(handler)
logging.getLogger("notifyflow").setLevel(logging.INFO)
"""


def run(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    return done


@pytest.mark.parametrize(
    ("logging", "more"),
    [(DICT_CONFIG, ""), (STRUCTLOG, "assert structlog.get_config() == before\n")],
    ids=["dictConfig", "structlog"],
)
def test_an_application_gets_each_event_once_in_its_own_shape(tmp_path: Path, logging: str, more: str):
    done = run(tmp_path, logging + NOTIFY + more)
    assert done.stderr == ""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [line for line in lines if line["event"] == "engine.notification_failed"]
    assert len(failed) == len({line["notification_id"] for line in failed}) == 2  # by text and by call, which nobody carries
    assert len([line for line in lines if line["event"] == "app.settings_incomplete"]) == 1


def test_without_a_configuration_nothing_is_printed(tmp_path: Path):
    done = run(tmp_path, NOTIFY)
    assert (done.stdout, done.stderr) == ("", "")
