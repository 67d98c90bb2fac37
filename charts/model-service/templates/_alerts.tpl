{{/* The alerts, each with a section in docs/runbook.md. One needs kube-state-metrics: ModelportRolloutStuck. */}}
{{- define "model-service.alerts" -}}
{{- $rules := .Values.metrics.rules }}
{{- $series := include "model-service.series" . }}
{{- $requests := printf "http_server_request_duration_seconds_count{%s%%s}" $series }}
{{- $answers := printf "model_request_duration_seconds_count{%s%%s}" $series }}
{{- if gt (int (include "model-service.leastReplicas" .)) 0 }}
ModelportDown:
  severity: critical
  for: 2m
  expr: absent(service_info{ {{- $series -}} })
  summary: No pod of the model service answers Prometheus.
{{- end }}
ModelportHighErrorRate:
  severity: critical
  for: 5m
  expr: |-
    sum(rate({{ printf $requests ",http_response_status_code=~\"5..\",http_response_status_code!=\"504\"" }}[5m]))
      / sum(rate({{ printf $requests "" }}[5m])) > {{ $rules.errorRatio }}
  summary: More than {{ mulf $rules.errorRatio 100 }} % of the requests fail.
ModelportHighLatency:
  severity: warning
  for: 10m
  expr: |-
    histogram_quantile(0.99, sum by (le) (rate(model_request_duration_seconds_bucket{ {{- $series -}} }[5m]))) > {{ $rules.latencySeconds }}
  summary: One request of a hundred takes longer than {{ $rules.latencySeconds }} s.
ModelportOverloaded:
  severity: warning
  for: 5m
  expr: |-
    sum(rate({{ printf $answers ",outcome=~\"overload|deadline\"" }}[5m]))
      / sum(rate({{ printf $answers "" }}[5m])) > {{ $rules.overloadRatio }}
  summary: More than {{ mulf $rules.overloadRatio 100 }} % of the requests are refused for overload or too late.
ModelportScoreShift:
  severity: warning
  for: 1h
  expr: |-
    max by (model_name, model_version) (model_score_shift{ {{- $series -}} }) > {{ $rules.scoreShift }}
      and sum by (model_name, model_version) (rate(model_batches_total{ {{- $series -}} }[1h])) > 0
  summary: A version predicts otherwise than for its training sample.
ModelportWorkersMissing:
  severity: warning
  for: 5m
  expr: |-
    service_workers{ {{- $series -}} ,state="live"} < ignoring(state) service_workers{ {{- $series -}} ,state="configured"}
  summary: Fewer workers live than are configured.
{{- if dig "limits" "redis_url" "" .Values.config }}
ModelportLimitsNotShared:
  severity: warning
  for: 5m
  expr: max by (pod) (rate_limit_fallback{ {{- $series -}} }) == 1
  summary: A pod counts for the rate limits on its own, because the Redis does not answer it.
{{- end }}
ModelportModelNotReady:
  severity: critical
  for: 10m
  expr: count by (pod) (service_info{ {{- $series -}} }) unless count by (pod) (model_ready{ {{- $series -}} } > 0)
  summary: A pod runs whose model is not ready.
ModelportRolloutStuck:
  severity: warning
  for: 1m
  expr: |-
    kube_deployment_status_condition{namespace={{ .Release.Namespace | quote }},deployment={{ include "model-service.fullname" . | quote }},condition="Progressing",status="false"} == 1
  summary: A rollout makes no progress; the old pods go on serving.
{{- end }}
