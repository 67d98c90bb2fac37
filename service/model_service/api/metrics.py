"""`/metrics`: every worker's numbers as one, whichever worker is asked."""

from fastapi import APIRouter, Request, Response

from model_service.telemetry.prometheus import expose

router = APIRouter(tags=["telemetry"])


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
def metrics(request: Request) -> Response:
    """Answer in the Prometheus text format, or in OpenMetrics where it is asked for."""
    body, content_type = expose(request.app.state.totals, request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type})
