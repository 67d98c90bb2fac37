"""`/docs` and `/redoc`: one page that reads `openapi.json`, made of nothing that a browser has to fetch elsewhere."""

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
POLICY = "default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
HEADERS = {"content-security-policy": POLICY, "x-content-type-options": "nosniff"}
_PAGE = files("model_service.api").joinpath("page.html").read_text(encoding="utf-8")


@router.get("/docs")
@router.get("/redoc")
async def page() -> HTMLResponse:
    """The API of the model that is served, for people."""
    return HTMLResponse(_PAGE, headers=HEADERS)
