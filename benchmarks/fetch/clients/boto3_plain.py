"""boto3's transfer manager with its own defaults: parts of 8 MiB, ten threads; many objects ten at a time."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

_, _, bucket, key = sys.argv[1].split("/", 3)
target = Path(sys.argv[2])
client = boto3.client("s3", config=Config(max_pool_connections=10))
pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
names = [item["Key"] for page in pages for item in page["Contents"]]


def fetch(name: str, config: TransferConfig) -> None:
    """One object, into its place."""
    path = target / (name.removeprefix(f"{key}/") if name != key else key.rpartition("/")[2])
    path.parent.mkdir(parents=True, exist_ok=True)
    client.download_file(bucket, name, str(path), Config=config)


if names == [key]:
    fetch(key, TransferConfig())
else:
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda name: fetch(name, TransferConfig(use_threads=False)), names))
