"""An application that pages by itself, with notifyflow's web service mounted below /notify.

NOTIFYFLOW_PUBLIC_URL=https://shop.example.com/notify … uvicorn examples.web_application:app --no-access-log
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from notifyflow import Incident, NotifyFlow, Recipient, Severity

flow = NotifyFlow.from_env()
ON_CALL = [Recipient(id="ada", name="Ada", email="ada@example.com", phone="+15005550006")]


@asynccontextmanager
async def delivering(_: FastAPI) -> AsyncIterator[None]:
    async with flow:
        await flow.astart()
        yield


app = FastAPI(lifespan=delivering)
app.mount("/notify", flow.asgi())


@app.post("/orders/{number}/stuck")
async def report_stuck_order(number: int) -> dict[str, object]:
    incident = Incident(key=f"orders/{number}", title=f"order {number} is stuck", severity=Severity.ERROR)
    done = await flow.anotify(incident, ON_CALL)
    return {"incident": done.incident_id, "is_new": done.is_new}


@app.post("/orders/{number}/done")
async def report_order_done(number: int) -> None:
    await flow.aresolve(f"orders/{number}", by="shop")
