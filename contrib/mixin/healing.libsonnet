// What healing comes to: how often, how fast, what holds it, and what is left to people.
local counted = (import 'counted.libsonnet').counted;
local p = import 'panels.libsonnet';

function(config) (
  local matchers = config.selector + ', instance=~"$instance", policy=~"$policy", team=~"$team"';
  local series(name, more='') =
    'homeostat_%s{%s%s}' % [name, matchers, if more == '' then '' else ', ' + more];
  local closed(outcome) = series('incidents_closed_total', 'outcome="%s"' % outcome);
  local in_range(metric, by=[]) = counted(metric, '$__range', by);
  local or_none(expr) = '(\n%s) or vector(0)\n' % expr;
  local quantile(q, metric, range, by) =
    'histogram_quantile(%s,\n%s)' % [q, counted(series(metric + '_bucket'), range, by + ['le'])];
  // Where nothing was healed there is no time, and none is shown.
  local time_to_heal(q) = quantile(q, 'time_to_heal_seconds', '$__range', []) + ' >= 0';

  local outcomes = {
    healed: 'green',
    recovered: 'blue',
    escalated: 'red',
    rejected: 'orange',
    cancelled: 'yellow',
    shadowed: 'text',
  };

  p.dashboard(
    'homeostat-healing',
    'Homeostat / Healing',
    'What was healed, how fast, what held it, and what was left to people.',
    config,
    'now-7d',
    [
      p.variable('instance', 'homeostat_build_info', config.selector),
      p.variable('policy', 'homeostat_incidents_closed_total', config.selector),
      p.variable('team', 'homeostat_incidents_closed_total', config.selector),
    ],
    [
      p.line(5, [
        p.stat(
          'Healed',
          'Incidents that a remedy ended, by the evidence that its policy asks for.',
          [p.now(or_none(in_range(closed('healed'))))],
          decimals=0,
          thresholds=[p.from(null, 'green')],
        ),
        p.stat(
          'Pages saved',
          'Healed without asking: less those runs to which a person had to say yes.',
          [p.now(|||
            clamp_min(
                (
              %s
                )
              -
                (
              %s
                ),
              0
            )
          ||| % [
            or_none(in_range(closed('healed'))),
            or_none(in_range(series('approvals_total', 'answer="approved"'))),
          ])],
          decimals=0,
          thresholds=[p.from(null, 'green')],
        ),
        p.stat(
          'Escalated',
          'Incidents that were left to people. `homeostat incidents` says why.',
          [p.now(or_none(in_range(closed('escalated'))))],
          decimals=0,
          thresholds=[p.from(null, 'green'), p.from(1, 'red')],
        ),
        p.stat(
          'Healed of what was tried',
          'Healed, as a part of what was healed or escalated.',
          [p.now('(\n%s) / (\n%s)\n' % [
            or_none(in_range(closed('healed'))),
            in_range(series('incidents_closed_total', 'outcome=~"healed|escalated"')),
          ])],
          unit='percentunit',
          decimals=0,
          thresholds=[p.from(null, 'red'), p.from(0.5, 'orange'), p.from(0.9, 'green')],
        ),
        p.stat(
          'Time to heal',
          'From the opening of an incident until it was proven healed: half of them, and nine of ten.',
          [p.now(time_to_heal('0.5'), 'half'), p.now(time_to_heal('0.9'), 'nine of ten')],
          unit='s',
        ),
        p.stat(
          'Open now',
          'Incidents that are open now, of all states.',
          [p.now('sum(%s) or vector(0)' % series('incidents_open'))],
          decimals=0,
        ),
      ]),

      p.line(9, [
        p.lines(
          'How incidents ended',
          'Incidents that closed in each step.',
          [p.range(counted(series('incidents_closed_total'), '$__interval', ['outcome']), '{{outcome}}')],
          stacked=true,
          bars=true,
          colours=outcomes,
        ) + { interval: '5m' },
        p.lines(
          'Open incidents, by state',
          'Those that wait are held, settle or ask for evidence: `homeostat incidents` says which.',
          [p.range('sum by (state) (%s)' % series('incidents_open'), '{{state}}')],
          stacked=true,
        ),
      ]),

      p.line(9, [
        p.heatmap(
          'Time to heal',
          'Each column shows how long those took that healed in it.',
          counted(series('time_to_heal_seconds_bucket'), '$__interval', ['le']),
          's',
        ) + { interval: '15m' },
        p.lines(
          'Time to heal, by policy',
          'Nine of ten of a day were healed within this time.',
          [p.range(quantile('0.9', 'time_to_heal_seconds', '1d', ['policy']), '{{policy}}')],
          unit='s',
        ),
      ]),

      p.line(1, [p.row('What stands in the way')]),
      p.line(9, [
        p.lines(
          'Holds, by guard',
          'Times that a guard held an order. An order that waits is judged again and counts again.',
          [p.range(counted(series('holds_total'), '$__interval', ['guard']), '{{guard}}')],
          stacked=true,
          bars=true,
        ) + { interval: '5m' },
        p.table(
          'Holds, by policy and guard',
          'Which guard holds which policy most.',
          p.now(in_range(series('holds_total'), ['policy', 'guard'])),
          ['policy', 'guard'],
          'holds',
        ),
        p.lines(
          'What people answered',
          'Approvals and rejections; `standing` are runs that had been approved ahead.',
          [p.range(counted(series('approvals_total'), '$__interval', ['answer']), '{{answer}}')],
          stacked=true,
          bars=true,
        ) + { interval: '15m' },
      ]),

      p.line(1, [p.row('What was left to people, and what remedies are worth')]),
      p.line(9, [
        p.table(
          'Escalated, by policy',
          'Begin here: what Homeostat could not heal.',
          p.now('(\n%s) > 0.5\n' % in_range(closed('escalated'), ['policy'])),
          ['policy'],
          'escalated',
        ),
        p.table(
          'Runs of remedies, by result',
          'How runs ended. `succeeded` means exit code 0; whether it healed is told by how incidents ended.',
          p.now(in_range(series('orders_total'), ['policy', 'remedy', 'result'])),
          ['policy', 'remedy', 'result'],
          'runs',
        ),
        p.table(
          'Remedies in shadow',
          '`needless`: the trouble ended without it in time, by itself or by somebody. `needed`: it did not.',
          p.now(in_range(series('shadow_total'), ['policy', 'remedy', 'result'])),
          ['policy', 'remedy', 'result'],
          'times',
        ),
      ]),
      p.line(8, [
        p.lines(
          'How long remedies run',
          'Nine of ten runs of an hour took at most this long.',
          [p.range(
            quantile('0.9', 'order_duration_seconds', '1h', ['policy', 'remedy']),
            '{{policy}} / {{remedy}}',
          )],
          unit='s',
        ),
        p.lines(
          'Healed of what was tried, by policy',
          'Of each day before. From the recording rules beside this dashboard.',
          [p.range(
            'job_policy:homeostat_incidents_closed:healed_ratio1d{%s, policy=~"$policy"}' % config.selector,
            '{{policy}}',
          )],
          unit='percentunit',
        ),
      ]),
    ],
  )
)
