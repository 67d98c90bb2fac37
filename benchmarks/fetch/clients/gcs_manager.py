"""google-cloud-storage's transfer manager, with its own defaults: parts of 32 MiB, eight processes."""

import sys
from pathlib import Path

from google.cloud import storage
from google.cloud.storage import transfer_manager

if __name__ == "__main__":
    _, _, bucket_name, key = sys.argv[1].split("/", 3)
    target = Path(sys.argv[2])
    bucket = storage.Client().bucket(bucket_name)
    names = [blob.name.removeprefix(f"{key}/") for blob in bucket.list_blobs(prefix=f"{key}/")]
    if names:
        results = transfer_manager.download_many_to_path(
            bucket, names, destination_directory=str(target), blob_name_prefix=f"{key}/", create_directories=True
        )
        failed = [result for result in results if isinstance(result, Exception)]
        sys.exit(str(failed[0]) if failed else 0)
    blob = bucket.get_blob(key)
    transfer_manager.download_chunks_concurrently(blob, str(target / key.rpartition("/")[2]))
