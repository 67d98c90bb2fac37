{{/* The two containers of the pod. */}}

{{- define "model-service.fetchContainer" -}}
name: fetch
image: {{ include "model-service.image" (list "initContainer.image" .Values.initContainer.image .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.initContainer.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- mergeOverwrite (deepCopy .Values.securityContext) .Values.initContainer.securityContext | toYaml | nindent 2 }}
{{- with .Values.initContainer.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- include "model-service.fetchEnv" . | trim | nindent 2 }}
resources:
  {{- toYaml .Values.initContainer.resources | nindent 2 }}
volumeMounts:
  {{- include "model-service.modelMount" (list . (eq .Values.model.uri "")) | nindent 2 }}
  - {name: tmp, mountPath: /tmp}
  {{- if include "model-service.caVolume" . }}
  - {name: ca, mountPath: /etc/modelport/ca, readOnly: true}
  {{- end }}
  {{- with .Values.initContainer.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "model-service.serviceContainer" -}}
name: service
image: {{ include "model-service.image" (list "image" .Values.image .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
ports:
  - {name: http, containerPort: 8000}
  {{- if .Values.admin.enabled }}
  - {name: admin, containerPort: {{ .Values.admin.port }}}
  {{- end }}
envFrom:
  - configMapRef: {name: {{ include "model-service.fullname" . }}}
  {{- with .Values.extraEnvFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
env:
  {{- include "model-service.serviceEnv" . | trim | nindent 2 }}
{{- range $probe, $path := dict "startup" "/health" "readiness" "/health" "liveness" "/health/live" }}
{{ $probe }}Probe:
  httpGet: {path: {{ $path }}, port: http, scheme: {{ include "model-service.scheme" $ | upper }}}
  {{- get $.Values.probes $probe | toYaml | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  {{- include "model-service.modelMount" (list . (or (ne .Values.model.uri "") .Values.model.readOnly)) | nindent 2 }}
  - {name: tmp, mountPath: /tmp}
  {{- if include "model-service.trafficConfigMap" . }}
  - {name: traffic, mountPath: /etc/modelport/traffic, readOnly: true}
  {{- end }}
  {{- range $name, $_ := fromYaml (include "model-service.secretFiles" .) }}
  - {name: {{ $name }}, mountPath: /etc/modelport/{{ $name }}, readOnly: true}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* A container with its overlay: (list <rendered container> <overlay>). */}}
{{- define "model-service.overlaid" -}}
{{- mergeOverwrite (fromYaml (index . 0)) (deepCopy (index . 1)) | toYaml }}
{{- end }}
