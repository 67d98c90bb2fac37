"""The limit: what uvicorn does when nothing is served.

A bare ASGI application. It reads the whole body, parses it with orjson, and answers the bytes that it was given for the
path when it was started: an answer of Modelport's own shape and length, so that writing it costs the same. No routing,
no validation, no model, no log, no metrics.
"""

import os
from pathlib import Path

import orjson

ANSWERS = {path: text.encode() for path, text in orjson.loads(Path(os.environ["LIMIT_ANSWERS"]).read_bytes()).items()}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    orjson.loads(body)
    answer = ANSWERS[scope["path"]]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
