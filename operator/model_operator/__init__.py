"""The Kubernetes operator for `ModelDeployment`: gather, decide, apply the chart, and say in the status what is so."""
