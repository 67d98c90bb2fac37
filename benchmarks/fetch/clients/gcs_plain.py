"""google-cloud-storage as its quickstart has it: one call for each object, one after the other."""

import sys
from pathlib import Path

from google.cloud import storage

_, _, bucket_name, key = sys.argv[1].split("/", 3)
target = Path(sys.argv[2])
bucket = storage.Client().bucket(bucket_name)
blobs = [blob.name for blob in bucket.list_blobs(prefix=f"{key}/")] or [key]
for name in blobs:
    path = target / (name.removeprefix(f"{key}/") if name != key else key.rpartition("/")[2])
    path.parent.mkdir(parents=True, exist_ok=True)
    bucket.blob(name).download_to_filename(path)
