{{- define "homeostat.name" -}}
{{- if contains "homeostat" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-homeostat{{ end -}}
{{- end }}

{{- define "homeostat.selector" -}}
app.kubernetes.io/name: homeostat
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "homeostat.labels" -}}
{{ include "homeostat.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "homeostat.meta" -}}
name: {{ include "homeostat.name" . }}
namespace: {{ .Release.Namespace }}
labels: {{- include "homeostat.labels" . | nindent 2 }}
{{- end }}
