"""How web servers and stores answer, rightly and wrongly, as faults and answers of a `WebStore`."""

import socket
import struct

MODEL = bytes(1 << 20) + b"model"


def status(code, body=b"", **headers):
    def fault(handler, _):
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return fault


def redirect(target):
    return status(302, Location=target)


def truncated(handler, data):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.close_connection = True


def reset(handler, _):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def media(generation="1", data=b"model", **more):
    """Answers as the service does, which tells the generation with the bytes."""

    def answer(handler):
        handler.send_response(200)
        headers = {"Content-Length": str(len(data)), "x-goog-generation": generation} | more
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def recording(endpoint, answer):
    def record(handler):
        endpoint.requests.append((handler.path, handler.headers))
        answer(handler)

    endpoint.answer = record


def s3_error(code, status, message="said the store", **headers):
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()

    def fault(handler, _):
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return fault
