"""One run that measures how fast a model arrives: ours, KServe's storage initializer, and the vendors' own clients.

`python -m benchmarks.fetch --help` explains the command line.
"""
