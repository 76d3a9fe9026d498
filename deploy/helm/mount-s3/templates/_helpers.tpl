{{- define "mount-s3.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "mount-s3.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "mount-s3.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- define "mount-s3.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "mount-s3.selector" -}}
app.kubernetes.io/name: mount-s3
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mount-s3.labels" -}}
{{ include "mount-s3.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What a schema cannot say. */}}
{{- define "mount-s3.check" -}}
{{- $root := .Values.hostDirectory -}}
{{- $names := dict -}}
{{- $paths := list -}}
{{- range .Values.mounts -}}
{{- if hasKey $names .name -}}
{{- fail (printf "mounts: two are named %q; give each a name of its own" .name) -}}
{{- end -}}
{{- $_ := set $names .name true -}}
{{- if eq .name "announce" -}}
{{- fail "mounts: the name \"announce\" is taken by the container that announces the node" -}}
{{- end -}}
{{- if not (hasPrefix (printf "%s/" $root) .path) -}}
{{- fail (printf "mounts: the path of %q is %s, which is not below hostDirectory (%s)" .name .path $root) -}}
{{- end -}}
{{- $mount := . -}}
{{- range $paths -}}
{{- if or (eq . $mount.path) (hasPrefix (printf "%s/" .) $mount.path) (hasPrefix (printf "%s/" $mount.path) .) -}}
{{- fail (printf "mounts: the paths %s and %s lie on or in each other" . $mount.path) -}}
{{- end -}}
{{- end -}}
{{- $paths = append $paths .path -}}
{{- end -}}
{{- end }}
