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

{{/* Where it is mounted in a container: (list <root context> <whether that one may only read>). */}}
{{- define "model-service.modelMount" -}}
{{- $model := (index . 0).Values.model }}
{{- if not $model.baked }}
- name: models
  mountPath: {{ ternary "/mnt/models" $model.mountPath (ne $model.uri "") }}
  {{- if index . 1 }}
  readOnly: true
  {{- end }}
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

{{/* Files of the service that come from Secrets: by volume, the setting that names the file and where it comes from.
Whole folders are mounted, so that a change reaches the running pods. */}}
{{- define "model-service.secretFiles" -}}
{{- $access := .Values.access }}{{ $limits := .Values.limits }}
{{- $files := list
  (list "admin" "ADMIN__TOKEN_FILE" (ternary .Values.admin dict .Values.admin.enabled))
  (list "access-keys" "ACCESS__KEYS_FILE" $access.keys)
  (list "access-users" "ACCESS__USERS_FILE" $access.users)
  (list "access-token-key" "ACCESS__TOKEN_KEY_FILE" $access.tokenKey)
  (list "access-jwt-ca" "ACCESS__JWT_CA_FILE" $access.jwtCa)
  (list "limits-redis-password" "LIMITS__REDIS_PASSWORD_FILE" $limits.redisPassword)
  (list "limits-redis-ca" "LIMITS__REDIS_CA_FILE" $limits.redisCa) }}
{{- range $files }}
{{- if (index . 2).existingSecret }}
{{ index . 0 }}: {setting: {{ index . 1 }}, from: {{ toJson (index . 2) }}}
{{- end }}
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
{{- with include "model-service.trafficConfigMap" . }}
# Not there yet, or gone: every request gets the default version.
- name: traffic
  configMap: {name: {{ . }}, optional: true}
{{- end }}
{{- range $name, $file := fromYaml (include "model-service.secretFiles" .) }}
- name: {{ $name }}
  secret: {secretName: {{ $file.from.existingSecret }}, items: [{key: {{ $file.from.key }}, path: {{ $file.from.key }}}]}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
