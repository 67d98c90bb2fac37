"""A synchronous client of the service: typed answers, retries that the service steers, rows as people hold them."""

import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError

from modelport.answers import ApiError, BatchResult, ClientError, Health, Prediction, ServiceUnreachable
from modelport.rows import JsonRow, to_row, to_rows

T = TypeVar("T")

BATCH_ROWS = 100
"""What a service takes in one request unless it is configured otherwise."""

RETRY_STATUSES = frozenset({429, 503})
BACKOFF_FACTOR = 0.2
MAX_WAIT_SECONDS = 30.0
POLL_SECONDS = 0.2


class _Retry(urllib3.Retry):
    """A service asking for a long pause gets `MAX_WAIT_SECONDS` at most, so that a caller is never held for hours."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, MAX_WAIT_SECONDS)


class Client:
    """Asks one service; may be shared between threads.

    Connection errors and the statuses 429 and 503 are tried again with growing pauses, or with the one that
    `Retry-After` names: asking for a prediction twice does no harm.

    Example:
        >>> with Client("http://localhost:8000") as client:  # doctest: +SKIP
        ...     client.predict({"age": 35, "income": 52000}).prediction_class
        'stays'
    """

    def __init__(self, url: str, *, timeout: float = 10.0, retries: int = 3, token: str | None = None) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: where the service is, such as `http://localhost:8000`; a path prefix is kept.
            timeout: seconds for each attempt, connecting included; the service is told.
            retries: further attempts after the first.
            token: sent as `Authorization: Bearer`.

        Raises:
            ValueError: the URL is not `http://` or `https://` with a host, or has a query.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"url {url!r} must look like http://localhost:8000")
        self.url = url.rstrip("/")
        self._retry = _Retry(
            total=retries,
            redirect=False,
            allowed_methods=None,
            status_forcelist=RETRY_STATUSES,
            backoff_factor=BACKOFF_FACTOR,
            backoff_max=MAX_WAIT_SECONDS,
            backoff_jitter=BACKOFF_FACTOR,
            raise_on_status=False,
        )
        headers = {"Accept": "application/json", "X-Request-Timeout-Ms": str(int(timeout * 1000))}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._timeout = timeout
        self._http = urllib3.PoolManager(headers=headers)

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections."""
        self._http.clear()

    def predict(self, features: Any, *, model: str | None = None, version: str | None = None) -> Prediction:
        """Answer one row.

        Args:
            features: list, dict, Series, one-row DataFrame or array; NaN is sent as null.
            model: name of the model, where the service holds several.
            version: of the model; the service's default when left out.

        Raises:
            ApiError: the service refused or failed, with the fields that were wrong.
            ServiceUnreachable: no answer came.
            TypeError, ValueError: `features` is not one row of JSON values.
        """
        body = self._post(_path("predict", model, version), {"features": to_row(features)})
        return _read(Prediction.from_json, body)

    def predict_batch(
        self, rows: Any, *, model: str | None = None, version: str | None = None, batch_size: int = BATCH_ROWS
    ) -> BatchResult:
        """Answer many rows, in their order, in as many requests as it takes.

        Args:
            rows: list of lists or dicts, array of shape (rows, n), or DataFrame; NaN is sent as null.
            model: name of the model, where the service holds several.
            version: of the model; the service's default when left out.
            batch_size: rows in one request, at most what the service is configured to take.

        Raises:
            ApiError: the service refused or failed; row numbers count over all of `rows`.
            ServiceUnreachable: no answer came.
            TypeError, ValueError: `rows` are not rows of JSON values.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: it must be at least 1")
        path, every = _path("predict/batch", model, version), to_rows(rows)
        parts = [self._part(path, every[start:][:batch_size], start) for start in range(0, len(every), batch_size)]
        predictions = tuple(answer for part in parts for answer in part.predictions)
        return BatchResult(predictions, len(predictions), sum(part.processing_time for part in parts))

    def _part(self, path: str, rows: list[JsonRow], start: int) -> BatchResult:
        try:
            body = self._post(path, {"requests": [{"features": row} for row in rows]})
        except ApiError as error:
            raise error.shifted(start) from None
        result = _read(BatchResult.from_json, body)
        if len(result) != len(rows):
            raise ServiceUnreachable(
                f"{self.url} answered {len(result)} rows to {len(rows)}: is it a Modelport service?"
            )
        return result

    def health(self) -> Health:
        """Ask how the service is; one that is not ready is an answer, not an error.

        Raises:
            ServiceUnreachable: no answer came.
        """
        return self._health(self._timeout)

    def _health(self, timeout: float) -> Health:
        status, body = self._send("GET", "/health", retry=urllib3.Retry(0, redirect=False), timeout=timeout)
        return _read(lambda item: Health.from_json(status == 200, item), body)

    def wait_until_ready(self, timeout: float = 60.0) -> Health:
        """Wait until the service takes traffic.

        Args:
            timeout: seconds.

        Raises:
            TimeoutError: it did not; the text says what it answered last.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                health = self._health(min(self._timeout, timeout))
                if health.ready:
                    return health
                last = str(health)
            except ClientError as error:
                last = str(error)
            if time.monotonic() + POLL_SECONDS > deadline:
                raise TimeoutError(f"{self.url} was not ready within {timeout:g} s; last: {last}")
            time.sleep(POLL_SECONDS)

    def _post(self, path: str, document: Mapping[str, Any]) -> Any:
        data = json.dumps(document, allow_nan=False).encode()
        status, body = self._send("POST", path, body=data, retry=self._retry, timeout=self._timeout)
        if status == 200:
            return body
        raise ApiError.from_json(status, body, f"{self.url}{path}")

    def _send(
        self, method: str, path: str, *, retry: urllib3.Retry, timeout: float, body: bytes | None = None
    ) -> tuple[int, Any]:
        headers = dict(self._http.headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            response = self._http.request(
                method,
                self.url + path,
                body=body,
                headers=headers,
                retries=retry,
                timeout=urllib3.Timeout(total=timeout),
            )
        except HTTPError as error:
            reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
            raise ServiceUnreachable(f"{self.url} gave no answer: {reason}") from error
        try:
            return response.status, json.loads(response.data)
        except ValueError:
            return response.status, None


def _path(verb: str, model: str | None, version: str | None) -> str:
    if model is None:
        return f"/{verb}" if version is None else f"/{verb}?version={quote(version, safe='')}"
    place = f"/models/{quote(model, safe='')}"
    return f"{place}/{verb}" if version is None else f"{place}/versions/{quote(version, safe='')}/{verb}"


def _read(parse: Callable[[Any], T], body: Any) -> T:
    try:
        return parse(body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ServiceUnreachable(f"the answer is not one of a Modelport service ({error!r}): check the URL") from error
