{{/* Where the model comes from and lies, and everything else that is mounted. */}}

{{/* The volume with the model; nothing when it is part of the service's image. */}}
{{- define "model-service.modelVolume" -}}
{{- $model := .Values.model }}
{{- if $model.uri }}
{{- toYaml (default (dict "emptyDir" dict) .Values.initContainer.volume) }}
{{- else if $model.existingClaim }}
persistentVolumeClaim: {claimName: {{ $model.existingClaim }}, readOnly: {{ $model.readOnly }}}
{{- else if $model.image.repository }}
image:
  reference: {{ include "model-service.image" (list "model.image" $model.image "latest") }}
  pullPolicy: {{ $model.image.pullPolicy }}
{{- end }}
{{- end }}

{{/* Where it is mounted in a container that only reads it. */}}
{{- define "model-service.modelMount" -}}
{{- $model := .Values.model }}
{{- if not $model.baked }}
- name: models
  mountPath: {{ ternary "/mnt/models" $model.mountPath (ne $model.uri "") }}
  readOnly: {{ or (ne $model.uri "") $model.readOnly }}
  {{- with $model.subPath }}
  subPath: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "model-service.caVolume" -}}
{{- $bundle := .Values.initContainer.caBundle }}
{{- with $bundle.configMap }}
configMap: {name: {{ . }}}
{{- end }}
{{- with $bundle.secret }}
secret: {secretName: {{ . }}}
{{- end }}
{{- end }}

{{- define "model-service.volumes" -}}
{{- with include "model-service.modelVolume" . | trim }}
- name: models
  {{- . | nindent 2 }}
{{- end }}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- with include "model-service.caVolume" . | trim }}
- name: ca
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
