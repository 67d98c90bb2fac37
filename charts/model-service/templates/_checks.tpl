{{/* What the schema cannot say: values that make no sense together. Each ends the render with a sentence. */}}
{{- define "model-service.checks" -}}
{{- include "model-service.checkModel" . }}
{{- include "model-service.checkScaling" . }}
{{- include "model-service.checkSettings" . }}
{{- include "model-service.checkScrapes" . }}
{{- include "model-service.checkVersions" . }}
{{- if and .Values.tracing.enabled (not .Values.tracing.endpoint) }}
{{- fail "tracing.endpoint: missing; name the collector, for example http://otel-collector.observability:4318" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.parentRefs: missing; name the Gateway, for example --set httpRoute.parentRefs[0].name=public" }}
{{- end }}
{{- if and .Values.initContainer.caBundle.configMap .Values.initContainer.caBundle.secret }}
{{- fail "initContainer.caBundle: give configMap or secret, not both" }}
{{- end }}
{{- end }}

{{- define "model-service.checkModel" -}}
{{- $model := .Values.model }}
{{- $sources := dict "uri" $model.uri "existingClaim" $model.existingClaim "image.repository" $model.image.repository "baked" $model.baked }}
{{- $given := list }}
{{- range $name, $value := $sources }}
{{- if $value }}{{ $given = append $given (printf "model.%s" $name) }}{{ end }}
{{- end }}
{{- if not $given }}
{{- fail "model.uri: missing; say where the model is, for example --set model.uri=gs://my-bucket/churn/3 (or model.existingClaim, model.image or model.baked)" }}
{{- end }}
{{- if gt (len $given) 1 }}
{{- fail (printf "model: %s are given; a model has one place" (join " and " $given)) }}
{{- end }}
{{- if and $model.subPath (or $model.uri $model.baked) }}
{{- fail "model.subPath: only a claim or an image is mounted; put the folder into model.uri" }}
{{- end }}
{{- if and $model.digest $model.sha256 }}
{{- fail "model: give digest for a bundle or sha256 for a bare model file, not both" }}
{{- end }}
{{- if and .Values.config.require_pinned (not (or $model.digest $model.sha256)) }}
{{- fail "config.require_pinned: the model is not pinned; set model.digest (a bundle) or model.sha256 (a bare model file)" }}
{{- end }}
{{- end }}

{{- define "model-service.checkSettings" -}}
{{- $config := .Values.config }}
{{- if $config.tls_client_ca_file }}
{{- fail "config.tls_client_ca_file: the kubelet's probes show no client certificate, so no pod would become ready; ask for client certificates in the proxy, ingress or mesh in front" }}
{{- end }}
{{- if and (hasKey $config "worker_timeout_seconds") (le (int64 $config.worker_timeout_seconds) (int64 .Values.drain.requestTimeoutSeconds)) }}
{{- fail (printf "config.worker_timeout_seconds: %d must be more than drain.requestTimeoutSeconds %d, or workers are replaced while they answer; raise it or leave it out" (int64 $config.worker_timeout_seconds) (int64 .Values.drain.requestTimeoutSeconds)) }}
{{- end }}
{{- end }}

{{- define "model-service.checkVersions" -}}
{{- $values := .Values }}
{{- if and $values.versions (not $values.model.uri) }}
{{- fail "versions: only fetched versions lie beside each other; a claim, an image or the service's own image holds them all as <name>/<version>/ (mount it at /mnt/models)" }}
{{- end }}
{{- if and $values.versions (not (or $values.model.version $values.model.digest)) }}
{{- fail "model.version: missing; with versions beside it, say which version requests get that name none (or pin it with model.digest)" }}
{{- end }}
{{- range $index, $version := $values.versions }}
{{- if and $version.digest $version.sha256 }}
{{- fail (printf "versions[%d]: give digest for a bundle or sha256 for a bare model file, not both" $index) }}
{{- end }}
{{- if and $values.config.require_pinned (not (or $version.digest $version.sha256)) }}
{{- fail (printf "config.require_pinned: versions[%d] is not pinned; set its digest (a bundle) or sha256 (a bare model file)" $index) }}
{{- end }}
{{- end }}
{{- if and $values.trafficConfigMap $values.traffic.models }}
{{- fail "traffic.models: trafficConfigMap names a ConfigMap that somebody else writes; give one of the two" }}
{{- end }}
{{- if and $values.admin.enabled (not (or $values.admin.existingSecret (include "model-service.guarded" .))) }}
{{- fail "admin.existingSecret: missing; name the Secret with the token that commands must bear, for example made by: kubectl create secret generic modelport-admin --from-literal=token=$(openssl rand -hex 32)" }}
{{- end }}
{{- end }}

{{/* Who reads /metrics must be let in. */}}
{{- define "model-service.checkScrapes" -}}
{{- $scaling := .Values.autoscaling }}
{{- if and (include "model-service.guarded" .) (not (dig "access" "open_metrics" false .Values.config)) }}
{{- if and (ne .Values.metrics.monitor "none") (not .Values.metrics.apiKey.existingSecret) }}
{{- fail "metrics.apiKey.existingSecret: missing; /metrics asks for a credential, so give the monitor an API key of role metrics, or set config.access.open_metrics" }}
{{- end }}
{{- if .Values.metrics.annotations }}
{{- fail "metrics.annotations: scrapes by annotation show no credential; set config.access.open_metrics, or use metrics.monitor with metrics.apiKey" }}
{{- end }}
{{- if and $scaling.enabled (eq $scaling.scaler "keda") (not (or $scaling.keda.triggers $scaling.keda.prometheusAddress)) }}
{{- fail "autoscaling: KEDA shows the pods no credential; set config.access.open_metrics, autoscaling.keda.prometheusAddress or autoscaling.keda.triggers" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "model-service.checkScaling" -}}
{{- $scaling := .Values.autoscaling }}
{{- if $scaling.enabled }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{- fail (printf "autoscaling: minReplicas %d is more than maxReplicas %d" (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{- end }}
{{- if eq $scaling.scaler "hpa" }}
{{- if eq (int $scaling.minReplicas) 0 }}
{{- fail "autoscaling.minReplicas: 0 needs autoscaling.scaler keda; a HorizontalPodAutoscaler keeps one pod" }}
{{- end }}
{{- if not (or $scaling.metrics (dig "requests" "cpu" "" .Values.resources)) }}
{{- fail "resources.requests.cpu: missing; autoscaling measures CPU in per cent of it" }}
{{- end }}
{{- else if and (eq (int $scaling.minReplicas) 0) (not (or $scaling.keda.triggers $scaling.keda.prometheusAddress)) }}
{{- fail "autoscaling.minReplicas: 0 pods cannot be asked for their requests in flight; set autoscaling.keda.triggers to something that is there without them, such as the requests of your ingress" }}
{{- end }}
{{- end }}
{{- end }}
