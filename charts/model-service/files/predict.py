"""What `helm test` runs, with the service image's own Python: one real prediction through the Service.

Arguments: the Service's address, and the request as JSON; an empty one takes the example of the model's own document.
A credential, if one is asked for, is in API_KEY.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

ATTEMPTS = 30
ANY_CERTIFICATE = ssl.create_default_context()
ANY_CERTIFICATE.check_hostname = False
ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE  # the Service's name inside the cluster is seldom in the certificate


def call(url, body=None):
    """Return the JSON answer; a Service whose first pod is just becoming ready is asked again."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"X-API-Key": key} if (key := os.environ.get("API_KEY")) else {})
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - the chart's own address
    for _ in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(request, timeout=10, context=ANY_CERTIFICATE) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                sys.exit(f"{url}: {error.code} {error.read().decode(errors='replace')}")
            reason = error
        except OSError as error:
            reason = error
        time.sleep(1)
    sys.exit(f"{url}: {reason}")


def example(document):
    """The example of a request; where the model gives none, a value of each feature's type."""
    schemas = document["components"]["schemas"]
    if examples := schemas["PredictRequest"].get("examples"):
        return examples[0]
    features = schemas["Features"]
    return {"features": {name: sample(features["properties"][name]) for name in features["required"]}}


def sample(schema):
    """Some value of the feature that `schema` describes."""
    for known in (schema.get("examples"), schema.get("enum")):
        if known:
            return known[0]
    kind = schema.get("type")  # a list where null is allowed too, absent where nothing is known of the type
    kind = kind[0] if isinstance(kind, list) else kind
    return {"string": "text", "boolean": False}.get(kind, schema.get("minimum", 0))


def main(address, text):
    """Ask once and show both sides."""
    body = json.loads(text) or example(call(f"{address}/openapi.json"))
    answer = call(f"{address}/predict", body)
    if answer.get("prediction") is None:
        sys.exit(f"the answer holds no prediction: {answer}")
    sys.stdout.write(f"asked: {json.dumps(body)}\nanswer: {json.dumps(answer)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
