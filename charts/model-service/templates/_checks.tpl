{{/* What the schema cannot say: values that make no sense together. Each ends the render with a sentence. */}}
{{- define "model-service.checks" -}}
{{- $model := .Values.model }}
{{- if not $model.uri }}
{{- fail "model.uri: missing; say where the model is, for example --set model.uri=gs://my-bucket/churn/3" }}
{{- end }}
{{- if and $model.digest $model.sha256 }}
{{- fail "model: give digest for a bundle or sha256 for a bare model file, not both" }}
{{- end }}
{{- if and .Values.config.require_pinned (not (or $model.digest $model.sha256)) }}
{{- fail "config.require_pinned: the model is not pinned; set model.digest (a bundle) or model.sha256 (a bare model file)" }}
{{- end }}
{{- if and .Values.tracing.enabled (not .Values.tracing.endpoint) }}
{{- fail "tracing.endpoint: missing; name the collector, for example http://otel-collector.observability:4318" }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- fail (printf "autoscaling: minReplicas %d is more than maxReplicas %d" (int .minReplicas) (int .maxReplicas)) }}
{{- end }}
{{- if and .enabled (not (dig "requests" "cpu" "" $.Values.resources)) }}
{{- fail "resources.requests.cpu: missing; autoscaling measures CPU in per cent of it" }}
{{- end }}
{{- end }}
{{- end }}
