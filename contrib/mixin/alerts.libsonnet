// What a person must be told about the engine itself. Route these to people, never to Homeostat.
local counts = (import 'counted.libsonnet').counts;

{
  local config = $._config,
  local series(name, matchers='') =
    'homeostat_%s{%s%s}' % [name, config.selector, if matchers == '' then '' else ', ' + matchers],

  local alert(name, severity, expr, summary, description, wait=null) = {
    alert: name,
    expr: expr,
    [if wait != null then 'for']: wait,
    labels: { severity: severity } + config.alertLabels,
    annotations: { summary: summary, description: description },
  },

  prometheusAlerts+:: {
    groups+: [{
      name: 'homeostat',
      rules: [
        alert(
          'HomeostatDown',
          'critical',
          'absent(up{%s} == 1)' % config.selector,
          'Nobody heals',
          'Prometheus has not reached Homeostat for five minutes. Actions that run go on; alerts '
          + 'reach people by the fallback route only.',
          '5m',
        ),
        alert(
          'HomeostatTakesNoAlerts',
          'critical',
          counts(series('notifications_received_total', 'result="busy"'), '5m', ['instance', 'source']),
          'Homeostat answers 503 to {{ $labels.source }}',
          'It cannot take alerts: its journal cannot be written, or more comes in than it can '
          + 'commit. /-/ready on {{ $labels.instance }} and its log say which. Senders try again.',
          '5m',
        ),
        alert(
          'HomeostatJournalNotWritable',
          'critical',
          '%s == 0' % series('journal_writable'),
          'The journal of Homeostat cannot be written',
          '{{ $labels.instance }} takes no alerts and starts nothing until it can. Its log says '
          + 'why; the disk is full more often than broken.',
          '2m',
        ),
        alert(
          'HomeostatTellsNobody',
          'critical',
          counts(
            series('notices_total', 'result=~"failed|dropped"'), '15m', ['instance', 'channel']
          ),
          'Homeostat cannot tell people by {{ $labels.channel }}',
          'Who should be called by {{ $labels.instance }} may not be. It tries again; its log says '
          + 'what the other side answered. `homeostat incidents` lists what is open.',
          '10m',
        ),
        alert(
          'HomeostatNotificationsUnusable',
          'warning',
          counts(
            series('notifications_received_total', 'result=~"quarantined|partial|too_large"'),
            '15m',
            ['instance', 'source', 'result'],
          ),
          'What {{ $labels.source }} sends cannot be used ({{ $labels.result }})',
          'Alerts in these notifications are not healed. The log of {{ $labels.instance }} says '
          + 'what is wrong with them.',
        ),
        alert(
          'HomeostatSourceFails',
          'warning',
          |||
            sum by (instance, source) (rate(%s[15m])) > 0
            unless
            sum by (instance, source) (rate(%s[15m])) > 0
          ||| % [
            series('reconcile_polls_total', 'result="failed"'),
            series('reconcile_polls_total', 'result!="failed"'),
          ],
          '{{ $labels.source }} does not tell Homeostat what fires',
          '{{ $labels.instance }} asks it each minute and gets no answer that it can use. Alerts whose '
          + 'notifications are lost are not found; the log says why.',
          '15m',
        ),
        alert(
          'HomeostatConfigReloadFailed',
          'warning',
          '%s == 0' % series('config_last_reload_successful'),
          'The configuration of Homeostat has errors',
          '{{ $labels.instance }} goes on with the one before and would not start with this one. '
          + '`homeostat check` shows what is wrong.',
          '5m',
        ),
        alert(
          'HomeostatWebConfigReloadFailed',
          'warning',
          '%s == 0' % series('web_config_last_reload_successful'),
          'The web configuration of Homeostat cannot be put in force',
          '{{ $labels.instance }} goes on with the one before, also with certificates that expire. '
          + 'Its log says what is wrong with the file of --web.config.file, or with one that it names.',
          '5m',
        ),
        alert(
          'HomeostatPaused',
          'warning',
          '%s == 1' % series('paused'),
          'Homeostat has been paused for hours',
          '{{ $labels.instance }} starts no remedy. /api/v1/status says who paused it and why; '
          + '`homeostat resume` ends it.',
          '4h',
        ),
        alert(
          'HomeostatRunnerMissing',
          'warning',
          '%s == 0' % series('runner_up'),
          'Homeostat has no runner',
          '{{ $labels.instance }} runs actions itself: they end with it, and what became of them is '
          + 'unknown. Its log says why no runner can be started.',
          '10m',
        ),
        alert(
          'HomeostatRunnerLost',
          'warning',
          counts(series('runner_lost_total'), '15m', ['instance']),
          'The runner of Homeostat went away',
          'The orders that it had are unknown, and are verified and not run again. '
          + '`homeostat incidents` shows them; look for what killed it on {{ $labels.instance }}.',
        ),
        alert(
          'HomeostatJournalSlow',
          'warning',
          |||
            histogram_quantile(0.99, sum by (instance, le) (
              rate(%s[10m])
            )) > 0.5
          ||| % series('journal_commit_duration_seconds_bucket'),
          'The journal of Homeostat is slow',
          'One commit of a hundred takes {{ $value | humanizeDuration }} on {{ $labels.instance }}. '
          + 'Every answer and every order waits for one.',
          '10m',
        ),
        // Homeostat calls people itself, by HomeostatEscalation in Alertmanager. This is the second
        // way, for the day on which it cannot reach Alertmanager and Prometheus can.
        alert(
          'HomeostatIncidentEscalated',
          'warning',
          counts(series('incidents_closed_total', 'outcome="escalated"'), '15m', ['instance', 'policy']),
          'Homeostat could not heal what policy {{ $labels.policy }} takes',
          '`homeostat incidents --policy {{ $labels.policy }}` says what it tried and why it '
          + 'stopped.',
        ),
      ],
    }],
  },
}
