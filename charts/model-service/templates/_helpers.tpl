{{/* Names, labels and images, as every template uses them. */}}

{{- define "model-service.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 52 characters, so that suffixes and the names of pods still fit. */}}
{{- define "model-service.fullname" -}}
{{- $name := include "model-service.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "model-service.selectorLabels" -}}
app.kubernetes.io/name: {{ include "model-service.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object except pods: a new chart version alone must not roll them. */}}
{{- define "model-service.commonLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with omit .Values.commonLabels "app.kubernetes.io/name" "app.kubernetes.io/instance" }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "model-service.labels" -}}
app.kubernetes.io/name: {{ include "model-service.name" . }}
{{ include "model-service.commonLabels" . }}
{{- end }}

{{/* Name and labels of the objects that are called like the release. */}}
{{- define "model-service.metadata" -}}
name: {{ include "model-service.fullname" . }}
labels:
  {{- include "model-service.labels" . | nindent 2 }}
{{- end }}

{{- define "model-service.serviceAccountName" -}}
{{- default (ternary (include "model-service.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{/* Reference of an image: (list <value path> <image values> <default tag>). */}}
{{- define "model-service.image" -}}
{{- $path := index . 0 }}{{ $image := index . 1 }}{{ $defaultTag := index . 2 }}
{{- if and $image.tag $image.digest }}
{{- fail (printf "%s: give a tag or a digest, not both: the digest alone decides what runs" $path) }}
{{- end }}
{{- if or (contains "@" $image.repository) (contains ":" (last (splitList "/" $image.repository))) }}
{{- fail (printf "%s.repository: %q holds a tag or digest; put it into %s.tag or %s.digest" $path $image.repository $path $path) }}
{{- end }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default $defaultTag $image.tag) }}
{{- end }}
{{- end }}

{{/* A value as the text of an environment variable: commas between texts, and otherwise JSON, which keeps 10000000. */}}
{{- define "model-service.text" -}}
{{- if kindIs "string" . }}{{ . }}
{{- else if and (kindIs "slice" .) (not (kindIs "map" (first .))) }}{{ join "," . }}
{{- else }}{{ toJson . }}
{{- end }}
{{- end }}

{{/* https when the service has a certificate. */}}
{{- define "model-service.scheme" -}}
{{- ternary "https" "http" (hasKey .Values.config "tls_cert_file") }}
{{- end }}

{{/* Not empty when only those are answered who show a credential. */}}
{{- define "model-service.guarded" -}}
{{- $access := .Values.access }}
{{- with coalesce $access.keys.existingSecret $access.users.existingSecret $access.tokenKey.existingSecret (dig "access" "jwt_issuer" "" .Values.config) }}{{ . }}{{ end }}
{{- end }}

{{/* Least number of pods that the release has while nothing is wrong. */}}
{{- define "model-service.leastReplicas" -}}
{{- ternary .Values.autoscaling.minReplicas .Values.replicaCount .Values.autoscaling.enabled }}
{{- end }}

{{/* Longest that a pod needs to go away: drain, requests in flight, and a margin for the last traces and the exit. */}}
{{- define "model-service.gracePeriod" -}}
{{- $needed := add .Values.drain.delaySeconds .Values.drain.requestTimeoutSeconds 10 }}
{{- $given := .Values.terminationGracePeriodSeconds }}
{{- if kindIs "invalid" $given }}
{{- $needed }}
{{- else if lt (int64 $given) $needed }}
{{- fail (printf "terminationGracePeriodSeconds: %d is less than drain.delaySeconds + drain.requestTimeoutSeconds + 10 = %d, so requests in flight would be cut off; raise it or leave it out" (int64 $given) $needed) }}
{{- else }}
{{- int64 $given }}
{{- end }}
{{- end }}
