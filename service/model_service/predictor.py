"""The use case every transport calls: resolve the version, decode, predict, answer."""

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opentelemetry.trace import Tracer

from model_service.errors import InvalidInput, PayloadTooLarge
from model_service.registry import Registry, Version


@dataclass(frozen=True, slots=True)
class Choice:
    """Which model and version a request named, if any."""

    name: str | None = None
    version: str | None = None


class Predictor:
    """Answers single rows and batches; a batch is one vectorised call."""

    def __init__(self, registry: Registry, max_batch_rows: int, tracer: Tracer) -> None:
        self._registry = registry
        self._tracer = tracer
        self._max_batch_rows = max_batch_rows

    async def one(self, body: Any, choice: Choice) -> dict[str, Any]:
        """Answer one `/predict` body.

        Raises:
            ServiceError: see `model_service.errors`.
        """
        version = self._registry.resolve(choice.name, choice.version)
        return (await self._answer(version, [body]))[0]

    async def batch(self, body: Any, choice: Choice) -> dict[str, Any]:
        """Answer `{"requests": [...]}` with `{predictions, batch_size, processing_time}`, the time in seconds.

        Raises:
            ServiceError: see `model_service.errors`; one bad row refuses the whole batch, naming it.
        """
        started = time.perf_counter()
        version = self._registry.resolve(choice.name, choice.version)
        requests = self._requests(body)
        predictions = await self._answer(version, requests)
        return {
            "predictions": predictions,
            "batch_size": len(predictions),
            "processing_time": time.perf_counter() - started,
        }

    def _requests(self, body: Any) -> list[Any]:
        if not isinstance(body, dict) or list(body) != ["requests"] or not isinstance(body["requests"], list):
            raise InvalidInput('expected {"requests": [...]} with one /predict body for each row')
        requests: list[Any] = body["requests"]
        if not requests:
            raise InvalidInput("expected at least one request, got none")
        if len(requests) > self._max_batch_rows:
            raise PayloadTooLarge(
                f"expected at most {self._max_batch_rows} requests, got {len(requests)}; send several batches"
            )
        return requests

    async def _answer(self, version: Version, requests: list[Any]) -> list[dict[str, Any]]:
        rows = version.schema.decode(requests)
        with self._tracer.start_as_current_span("predict") as span:
            if span.is_recording():
                span.set_attributes(
                    {"model.name": version.name, "model.version": version.version, "model.batch.rows": len(rows)}
                )
            answers = version.schema.encode(await version.predict(rows))
        timestamp = datetime.now(UTC)
        for answer in answers:
            answer["model_name"] = version.name
            answer["model_version"] = version.version
            answer["prediction_id"] = uuid.uuid4()
            answer["timestamp"] = timestamp
        return answers
