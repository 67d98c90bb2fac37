"""The `modelport` command: `COMMANDS` says what it can do, one file each; `main` runs it."""

import click

from modelport.cli import (
    doctor,
    fetch,
    inspect,
    keys,
    models,
    pack,
    push,
    rollout,
    serve,
    settings,
    traffic,
    verify,
    versions,
)
from modelport.cli.group import Program

COMMANDS = {
    "Make a bundle and look at it": (pack.command, inspect.command, verify.command),
    "Deliver it": (push.command, versions.command),
    "Run it": (serve.command, fetch.command),
    "Let somebody in": (keys.command,),
    "Move traffic": (models.command, traffic.command, rollout.command),
    "Find out what is wrong": (doctor.command, settings.command),
}

HELP = """The shortest safe way from a fitted estimator to autoscaled traffic.

\b
From a fitted model to an answer:
  modelport pack model.joblib --sample sample.csv --name churn -o models
  modelport serve models
  curl localhost:8000/predict -H content-type:application/json -d '{"features": [35, "monthly"]}'

The sample is a few hundred rows of the training features: the names, types and ranges that the service checks come
from it. On Kubernetes, `modelport push` the bundle to a bucket; it prints what to give to the chart."""

main = click.version_option(package_name="modelport")(Program(help=HELP, sections=COMMANDS))
