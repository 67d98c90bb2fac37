"""KServe's storage initializer: what its entrypoint does with a source and a destination."""

import logging
import sys

from kserve_storage import Storage

logging.basicConfig(level=logging.INFO)
Storage.download(sys.argv[1], sys.argv[2])
