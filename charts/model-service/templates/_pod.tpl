{{/* The pod: what every way of running the service shares. */}}

{{- define "model-service.podMetadata" -}}
{{- $own := dict "checksum/config" (include "model-service.config" . | sha256sum) "kubectl.kubernetes.io/default-container" "service" }}
{{- if .Values.metrics.annotations }}
{{- $own = merge $own (dict "prometheus.io/scrape" "true" "prometheus.io/port" "8000" "prometheus.io/path" "/metrics" "prometheus.io/scheme" (include "model-service.scheme" .)) }}
{{- end }}
annotations:
  {{- merge $own .Values.podAnnotations | toYaml | nindent 2 }}
labels:
  {{- merge (include "model-service.selectorLabels" . | fromYaml) .Values.podLabels .Values.commonLabels | toYaml | nindent 2 }}
{{- end }}

{{- define "model-service.podSpec" -}}
serviceAccountName: {{ include "model-service.serviceAccountName" . }}
automountServiceAccountToken: false
# A Service named `modelport` would otherwise put MODELPORT_* variables into the pod.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "model-service.gracePeriod" . }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- if or .Values.extraInitContainers (not .Values.model.baked) }}
initContainers:
  {{- with .Values.extraInitContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if not .Values.model.baked }}
  - {{- include "model-service.overlaid" (list (include "model-service.fetchContainer" .) .Values.overlay.fetch) | nindent 4 }}
  {{- end }}
  {{- range $index, $version := .Values.versions }}
  {{- $context := dict "Chart" $.Chart "Release" $.Release "Values" (merge (dict "model" $version) (omit $.Values "model")) }}
  {{- $named := merge (dict "name" (printf "fetch-%d" (add1 $index))) $.Values.overlay.fetch }}
  - {{- include "model-service.overlaid" (list (include "model-service.fetchContainer" $context) $named) | nindent 4 }}
  {{- end }}
{{- end }}
containers:
  - {{- include "model-service.overlaid" (list (include "model-service.serviceContainer" .) .Values.overlay.service) | nindent 4 }}
  {{- with .Values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumes:
  {{- include "model-service.volumes" . | trim | nindent 2 }}
{{- range $field := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "priorityClassName" "runtimeClassName" }}
{{- with get $.Values $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- $selector := dict "matchLabels" (include "model-service.selectorLabels" $ | fromYaml) }}
  - {{- set (deepCopy .) "labelSelector" (get . "labelSelector" | default $selector) | toYaml | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "model-service.deploymentSpec" -}}
{{- if not .Values.autoscaling.enabled }}
replicas: {{ .Values.replicaCount }}
{{- end }}
progressDeadlineSeconds: {{ .Values.progressDeadlineSeconds }}
strategy:
  type: RollingUpdate
  rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
selector:
  matchLabels:
    {{- include "model-service.selectorLabels" . | nindent 4 }}
template:
  metadata:
    {{- include "model-service.podMetadata" . | trim | nindent 4 }}
  spec:
    {{- include "model-service.overlaid" (list (include "model-service.podSpec" .) .Values.overlay.pod) | nindent 4 }}
{{- end }}
