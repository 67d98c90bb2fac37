{{/* Environment of the two containers. */}}

{{/* Plain settings: the data of the ConfigMap. */}}
{{- define "model-service.config" -}}
{{- include "model-service.settings" (list "MODELPORT_" .Values.config) }}
{{- end }}

{{/* Settings as environment: (list <prefix of the variables> <settings>); those of a group follow its name and __. */}}
{{- define "model-service.settings" -}}
{{- $prefix := index . 0 }}
{{- range $name, $value := index . 1 }}
{{- if kindIs "map" $value }}
{{- include "model-service.settings" (list (printf "%s%s__" $prefix (upper $name)) $value) }}
{{- else }}
{{ $prefix }}{{ upper $name }}: {{ include "model-service.text" $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* What pins and names the model: (list <prefix of the variables> <model values>). */}}
{{- define "model-service.modelEnv" -}}
{{- $prefix := index . 0 }}{{ $model := index . 1 }}
{{- range $key := list "digest" "sha256" "name" "version" }}
{{- with get $model $key }}
- name: {{ $prefix }}{{ upper $key }}
  value: {{ include "model-service.text" . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "model-service.fetchEnv" -}}
{{- if .Values.model.uri }}
- name: MODELPORT_FETCH_URI
  value: {{ .Values.model.uri | quote }}
{{- else }}
- name: MODELPORT_FETCH_IN_PLACE
  value: "true"
{{- end }}
- name: MODELPORT_FETCH_ROOT
  value: /mnt/models
{{- include "model-service.modelEnv" (list "MODELPORT_FETCH_" .Values.model) }}
{{- if .Values.config.require_pinned }}
- name: MODELPORT_FETCH_REQUIRE_PINNED
  value: "true"
{{- end }}
{{- if include "model-service.caVolume" . }}
- name: MODELPORT_FETCH_CA_BUNDLE
  value: /etc/modelport/ca/{{ .Values.initContainer.caBundle.key }}
{{- end }}
{{- with .Values.initContainer.proxy.url }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.initContainer.proxy.noProxy }}
- name: NO_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.initContainer.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "model-service.serviceEnv" -}}
- name: MODELPORT_API_PORT
  value: "8000"
- name: MODELPORT_MODEL_ROOT
  value: /mnt/models
{{- include "model-service.modelEnv" (list "MODELPORT_MODEL_" .Values.model) }}
{{- $pins := get .Values.config "version_digests" | default list }}
{{- range .Values.versions }}
{{- $pins = concat $pins (compact (list .digest .sha256)) }}
{{- end }}
{{- with and .Values.versions $pins }}
- name: MODELPORT_VERSION_DIGESTS
  value: {{ join "," . | quote }}
{{- end }}
- name: MODELPORT_DRAIN_DELAY_SECONDS
  value: {{ .Values.drain.delaySeconds | quote }}
- name: MODELPORT_REQUEST_TIMEOUT_SECONDS
  value: {{ .Values.drain.requestTimeoutSeconds | quote }}
{{- if not (hasKey .Values.config "worker_timeout_seconds") }}
- name: MODELPORT_WORKER_TIMEOUT_SECONDS
  value: {{ max 60 (add .Values.drain.requestTimeoutSeconds 30) | quote }}
{{- end }}
{{- if .Values.admin.enabled }}
- name: MODELPORT_ADMIN__PORT
  value: {{ .Values.admin.port | quote }}
- name: MODELPORT_ADMIN__HOST
  value: 0.0.0.0
{{- end }}
{{- if include "model-service.trafficConfigMap" . }}
- name: MODELPORT_TRAFFIC_FILE
  value: /etc/modelport/traffic/traffic.json
{{- end }}
{{- range $name, $file := fromYaml (include "model-service.secretFiles" .) }}
- name: MODELPORT_{{ $file.setting }}
  value: /etc/modelport/{{ $name }}/{{ $file.from.key }}
{{- end }}
{{- if .Values.tracing.enabled }}
{{ include "model-service.tracingEnv" . | trim }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The standard OpenTelemetry variables, which the SDK reads itself. Kubernetes expands what was defined before. */}}
{{- define "model-service.tracingEnv" -}}
{{- range $name, $path := dict "K8S_NAMESPACE" "metadata.namespace" "K8S_NODE" "spec.nodeName" "K8S_POD" "metadata.name" "K8S_POD_UID" "metadata.uid" }}
- name: {{ $name }}
  valueFrom: {fieldRef: {fieldPath: {{ $path }}}}
{{- end }}
- name: OTEL_SERVICE_NAME
  value: {{ include "model-service.fullname" . }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.container.name=service,k8s.deployment.name={{ include "model-service.fullname" . }},k8s.namespace.name=$(K8S_NAMESPACE),k8s.node.name=$(K8S_NODE),k8s.pod.name=$(K8S_POD),k8s.pod.uid=$(K8S_POD_UID)
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .Values.tracing.endpoint | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: http/protobuf
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ include "model-service.text" .Values.tracing.sampleRatio | quote }}
{{- end }}
