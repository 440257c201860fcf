{{/*
Names and labels of all objects. The plain manifests are this chart with another file in the
place of this one.
*/}}

{{- define "lintel.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "lintel.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of the controller's or speaker's objects in the namespace: (list . "speaker"). */}}
{{- define "lintel.part" -}}
{{- printf "%s-%s" (include "lintel.fullname" (first .)) (last .) -}}
{{- end -}}

{{/* Name of an object that is not in the namespace: (list . "speaker"). */}}
{{- define "lintel.clusterPart" -}}
{{- printf "%s:%s" (include "lintel.fullname" (first .)) (last .) -}}
{{- end -}}

{{- define "lintel.kubeProxyReader" -}}
{{- include "lintel.part" (list . "kube-proxy-reader") -}}
{{- end -}}

{{- define "lintel.memberlistSecret" -}}
{{- default (include "lintel.part" (list . "memberlist")) .Values.speaker.secretName -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "lintel.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "lintel.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* The label that tells controller and speaker apart: "speaker". */}}
{{- define "lintel.component" -}}
app.kubernetes.io/component: {{ . }}
{{- end -}}

{{/* Labels that select Pods: (list . "speaker"). They cannot be changed in an upgrade. */}}
{{- define "lintel.selector" -}}
app.kubernetes.io/name: {{ include "lintel.name" (first .) }}
app.kubernetes.io/instance: {{ (first .).Release.Name }}
{{ include "lintel.component" (last .) }}
{{- end -}}

{{/* The same for speakers that look for each other, as MetalLB's chart has it. */}}
{{- define "lintel.memberLabels" -}}
app.kubernetes.io/name={{ include "lintel.name" . }},app.kubernetes.io/component=speaker
{{- end -}}
