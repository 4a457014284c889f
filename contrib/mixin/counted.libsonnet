// How often a counter counted in a time, its first count included.
//
// A counter of Homeostat appears when it first counts, with the value 1: `increase` needs two
// samples and does not see it, and what happens once a week would never be seen. So what a series
// began with is added, where it was not there before the time.
{
  // `metric` with its matchers; `by` a list of labels; `range` a duration.
  counted(metric, range, by): (
    local sum = if by == [] then 'sum' else 'sum by (%s)' % std.join(', ', by);
    |||
      %(sum)s (
          increase(%(metric)s[%(range)s])
        +
          (
              (min_over_time(%(metric)s[%(range)s]) unless last_over_time(%(metric)s[15m] offset %(range)s))
            or
              0 * increase(%(metric)s[%(range)s])
          )
      )
    ||| % { sum: sum, metric: metric, range: range }
  ),

  // True while a counter that may just have appeared counted within a time. One that appears with 0, as
  // those without labels do, has not counted.
  counts(metric, range, by): |||
    sum by (%(by)s) (
        increase(%(metric)s[%(range)s]) > 0
      or
        (
            %(metric)s > 0
          unless
            %(metric)s offset %(range)s
        )
    )
  ||| % { metric: metric, range: range, by: std.join(', ', by) },
}
