"""One run that measures Modelport beside its peers and beside the limit of what Python can answer over HTTP.

`python -m benchmarks.serving --help` explains the command line; `benchmarks/README.md` the method and every setting.
"""
