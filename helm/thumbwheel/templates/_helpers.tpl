{{- define "thumbwheel.fullname" -}}
{{- if contains "thumbwheel" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-thumbwheel" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "thumbwheel.selector" -}}
app.kubernetes.io/name: thumbwheel
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .room }}
{{- end }}

{{- define "thumbwheel.labels" -}}
{{ include "thumbwheel.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "thumbwheel.metadata" -}}
name: {{ include "thumbwheel.fullname" .root }}-{{ .room }}
labels: {{- include "thumbwheel.labels" . | nindent 2 }}
{{- end }}

{{- define "thumbwheel.secretName" -}}
{{ .Values.secret.name | default (printf "%s-keys" (include "thumbwheel.fullname" .)) }}
{{- end }}

{{- define "thumbwheel.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "thumbwheel.modelPath" -}}
{{ if .Values.model.volume }}/model{{ else }}{{ required "model.path is not set; expected a model's name, or model.volume with its folder" .Values.model.path }}{{ end }}
{{- end }}

{{/* Each engine by its own name: every one must have answered before users get a canary. */}}
{{- define "thumbwheel.engines" -}}
{{- $name := include "thumbwheel.fullname" . -}}
{{- range $at, $_ := until (int .Values.engine.replicas) }}{{ if $at }},{{ end }}http://{{ $name }}-engine-{{ $at }}.{{ $name }}-engine:8000{{ end }}
{{- end }}

{{/* A variable: a text, what is written as JSON, or where it lies, as `valueFrom`. */}}
{{- define "thumbwheel.var" -}}
{{- if and (kindIs "map" .value) (hasKey .value "valueFrom") }}
- {name: {{ .name }}, valueFrom: {{ toJson .value.valueFrom }}}
{{- else }}
- {name: {{ .name }}, value: {{ kindIs "string" .value | ternary .value (.value | toJson) | quote }}}
{{- end }}
{{- end }}

{{/* What a process is told: of `reads`, the rooms whose settings it reads, so that no pod is started anew for another's. */}}
{{- define "thumbwheel.env" -}}
{{- $own := dict
  "NAME" .root.Values.name
  "MODEL" (include "thumbwheel.modelPath" .root)
  "LOG" (.root.Values.log | default "sqlite:////data/log.db")
  "EXAMPLES" "/data/examples"
  "ADAPTERS" "/data/adapters" }}
{{- if has .room (list "gateway" "trainer" "ops") }}
{{- $_ := set $own "ENGINE_URL" (include "thumbwheel.engines" .root) }}
{{- end }}
{{- if has "engine" .reads }}
{{- $own = merge $own (dict "ENGINE_CACHE" "/tmp/adapters" "ENGINE_LEAVING" "/tmp/leaving") }}
{{- with .root.Values.engine.adapters }}
{{- $_ := set $own "ADAPTERS" . }}
{{- end }}
{{- end }}
{{- if has "serving" .reads }}
{{- $own = merge $own (dict "SERVING_HOST" "0.0.0.0" "SERVING_SPOOL" "/spool" "SERVING_DRAIN_SECONDS" (.root.Values.gateway.drainSeconds | toString)) }}
{{- end }}
{{- if has "feedback" .reads }}
{{- $own = merge $own (dict "FEEDBACK_WINDOW" "/data/window" "FEEDBACK_WORKERS" (.root.Values.worker.replicas | toString) "FEEDBACK_METRICS_HOST" "0.0.0.0") }}
{{- end }}
{{- if has "trainer" .reads }}
{{- $own = merge $own (dict "TRAINER_STATE" "/data/trainer" "TRAINER_PLAN" "/etc/thumbwheel/plan.json" "TRAINER_METRICS_HOST" "0.0.0.0") }}
{{- end }}
{{- if has "rounds" .reads }}
{{- $own = merge $own (dict "TRAINER_STATE" "/data/trainer" "TRAINER_METRICS_HOST" "0.0.0.0") }}
{{- end }}
{{- if has "ops" .reads }}
{{- $own = merge $own (dict "OPS_HOST" "0.0.0.0" "OPS_METRICS_HOST" "0.0.0.0" "OPS_RELEASE" (printf "%s-model" (include "thumbwheel.fullname" .root))) }}
{{- with .root.Values.engine.adapters }}
{{- $_ := set $own "OPS_COPIES" . }}
{{- end }}
{{- if eq .root.Values.rollout.told "helm" }}
{{- $_ := set $own "OPS_RELEASE_KEEPS" (.root.Values.rollout.keeps | toString) }}
{{- else }}
{{- $_ := set $own "OPS_RELEASE_FILE" .root.Values.rollout.file }}
{{- end }}
{{- end }}
{{- range $name, $value := .root.Values.settings }}
{{- if and (has (splitList "_" $name | first) $.reads) (not (kindIs "invalid" $value)) }}
{{- $_ := set $own (upper $name) $value }}
{{- end }}
{{- end }}
{{- range $name, $value := $own }}
{{- include "thumbwheel.var" (dict "name" (printf "THUMBWHEEL_%s" $name) "value" $value) }}
{{- end }}
{{- $more := dict "HOME" "/tmp" "PYTHONUNBUFFERED" "1" }}
{{- if .sharesGpu }}
{{- $_ := set $more "NVIDIA_VISIBLE_DEVICES" "all" }}
{{- end }}
{{- if and (has .room (list "engine" "trainer" "score")) (not .root.Values.model.volume) (not .apart) }}
{{- $_ := set $more "HF_HOME" "/data/models" }}
{{- end }}
{{- range $name, $value := merge (deepCopy (.more | default dict)) (deepCopy .root.Values.extra.env) $more }}
{{- include "thumbwheel.var" (dict "name" $name "value" $value) }}
{{- end }}
{{- range $setting, $key := .keys }}
{{- if $key }}
- name: THUMBWHEEL_{{ $setting }}
  valueFrom: {secretKeyRef: {name: {{ include "thumbwheel.secretName" $.root }}, key: {{ $key }}}}
{{- end }}
{{- end }}
{{- end }}

{{/* Of every pod: nobody may do more than it must. Links to Services would look like our settings. */}}
{{- define "thumbwheel.pod" -}}
enableServiceLinks: false
automountServiceAccountToken: {{ .asks | default false }}
serviceAccountName: {{ include "thumbwheel.fullname" .root }}-{{ .account | default .room }}
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .root.Values.podSecurity.user }}
  runAsGroup: {{ .root.Values.podSecurity.group }}
  fsGroup: {{ .root.Values.podSecurity.group }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* What only one node can mount holds all who mount it there; others are spread. */}}
{{- define "thumbwheel.oneNode" -}}
{{ has "ReadWriteMany" .Values.data.accessModes | ternary "" "yes" }}
{{- end }}

{{/* `of`: what may say where these pods run. */}}
{{- define "thumbwheel.place" -}}
{{- $of := .of | default dict }}
{{- $near := and (include "thumbwheel.oneNode" .root) (not .apart) }}
{{- $where := deepCopy ($of.nodeSelector | default dict) }}
{{- if $near }}
{{- $where = merge $where .root.Values.data.nodeSelector }}
{{- end }}
{{- with $where }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- if $near }}
affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {app.kubernetes.io/instance: {{ .root.Release.Name | quote }}}
          {{- if .root.Values.engine.adapters }}
          matchExpressions: [{key: app.kubernetes.io/component, operator: NotIn, values: [engine]}]
          {{- end }}
{{- else }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "thumbwheel.selector" . | nindent 8 }}
{{- end }}
{{- end }}

{{- define "thumbwheel.locked" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* GPUs are counted apart: maps of values are merged, and a limit could not be taken back. */}}
{{- define "thumbwheel.resources" -}}
{{- $all := deepCopy .resources }}
{{- if .gpus }}
{{- $all = mergeOverwrite $all (dict "limits" (dict "nvidia.com/gpu" (.gpus | toString))) }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{/* `apart`: without the data volume. */}}
{{- define "thumbwheel.mounts" -}}
{{- if not .apart }}
- {name: data, mountPath: /data}
{{- end }}
- {name: tmp, mountPath: /tmp}
- {name: plan, mountPath: /etc/thumbwheel, readOnly: true}
{{- if .model }}
- {name: model, mountPath: /model, readOnly: true}
{{- end }}
{{- with .root.Values.extra.mounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "thumbwheel.volumes" -}}
{{- if not .apart }}
- name: data
  persistentVolumeClaim:
    claimName: {{ .root.Values.data.existingClaim | default (printf "%s-data" (include "thumbwheel.fullname" .root)) }}
{{- end }}
- name: tmp
  emptyDir: {}
- name: plan
  configMap: {name: {{ include "thumbwheel.fullname" .root }}-plan}
{{- if .model }}
- name: model
  {{- toYaml .root.Values.model.volume | nindent 2 }}
{{- end }}
{{- with .root.Values.extra.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "thumbwheel.scraped" -}}
{{- if not .root.Values.monitoring.operator }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .port | quote }}
{{- end }}
{{- end }}

{{- define "thumbwheel.spool" -}}
volumeClaimTemplates:
  - metadata: {name: spool}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .Values.gateway.spool.storageClass }}
      storageClassName: {{ . }}
      {{- end }}
      resources: {requests: {storage: {{ .Values.gateway.spool.size }}}}
{{- end }}
