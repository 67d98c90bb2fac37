"""The contenders, in the order of the table. A new one is a file here, its line, and its pins in `environments.py`."""

from collections.abc import Sequence

from benchmarks.serving.contender import Contender
from benchmarks.serving.contenders import bentoml, kserve, limit, litserve, mlserver, modelport, tutorial

LIMIT = limit.CONTENDER
OURS = (modelport.ONNX, modelport.SKLEARN)
PEERS = (mlserver.CONTENDER, kserve.CONTENDER, litserve.CONTENDER, bentoml.CONTENDER)
ALL: Sequence[Contender] = (LIMIT, *OURS, *PEERS, tutorial.CONTENDER)
BY_NAME = {contender.name: contender for contender in ALL}
