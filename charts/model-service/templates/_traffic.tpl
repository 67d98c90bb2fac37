{{/* Which version answers which part of the requests: the document that every pod starts with. */}}

{{/* Name of the ConfigMap that is mounted; nothing where there is one version and nobody who could move traffic. */}}
{{- define "model-service.trafficConfigMap" -}}
{{- if .Values.trafficConfigMap }}
{{- .Values.trafficConfigMap }}
{{- else if or .Values.versions .Values.traffic.models .Values.admin.enabled }}
{{- printf "%s-traffic" (include "model-service.fullname" .) }}
{{- end }}
{{- end }}

{{/* The document of the values; versions are texts, however YAML read them. */}}
{{- define "model-service.trafficDocument" -}}
{{- $models := dict }}
{{- range $name, $given := .Values.traffic.models }}
{{- $entry := deepCopy $given }}
{{- $_ := set $entry "default" (include "model-service.text" (get $given "default")) }}
{{- with get $given "shadow" }}
{{- $_ := set $entry "shadow" (set (deepCopy .) "version" (include "model-service.text" .version)) }}
{{- end }}
{{- with get $given "pinned" }}
{{- $pinned := list }}
{{- range . }}{{ $pinned = append $pinned (include "model-service.text" .) }}{{ end }}
{{- $_ := set $entry "pinned" $pinned }}
{{- end }}
{{- $_ := set $models $name $entry }}
{{- end }}
{{- dict "generation" (int64 .Values.traffic.generation) "models" $models | toPrettyJson }}
{{- end }}

{{/* What is put into the ConfigMap: traffic that was moved since (by command) is newer than the values, and stays. */}}
{{- define "model-service.trafficInForce" -}}
{{- $given := include "model-service.trafficDocument" . }}
{{- $live := lookup "v1" "ConfigMap" .Release.Namespace (include "model-service.trafficConfigMap" .) }}
{{- $kept := dig "data" "traffic.json" "" $live }}
{{- $mine := fromJson $given }}{{ $theirs := fromJson (default "{}" $kept) }}
{{- $generation := int64 (default 0 $theirs.generation) }}
{{- if gt $generation (int64 $mine.generation) }}
{{- $kept }}
{{- else if and $kept (eq $generation (int64 $mine.generation)) (ne (toJson $mine.models) (toJson $theirs.models)) }}
{{- fail (printf "traffic.generation: generation %d is in force with other models; raise it above %d" $generation $generation) }}
{{- else }}
{{- $given }}
{{- end }}
{{- end }}
