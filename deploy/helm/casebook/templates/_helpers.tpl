{{- define "casebook.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* Short enough for "-correlate" and the suffixes of pods to fit after it. */ -}}
{{- define "casebook.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else if contains (include "casebook.name" .) .Release.Name -}}
{{- .Release.Name | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "casebook.name" .) | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "casebook.selectorLabels" -}}
app.kubernetes.io/name: {{ include "casebook.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "casebook.labels" -}}
{{ include "casebook.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "casebook.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "casebook.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the account that exists, or let the chart create one" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "casebook.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* A duration of casebook.yaml in whole seconds, rounded up. */ -}}
{{- define "casebook.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" -}}
{{- div (add $number 999) 1000 -}}
{{- else -}}
{{- mul $number (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400 "w" 604800) $unit) -}}
{{- end -}}
{{- end -}}

{{- /* 512Mi or 2Gi in bytes: the two units that the schema lets a limit have. */ -}}
{{- define "casebook.bytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- if hasSuffix "Gi" . -}}{{- mul $number 1073741824 -}}{{- else -}}{{- mul $number 1048576 -}}{{- end -}}
{{- end -}}

{{- /* Whether the store is a bucket. */ -}}
{{- define "casebook.remoteStore" -}}
{{- if regexMatch "^(s3|gs|az)://" (default "" .Values.config.store) -}}yes{{- end -}}
{{- end -}}

{{- define "casebook.grace" -}}
{{- $deadline := include "casebook.seconds" (default "45s" .Values.config.shutdown_deadline) | int64 -}}
{{- $grace := .Values.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $grace -}}
{{- add $deadline 15 -}}
{{- else -}}
{{- if le (int64 $grace) $deadline -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is not more than config.shutdown_deadline (%d s): the last commit would be cut off" (int64 $grace) $deadline) -}}
{{- end -}}
{{- int64 $grace -}}
{{- end -}}
{{- end -}}

{{- /* What the schema cannot see, since it is about two values at once. */ -}}
{{- define "casebook.validate" -}}
{{- $scaled := eq .Values.mode "scaled" -}}
{{- if and $scaled (not .Values.config.store) -}}
{{- fail "config.store: workers on several nodes need an object store, such as s3://bucket/prefix (or mode: single)" -}}
{{- end -}}
{{- if and $scaled (not (include "casebook.remoteStore" .)) (not .Values.sharedVolume.existingClaim) -}}
{{- fail (printf "config.store: %s is a directory, and a pod's own; name an object store, or a ReadWriteMany claim in sharedVolume.existingClaim" .Values.config.store) -}}
{{- end -}}
{{- if and .Values.config.store (not (include "casebook.remoteStore" .)) (not (hasPrefix "/var/lib/casebook" .Values.config.store)) -}}
{{- fail (printf "config.store: %s is outside of /var/lib/casebook, where the volume is" .Values.config.store) -}}
{{- end -}}
{{- if and (not .Values.rules.image) (not .Values.rules.configMaps) -}}
{{- fail "rules: neither the image's nor a ConfigMap's; name at least one" -}}
{{- end -}}
{{- if and .Values.autoscaling.hpa.enabled .Values.autoscaling.keda.enabled -}}
{{- fail "autoscaling: KEDA makes an HPA of its own; enable one of the two" -}}
{{- end -}}
{{- if and (not $scaled) (or .Values.autoscaling.hpa.enabled .Values.autoscaling.keda.enabled) -}}
{{- fail "autoscaling: there is one worker in mode: single" -}}
{{- end -}}
{{- if and .Values.monitoring.podMonitor.enabled .Values.monitoring.serviceMonitor.enabled -}}
{{- fail "monitoring: a podMonitor and a serviceMonitor would scrape every worker twice; enable one of the two" -}}
{{- end -}}
{{- $partitions := int .Values.config.kafka.signals_partitions -}}
{{- if $scaled -}}
{{- $most := int .Values.correlate.replicas -}}
{{- $name := "correlate.replicas" -}}
{{- if .Values.autoscaling.hpa.enabled -}}
{{- $most = int .Values.autoscaling.hpa.correlate.maxReplicas -}}
{{- $name = "autoscaling.hpa.correlate.maxReplicas" -}}
{{- else if .Values.autoscaling.keda.enabled -}}
{{- $most = int .Values.autoscaling.keda.correlate.maxReplicas -}}
{{- $name = "autoscaling.keda.correlate.maxReplicas" -}}
{{- end -}}
{{- if gt $most $partitions -}}
{{- fail (printf "%s: %d workers, and config.kafka.signals_partitions is %d: the rest would have nothing to do" $name $most $partitions) -}}
{{- end -}}
{{- end -}}
{{- range $kind := list "hpa" "keda" -}}
{{- range $role := list "ingest" "correlate" -}}
{{- $scale := get (get $.Values.autoscaling $kind) $role -}}
{{- if gt (int $scale.minReplicas) (int $scale.maxReplicas) -}}
{{- fail (printf "autoscaling.%s.%s: minReplicas is more than maxReplicas" $kind $role) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $role := ternary (list "correlate") (list "single") $scaled -}}
{{- with (get $.Values $role).resources.limits -}}
{{- if .memory -}}
{{- $needed := add (int64 $.Values.config.correlation.memory_bytes) 268435456 -}}
{{- if lt (include "casebook.bytes" .memory | int64) $needed -}}
{{- fail (printf "%s.resources.limits.memory: %s is less than config.correlation.memory_bytes and 256 MiB" $role .memory) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* casebook.yaml: what config says, and what only the chart can know. */ -}}
{{- define "casebook.config" -}}
{{- include "casebook.validate" . -}}
{{- $config := deepCopy .Values.config -}}
{{- if not $config.store -}}{{- $_ := set $config "store" "/var/lib/casebook" -}}{{- end -}}
{{- $_ := set $config "http" "0.0.0.0:9464" -}}
{{- $rules := list -}}
{{- if .Values.rules.image -}}{{- $rules = append $rules "/usr/share/casebook/rules" -}}{{- end -}}
{{- range .Values.rules.configMaps -}}{{- $rules = append $rules (printf "/etc/casebook-rules/%s" .) -}}{{- end -}}
{{- $_ := set $config "rules" $rules -}}
{{- $_ := set $config.correlation "spill_directory" "/var/lib/casebook-spill" -}}
{{- if .Values.kafkaToken.enabled -}}
{{- $_ := set $config.kafka "token_file" "/var/run/secrets/casebook-kafka/token" -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- /* The pod of a worker. Takes root, role (all, ingest, correlate), resources and, for a single worker, claim. */ -}}
{{- define "casebook.podTemplate" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "casebook.selectorLabels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
    {{- with $root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A change of settings rolls the pods.
    checksum/config: {{ include "casebook.config" $root | sha256sum }}
    {{- if $root.Values.monitoring.annotations }}
    prometheus.io/scrape: "true"
    prometheus.io/port: "9464"
    prometheus.io/path: /metrics
    {{- end }}
    {{- with $root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "casebook.podSettings" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ include "casebook.grace" $root }}
  {{- if eq .role "all" }}
  {{- /* One worker: nothing to spread. */ -}}
  {{- else if kindIs "invalid" $root.Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "casebook.selectorLabels" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $.role }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- else if $root.Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml $root.Values.topologySpreadConstraints | nindent 4 }}
  {{- end }}
  containers:
    - name: casebook
      args: [run, --config, /etc/casebook/casebook.yaml, --role, {{ .role }}]
      {{- include "casebook.container" . | nindent 6 }}
      ports:
        - name: http
          containerPort: 9464
      # A start reads the table's log and may rebuild indexes: five minutes before liveness has a say.
      startupProbe:
        httpGet: { path: /healthz, port: http }
        periodSeconds: 5
        failureThreshold: 60
      livenessProbe:
        httpGet: { path: /healthz, port: http }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: http }
        periodSeconds: 5
        timeoutSeconds: 5
      resources:
        {{- toYaml .resources | nindent 8 }}
{{- end -}}

{{- /* Of a pod, whoever runs in it. Takes root, claim and, in place of the values' own, affinity. */ -}}
{{- define "casebook.podSettings" -}}
{{- $root := .root -}}
serviceAccountName: {{ include "casebook.serviceAccountName" $root }}
# Casebook never asks the API server. Tokens for a cloud or for Kafka are volumes of their own.
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  # A store of many files is not walked at every start.
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default $root.Values.affinity .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: config
    configMap:
      name: {{ include "casebook.fullname" $root }}
  - name: spill
    emptyDir:
      sizeLimit: {{ $root.Values.spill.sizeLimit }}
  - name: tmp
    emptyDir:
      sizeLimit: {{ $root.Values.tmp.sizeLimit }}
  {{- with .claim }}
  - name: data
    persistentVolumeClaim:
      claimName: {{ . }}
  {{- end }}
  {{- range $root.Values.rules.configMaps }}
  - name: {{ printf "rules-%s" . | trunc 63 | trimSuffix "-" }}
    configMap:
      name: {{ . }}
  {{- end }}
  {{- range $root.Values.secrets.files }}
  - name: {{ printf "secret-%s" .name }}
    secret:
      secretName: {{ .secretName }}
      # Read by the group of the pod, and by nobody else.
      defaultMode: 0440
  {{- end }}
  {{- if $root.Values.kafkaToken.enabled }}
  - name: kafka-token
    projected:
      defaultMode: 0440
      sources:
        - serviceAccountToken:
            path: token
            audience: {{ $root.Values.kafkaToken.audience }}
            expirationSeconds: {{ $root.Values.kafkaToken.expirationSeconds }}
  {{- end }}
{{- end -}}

{{- /* Of a container, whatever it runs. */ -}}
{{- define "casebook.container" -}}
{{- $root := .root -}}
image: {{ include "casebook.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
{{- if or $root.Values.env $root.Values.secrets.env }}
env:
  {{- range $root.Values.env }}
  - name: {{ .name }}
    value: {{ .value | quote }}
  {{- end }}
  {{- range $root.Values.secrets.env }}
  - name: {{ .name }}
    valueFrom:
      secretKeyRef:
        name: {{ .secretName }}
        key: {{ .key }}
  {{- end }}
{{- end }}
volumeMounts:
  - { name: config, mountPath: /etc/casebook, readOnly: true }
  - { name: spill, mountPath: /var/lib/casebook-spill }
  - { name: tmp, mountPath: /tmp }
  {{- if .claim }}
  - { name: data, mountPath: /var/lib/casebook }
  {{- end }}
  {{- range $root.Values.rules.configMaps }}
  - { name: {{ printf "rules-%s" . | trunc 63 | trimSuffix "-" }}, mountPath: /etc/casebook-rules/{{ . }}, readOnly: true }
  {{- end }}
  {{- range $root.Values.secrets.files }}
  - { name: {{ printf "secret-%s" .name }}, mountPath: /etc/casebook-secrets/{{ .name }}, readOnly: true }
  {{- end }}
  {{- if $root.Values.kafkaToken.enabled }}
  - { name: kafka-token, mountPath: /var/run/secrets/casebook-kafka, readOnly: true }
  {{- end }}
{{- end -}}

{{- /* The ports in a list of host:port with commas between; the default where one has none. */ -}}
{{- define "casebook.ports" -}}
{{- $ports := list -}}
{{- range splitList "," .addresses -}}
{{- $port := regexFind ":[0-9]+$" (trimSuffix "/" (trim .)) | trimPrefix ":" -}}
{{- $ports = append $ports (default $.default $port | int) -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{- /* A rule of egress or nothing; takes ports and to. */ -}}
{{- define "casebook.egress" -}}
- ports:
    {{- range .ports }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
