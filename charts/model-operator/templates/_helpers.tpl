{{/* Names, labels and the image. */}}

{{- define "model-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "model-operator.fullname" -}}
{{- $name := include "model-operator.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "model-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "model-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "model-operator.labels" -}}
{{ include "model-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with omit .Values.commonLabels "app.kubernetes.io/name" "app.kubernetes.io/instance" }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "model-operator.serviceAccountName" -}}
{{- default (include "model-operator.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "model-operator.image" -}}
{{- $image := .Values.image }}
{{- if and $image.tag $image.digest }}
{{- fail "image: give a tag or a digest, not both: the digest alone decides what runs" }}
{{- end }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{/* What it may do where ModelDeployments are: create and prune what the model-service chart renders, and no more. */}}
{{- define "model-operator.rules" -}}
- apiGroups: [modelport.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [modelport.dev]
  resources: [modeldeployments/status]
  verbs: [patch]
# Clusters that check ownerReferences ask for this where an object is to go away with its owner.
- apiGroups: [modelport.dev]
  resources: [modeldeployments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
{{- range $group, $resources := include "model-operator.rendered" . | fromYaml }}
- apiGroups: [{{ $group | quote }}]
  resources: {{ toJson $resources }}
  verbs: [get, list, create, patch, delete]
{{- end }}
# Tokens of the pods' admin ports. They are derived from the operator's own key, so it need not read any Secret.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
# Reads why pods fail, and asks what unpinned sources hold by a pod with the fetcher's image.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, create, delete]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* Besides the Deployment, by group; model_operator.kinds says the same. */}}
{{- define "model-operator.rendered" -}}
"": [configmaps, services, serviceaccounts]
autoscaling: [horizontalpodautoscalers]
policy: [poddisruptionbudgets]
networking.k8s.io: [networkpolicies, ingresses]
gateway.networking.k8s.io: [httproutes]
keda.sh: [scaledobjects]
monitoring.coreos.com: [servicemonitors, podmonitors, prometheusrules]
{{- end }}
