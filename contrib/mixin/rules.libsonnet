// What is worth keeping for longer than the series that it is made of: what healing came to.
local counted = (import 'counted.libsonnet').counted;

{
  local config = $._config,
  local closed = 'homeostat_incidents_closed_total{%s}' % config.selector,
  local by = ['job', 'policy'],

  prometheusRules+:: {
    groups+: [{
      name: 'homeostat.rules',
      interval: '5m',
      rules: [
        // Incidents that closed within a day.
        {
          record: 'job_policy_outcome:homeostat_incidents_closed:increase1d',
          expr: counted(closed, '1d', by + ['outcome']),
        },
        // Of those that it acted on or gave up, how many it healed.
        {
          record: 'job_policy:homeostat_incidents_closed:healed_ratio1d',
          expr: |||
            (
                sum by (job, policy) (%(day)s{%(selector)s, outcome="healed"})
              or
                0 * sum by (job, policy) (%(day)s{%(selector)s, outcome="escalated"})
            )
            /
            (sum by (job, policy) (%(day)s{%(selector)s, outcome=~"healed|escalated"}) > 0)
          ||| % {
            selector: config.selector,
            day: 'job_policy_outcome:homeostat_incidents_closed:increase1d',
          },
        },
        {
          record: 'job_policy:homeostat_time_to_heal_seconds:p90_1d',
          expr: 'histogram_quantile(0.9,\n%s)\n' % counted(
            'homeostat_time_to_heal_seconds_bucket{%s}' % config.selector, '1d', by + ['le']
          ),
        },
        {
          record: 'job_instance:homeostat_journal_commit_duration_seconds:p99_10m',
          expr: |||
            histogram_quantile(0.99, sum by (job, instance, le) (
              rate(homeostat_journal_commit_duration_seconds_bucket{%s}[10m])
            ))
          ||| % config.selector,
        },
      ],
    }],
  },
}
