// How the engine does: is it there, does it hear, can it write, can it act, can it tell.
local counted = (import 'counted.libsonnet').counted;
local p = import 'panels.libsonnet';

function(config) (
  local matchers = config.selector + ', instance=~"$instance"';
  local series(name, more='') =
    'homeostat_%s{%s%s}' % [name, matchers, if more == '' then '' else ', ' + more];
  local rate(name, by) =
    'sum by (%s) (rate(%s[$__rate_interval]))' % [std.join(', ', by), series(name)];
  local good(text) = { text: text, color: 'green' };
  local bad(text) = { text: text, color: 'red' };
  local plain(text) = { text: text, color: 'text' };
  local gauge(title, description, name, zero, one) = p.stat(
    title,
    description,
    [p.now(series(name), '{{instance}}')],
    mappings=p.words(zero, one),
    thresholds=[p.from(null, 'text')],
  );
  local commits(q) = |||
    histogram_quantile(%s, sum by (le) (
      rate(%s[$__rate_interval])
    ))
  ||| % [q, series('journal_commit_duration_seconds_bucket')];

  p.dashboard(
    'homeostat-engine',
    'Homeostat / Engine',
    'Whether the engine is there, hears, writes, acts and tells.',
    config,
    'now-6h',
    [p.variable('instance', 'homeostat_build_info', config.selector)],
    [
      p.line(4, [
        p.stat(
          'Reached',
          'Whether Prometheus reaches it.',
          [p.now('up{%s}' % matchers, '{{instance}}')],
          mappings=p.words(bad('down'), good('up')),
          thresholds=[p.from(null, 'text')],
        ),
        gauge('Decides', 'Whether this engine decides.', 'leader', plain('no'), good('yes')),
        gauge('Paused', 'Whether an operator paused it.', 'paused', good('no'), bad('paused')),
        gauge(
          'Configuration',
          'Whether it was last read without an error; else the one before is in force.',
          'config_last_reload_successful',
          bad('has errors'),
          good('in force'),
        ),
        gauge(
          'Web configuration',
          'Whether the file of --web.config.file, and those that it names, are in force as they are.',
          'web_config_last_reload_successful',
          bad('has errors'),
          good('in force'),
        ),
        gauge(
          'Journal',
          'While it cannot be written, senders get 503 and nothing is started.',
          'journal_writable',
          bad('not writable'),
          good('writable'),
        ),
        gauge(
          'Runner',
          'What owns the processes of actions, so that they outlive the engine.',
          'runner_up',
          bad('missing'),
          good('there'),
        ),
        p.stat(
          'Version',
          'What runs.',
          [p.now(series('build_info'), '{{version}} ({{revision}})')],
        ) + { options+: { textMode: 'name' } },
      ]),

      p.line(1, [p.row('What it hears')]),
      p.line(8, [
        p.lines(
          'Notifications, by result',
          '`busy` is a 503: senders try again. `partial`, `quarantined` and `too_large` lose alerts.',
          [p.range(rate('notifications_received_total', ['source', 'result']), '{{source}} {{result}}')],
          unit='reqps',
        ),
        p.lines(
          'Alerts taken',
          'Alerts in notifications, repeats included.',
          [p.range(rate('alerts_received_total', ['source', 'status']), '{{source}} {{status}}')],
          unit='ops',
        ),
        p.lines(
          'Alerts that fire now',
          'As Homeostat knows them.',
          [p.range('sum by (instance) (%s)' % series('alerts_active'), '{{instance}}')],
        ),
      ]),
      p.line(8, [
        p.lines(
          'Sources asked, by result',
          'What it answers is of use where it is `listed`.',
          [p.range(rate('reconcile_polls_total', ['source', 'result']), '{{source}} {{result}}')],
          unit='ops',
        ),
        p.lines(
          'Found without a notification',
          'Alerts that began or ended unheard: notifications were lost, or never sent.',
          [p.range(counted(series('reconcile_alerts_total'), '$__rate_interval', ['change']), '{{change}}')],
        ),
        p.lines(
          'Requests refused, by reason',
          'Who knocks and may not come in, and what is too much.',
          [p.range(rate('http_refusals_total', ['reason']), '{{reason}}')],
          unit='reqps',
        ),
      ]),

      p.line(1, [p.row('What it writes')]),
      p.line(8, [
        p.lines(
          'Time of a commit',
          'Every answer and every order waits for one.',
          [
            p.range(commits('0.5'), 'half'),
            p.range(commits('0.9'), 'nine of ten'),
            p.range(commits('0.99'), '99 of 100'),
          ],
          unit='s',
        ),
        p.lines(
          'Facts',
          'What is written down.',
          [p.range(rate('journal_facts_total', ['instance']), '{{instance}}')],
          unit='ops',
        ),
        p.lines(
          'Requests that wait for the engine',
          'At most 4096; then senders get 503.',
          [p.range('sum by (instance) (%s)' % series('intake_queue_length'), '{{instance}}')],
        ),
      ]),

      p.line(1, [p.row('What it does, and whom it tells')]),
      p.line(8, [
        p.lines(
          'Remedies that run now',
          'Bounded by `limits.concurrency`.',
          [p.range('sum by (instance) (%s)' % series('orders_running'), '{{instance}}')],
        ),
        p.lines(
          'Runners',
          'Started, could not be started, and lost. Orders of a lost one are unknown.',
          [
            p.range(
              counted(series('runner_starts_total'), '$__rate_interval', ['result']), '{{result}}'
            ),
            p.range(counted(series('runner_lost_total'), '$__rate_interval', ['instance']), 'lost'),
          ],
          bars=true,
        ),
        p.lines(
          'Notices, by result',
          'Tries to tell people. `failed` is tried again; `dropped` is over for a day.',
          [p.range(rate('notices_total', ['channel', 'result']), '{{channel}} {{result}}')],
          unit='ops',
        ),
      ]),
      p.line(6, [
        p.lines(
          'What is odd',
          'Jumps of the wall clock, commands in another name than their sender’s, approvals in force.',
          [
            p.range(counted(series('clock_jumps_total'), '$__rate_interval', ['instance']), 'clock jumps'),
            p.range(
              counted(series('claims_differing_total'), '$__rate_interval', ['instance']), 'other names'
            ),
            p.range('sum(%s)' % series('standing_approvals'), 'standing approvals'),
          ],
        ),
        p.stat(
          'Age of the configuration',
          'Since it was last read without an error.',
          [p.now(
            'time() - %s' % series('config_last_reload_success_timestamp_seconds'), '{{instance}}'
          )],
          unit='s',
        ),
      ]),
    ],
  )
)
