{{/* One mount. `all` is the whole chart, `mount` one of .Values.mounts. */}}
{{- define "mount-s3.mount" -}}
{{- $values := .all.Values -}}
{{- with .mount -}}
{{- $look := printf "{ command: [mount-s3, status, --quiet, %s] }" (.path | quote) -}}
- name: {{ .name }}
  image: {{ include "mount-s3.image" $.all }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  args:
    - --foreground
    - --create-directory
    - --read-only
    - --allow-other
    - --metadata-ttl={{ .metadataTtl | default "indefinite" }}
    - --memory-target={{ $values.memoryTarget }}
    {{- with .prefix }}
    - {{ printf "--prefix=%s" . | quote }}
    {{- end }}
    {{- with .region }}
    - {{ printf "--region=%s" . | quote }}
    {{- end }}
    {{- with $values.endpoint.url }}
    - {{ printf "--endpoint-url=%s" . | quote }}
    {{- end }}
    {{- if $values.endpoint.forcePathStyle }}
    - --force-path-style
    {{- end }}
    {{- if $values.cache.enabled }}
    - --cache=/var/cache/mount-s3
    {{- with $values.cache.maxSize }}
    - {{ printf "--max-cache-size=%s" . | quote }}
    {{- end }}
    {{- end }}
    {{- range .extraArgs }}
    - {{ . | quote }}
    {{- end }}
    - {{ .bucket | quote }}
    - {{ .path | quote }}
  {{- if $values.credentials.existingSecret }}
  envFrom:
    - secretRef: { name: {{ $values.credentials.existingSecret | quote }} }
  {{- end }}
  {{- with .env }}
  env: {{- toYaml . | nindent 4 }}
  {{- end }}
  # Bidirectional propagation is given to privileged containers only.
  securityContext:
    privileged: true
    runAsUser: 0
    readOnlyRootFilesystem: true
  resources: {{- toYaml $values.resources | nindent 4 }}
  # None of them asks S3: a mount serves what it has while S3 is away.
  startupProbe:
    exec: {{ $look }}
    periodSeconds: 2
    timeoutSeconds: 8
    failureThreshold: 60
  readinessProbe:
    exec: {{ $look }}
    periodSeconds: 10
    timeoutSeconds: 8
    failureThreshold: 1
  livenessProbe:
    exec: {{ $look }}
    periodSeconds: 5
    timeoutSeconds: 8
    failureThreshold: 2
  # The last lines of its log say in the pod's status why it ended.
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
    - { name: host-directory, mountPath: {{ $values.hostDirectory | quote }}, mountPropagation: Bidirectional }
    {{- if $values.cache.enabled }}
    - { name: cache, mountPath: /var/cache/mount-s3 }
    {{- end }}
    - { name: run, mountPath: /run }
    - { name: tmp, mountPath: /tmp }
{{- end -}}
{{- end }}

{{/* Warms the caches and says on the node that it is ready. */}}
{{- define "mount-s3.announce" -}}
- name: announce
  image: {{ include "mount-s3.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args:
    - announce
    - --node=$(NODE_NAME)
    {{- with .Values.announce.removeTaint }}
    - {{ printf "--remove-taint=%s" . | quote }}
    {{- end }}
    {{- with .Values.announce.label }}
    - {{ printf "--label=%s" . | quote }}
    {{- end }}
    {{- if .Values.announce.pin }}
    - --pin
    {{- end }}
    {{- range .Values.mounts }}
    {{- if .warm }}
    - {{ printf "--warm=%s=/etc/mount-s3/warm/%s" .path .name | quote }}
    {{- end }}
    {{- end }}
    {{- range .Values.mounts }}
    - {{ .path | quote }}
    {{- end }}
  env:
    - name: NODE_NAME
      valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
  # The control sockets belong to root; beyond that it needs nothing.
  securityContext:
    runAsUser: 0
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities: { drop: [ALL] }
  readinessProbe:
    exec: { command: [mount-s3, announce, --check] }
    periodSeconds: 5
    timeoutSeconds: 5
    failureThreshold: 1
  resources: {{- toYaml .Values.announce.resources | nindent 4 }}
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
    - { name: host-directory, mountPath: {{ .Values.hostDirectory | quote }}, mountPropagation: HostToContainer, readOnly: true }
    - { name: run, mountPath: /run }
    - { name: tmp, mountPath: /tmp }
    - { name: warm, mountPath: /etc/mount-s3/warm, readOnly: true }
{{- end }}
