{{/*
Names and labels of the plain manifests: those of MetalLB's plain manifests, so that what selects
or patches those goes on working. This file takes the place of the chart's templates/_names.tpl.
*/}}

{{- define "lintel.fullname" -}}
lintel
{{- end -}}

{{- define "lintel.part" -}}
{{- last . -}}
{{- end -}}

{{- define "lintel.clusterPart" -}}
{{- printf "%s:%s" (first .).Release.Namespace (last .) -}}
{{- end -}}

{{- define "lintel.kubeProxyReader" -}}
lintel-kube-proxy-reader
{{- end -}}

{{- define "lintel.memberlistSecret" -}}
memberlist
{{- end -}}

{{- define "lintel.labels" -}}
app: metallb
{{- end -}}

{{- define "lintel.component" -}}
component: {{ . }}
{{- end -}}

{{- define "lintel.selector" -}}
app: metallb
component: {{ last . }}
{{- end -}}

{{- define "lintel.memberLabels" -}}
app=metallb,component=speaker
{{- end -}}
