"""The views of the shop, and their URLs."""

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from notifyflow import Incident, Severity
from shop.paging import ON_CALL, flow


@csrf_exempt
@require_POST
def report_stuck_order(_: HttpRequest, number: int) -> JsonResponse:
    incident = Incident(key=f"orders/{number}", title=f"order {number} is stuck", severity=Severity.ERROR)
    done = flow().notify(incident, ON_CALL)
    return JsonResponse({"incident": done.incident_id, "is_new": done.is_new})


urlpatterns = [path("orders/<int:number>/stuck", report_stuck_order)]
