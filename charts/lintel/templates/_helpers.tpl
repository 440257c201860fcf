{{/* Service account of a part: (list . "speaker"). */}}
{{- define "lintel.serviceAccount" -}}
{{- $part := last . -}}
{{- $account := (index (first .).Values $part).serviceAccount -}}
{{- if $account.create -}}
{{- default (include "lintel.part" .) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{/* Image of a part: (list . "speaker"). */}}
{{- define "lintel.image" -}}
{{- $image := (index (first .).Values (last .)).image -}}
{{- printf "%s:%s" $image.repository (default (first .).Chart.AppVersion $image.tag) -}}
{{- end -}}

{{/* Port of the health listener of a part, which both probes ask: (list . "speaker"). */}}
{{- define "lintel.healthPort" -}}
{{- $part := last . -}}
{{- $values := index (first .).Values $part -}}
{{- $live := $values.livenessProbe -}}
{{- $ready := $values.readinessProbe -}}
{{- if and $live.enabled $ready.enabled (ne (int $live.port) (int $ready.port)) -}}
{{- fail (printf "%s.livenessProbe.port is %d and %s.readinessProbe.port is %d: the program has one port for both, set them alike" $part (int $live.port) $part (int $ready.port)) -}}
{{- end -}}
{{- if $live.enabled }}{{ int $live.port }}{{ else }}{{ int $ready.port }}{{ end -}}
{{- end -}}

{{/* Timings of a probe. */}}
{{- define "lintel.probe" -}}
failureThreshold: {{ .failureThreshold }}
initialDelaySeconds: {{ .initialDelaySeconds }}
periodSeconds: {{ .periodSeconds }}
successThreshold: {{ .successThreshold }}
timeoutSeconds: {{ .timeoutSeconds }}
{{- end -}}

{{/* Arguments that both programs have: (list . "speaker"). */}}
{{- define "lintel.args" -}}
{{- $root := first . -}}
- {{ last . }}
- --port={{ $root.Values.prometheus.metricsPort }}
- --health-probe-port={{ include "lintel.healthPort" . }}
- --log-level={{ (index $root.Values (last .)).logLevel }}
{{- with $root.Values.prometheus.metricsHTTPAddress }}
- {{ printf "--metrics-http-address=%s" . | quote }}
{{- end }}
{{- with $root.Values.loadBalancerClass }}
- {{ printf "--lb-class=%s" . | quote }}
{{- end }}
{{- with $root.Values.tls }}
{{- with .minVersion }}
- --tls-min-version={{ . }}
{{- end }}
{{- with .cipherSuites }}
- --tls-cipher-suites={{ . }}
{{- end }}
{{- with .curvePreferences }}
- {{ printf "--tls-curve-preferences=%s" . | quote }}
{{- end }}
{{- end }}
{{- if include "lintel.tlsSecret" . }}
- --metrics-cert-dir=/etc/lintel/tls
{{- end }}
{{- end -}}

{{/* Secret with the certificate of a part's HTTPS port, or nothing: (list . "speaker"). */}}
{{- define "lintel.tlsSecret" -}}
{{- index (first .).Values.tls (printf "%sMetricsTLSSecret" (last .)) -}}
{{- end -}}

{{/* Annotations for Prometheus without its operator. */}}
{{- define "lintel.scrapeAnnotations" -}}
{{- if .Values.prometheus.scrapeAnnotations -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .Values.prometheus.metricsPort | quote }}
prometheus.io/scheme: https
{{- end -}}
{{- end -}}

{{/* What the speaker's container may do. */}}
{{- define "lintel.speakerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
# Only root gets the capabilities that are added.
runAsUser: 0
# NET_RAW for ARP, NDP and BFD echo; NET_BIND_SERVICE to wait for routers on port 179;
# SYS_NICE so that BFD with short intervals holds on a busy node.
capabilities:
  drop: [ALL]
  add: [NET_BIND_SERVICE, NET_RAW, SYS_NICE]
{{- end -}}

{{/* What the controller's container may do. */}}
{{- define "lintel.controllerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The file with the interfaces that are left out. */}}
{{- define "lintel.exclusions" -}}
announcedInterfacesToExclude:
{{ toYaml .Values.speaker.excludeInterfaces.patterns }}
{{- end -}}

{{/* A line for each value that is set and has nothing to act on. */}}
{{- define "lintel.obsolete" -}}
{{- range .Files.Get "files/obsolete.yaml" | fromYamlArray }}
{{- $at := $.Values }}
{{- $set := true }}
{{- range splitList "." .value }}
{{- if and $set (kindIs "map" $at) (hasKey $at .) }}
{{- $at = index $at . }}
{{- else }}
{{- $set = false }}
{{- end }}
{{- end }}
{{- if $set }}
  {{ .value }}: {{ .why }}: {{ .remedy }}.
{{- end }}
{{- end }}
{{- end -}}
