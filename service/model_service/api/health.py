"""`/health`: may traffic come here? `/health/live`: does this process still answer?"""

from fastapi import APIRouter, Request, Response

from model_service.api.http import respond
from model_service.board import Board, State

router = APIRouter(tags=["health"])
_STATUS = {State.READY: "ok", State.FAILED: "failed", State.DRAINING: "draining"}


@router.get(
    "/health", summary="Readiness", responses={503: {"description": "Not ready: loading, or failed with the reason"}}
)
async def health(request: Request) -> Response:
    """Answer 200 once the default model is proven in every worker, 503 before, with every version's state."""
    board: Board = request.app.state.board
    status = _STATUS.get(board.overall(), "loading")
    models = request.app.state.registry.states()
    loaded = models[0]["state"] == "ready"
    ready = status == "ok" and loaded
    body = {"status": status if loaded or status != "ok" else "loading", "model_loaded": loaded, "models": models}
    return respond(body, 200 if ready else 503, None if ready else {"Retry-After": "1"})


@router.get("/health/live", summary="Liveness")
async def live() -> Response:
    """Answer 200 while the process can answer at all; it looks at nothing else."""
    return respond({"status": "ok"})
