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
    """A task whose failures are one incident, until that is resolved."""

    def on_failure(
        self, exc: Exception, task_id: str, args: tuple[object, ...], kwargs: dict[str, object], einfo: object
    ) -> None:
        """Page; Celery calls this after the last retry."""
        title = f"{self.name} failed: {type(exc).__name__}"
        body = f"Task {task_id}, called with {args} {kwargs}"
        flow.notify(Incident(key=f"celery/{self.name}", title=title, body=body, severity=Severity.ERROR), ON_CALL)


@app.task(base=Paging, name="charge", autoretry_for=(ConnectionError,), retry_kwargs={"max_retries": 2, "countdown": 1})
def charge(order: int) -> None:
    if order == 7:
        raise ConnectionError("the bank does not answer")
