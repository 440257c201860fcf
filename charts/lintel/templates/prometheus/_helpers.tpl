{{/* What a PodMonitor and a ServiceMonitor say alike about their endpoint. */}}
{{- define "lintel.endpoint" -}}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
{{ toYaml . }}
{{- end }}
{{- with .relabelings }}
relabelings:
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels and text of an alert. */}}
{{- define "lintel.alert" -}}
{{- with .labels }}
labels:
  {{- toYaml . | nindent 2 }}
{{- end }}
annotations:
  summary: {{ .text | quote }}
{{- end -}}

{{/* Selector of the pools that an alert is about, or nothing. */}}
{{- define "lintel.pools" -}}
{{- with .excludePools }}{pool!~{{ . | quote }}}{{ end -}}
{{- end -}}
