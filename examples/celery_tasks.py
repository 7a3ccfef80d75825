"""Tasks of Celery whose failures page.

CELERY_BROKER_URL=redis://… NOTIFYFLOW_SMTP_URL=… celery --workdir examples --app celery_tasks worker
"""

from celery import Celery, Task
from celery.signals import worker_process_init, worker_process_shutdown

from notifyflow import Incident, NotifyFlow, Recipient, Severity

app = Celery("shop")
flow = NotifyFlow.from_env()
ON_CALL = [Recipient(id="ada", name="Ada", email="ada@example.com", phone="+4930901820")]


@worker_process_init.connect
def start(**_: object) -> None:
    flow.start()


@worker_process_shutdown.connect
def close(**_: object) -> None:
    flow.close()


class Paging(Task):
    """Pages when a task has failed for good, and once while that incident is unresolved."""

    def on_failure(self, exc: Exception, task_id: str, args: tuple[object, ...], kwargs: dict[str, object], einfo: object) -> None:
        """Page; Celery calls this after the last retry."""
        title = f"{self.name} failed: {type(exc).__name__}"
        body = f"Task {task_id}, called with {args} {kwargs}"
        flow.notify(Incident(key=f"celery/{self.name}", title=title, body=body, severity=Severity.ERROR), ON_CALL)

    def on_success(self, retval: object, task_id: str, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Resolve: the same key pages again."""
        if flow.find(f"celery/{self.name}"):
            flow.resolve(f"celery/{self.name}", by="celery")


@app.task(base=Paging, name="charge", autoretry_for=(ConnectionError,), max_retries=1, default_retry_delay=0)
def charge(order: int) -> None:
    if order == 7:
        raise ConnectionError("the bank does not answer")
