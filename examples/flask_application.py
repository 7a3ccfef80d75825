"""A Flask application that pages, for a server that forks.

NOTIFYFLOW_SMTP_URL=… gunicorn --pythonpath examples --config examples/gunicorn.conf.py flask_application:app
"""

from flask import Flask

from notifyflow import Incident, NotifyFlow, Recipient, Severity

flow = NotifyFlow.from_env()
app = Flask(__name__)
ON_CALL = [Recipient(id="ada", name="Ada", email="ada@example.com", phone="+4930901820")]


@app.post("/orders/<int:number>/stuck")
def report_stuck_order(number: int) -> dict[str, object]:
    incident = Incident(key=f"orders/{number}", title=f"order {number} is stuck", severity=Severity.ERROR)
    done = flow.notify(incident, ON_CALL)
    return {"incident": done.incident_id, "is_new": done.is_new}


@app.post("/orders/<int:number>/done")
def report_order_done(number: int) -> dict[str, object]:
    done = flow.resolve(f"orders/{number}", by="shop")
    return {"cancelled": len(done.cancelled)}
