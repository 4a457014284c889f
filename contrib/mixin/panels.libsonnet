// Grafana's panels, as far as the dashboards here need them.
local datasource = { type: 'prometheus', uid: '${datasource}' };

local panel(type, title, description, targets, config={}, options={}) = {
  type: type,
  title: title,
  description: description,
  datasource: datasource,
  targets: [
    targets[i] { refId: std.char(std.codepoint('A') + i), datasource: datasource }
    for i in std.range(0, std.length(targets) - 1)
  ],
  fieldConfig: { defaults: config, overrides: [] },
  options: options,
};

local colour(name, value) = {
  matcher: { id: 'byName', options: name },
  properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: value } }],
};

{
  // What is asked over time.
  range(expr, legend):: { expr: expr, legendFormat: legend, range: true, instant: false },
  // What is asked once, for the time that is shown.
  now(expr, legend=''):: { expr: expr, legendFormat: legend, range: false, instant: true },

  stat(title, description, targets, unit='short', thresholds=null, mappings=[], decimals=null)::
    panel(
      'stat',
      title,
      description,
      targets,
      {
        unit: unit,
        [if decimals != null then 'decimals']: decimals,
        noValue: '–',
        mappings: mappings,
        color: { mode: if thresholds == null then 'fixed' else 'thresholds', fixedColor: 'text' },
        [if thresholds != null then 'thresholds']: { mode: 'absolute', steps: thresholds },
      },
      {
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        colorMode: 'value',
        graphMode: 'none',
        textMode: if std.length(targets) > 1 then 'value_and_name' else 'auto',
      },
    ),

  lines(title, description, targets, unit='short', stacked=false, bars=false, colours={})::
    panel(
      'timeseries',
      title,
      description,
      targets,
      {
        unit: unit,
        min: 0,
        custom: {
          drawStyle: if bars then 'bars' else 'line',
          fillOpacity: if bars then 80 else if stacked then 30 else 0,
          lineWidth: 1,
          showPoints: 'never',
          stacking: { mode: if stacked then 'normal' else 'none', group: 'A' },
        },
      },
      {
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
        tooltip: { mode: 'multi', sort: 'desc' },
      },
    ) + {
      fieldConfig+: { overrides: [colour(name, colours[name]) for name in std.objectFields(colours)] },
    },

  // One row for each set of labels; `columns` renames and orders them.
  table(title, description, target, columns, value, unit='short')::
    panel(
      'table',
      title,
      description,
      [target { format: 'table' }],
      { unit: unit, decimals: 0, noValue: '–' },
      { showHeader: true, sortBy: [{ displayName: value, desc: true }] },
    ) + {
      transformations: [{
        id: 'organize',
        options: {
          excludeByName: { Time: true },
          indexByName: { [columns[i]]: i for i in std.range(0, std.length(columns) - 1) }
                       + { Value: std.length(columns) },
          renameByName: { Value: value },
        },
      }],
    },

  heatmap(title, description, expr, unit)::
    panel(
      'heatmap',
      title,
      description,
      [{ expr: expr, legendFormat: '{{le}}', format: 'heatmap', range: true, instant: false }],
      {},
      {
        calculate: false,
        yAxis: { unit: unit },
        color: { mode: 'scheme', scheme: 'Greens', steps: 32 },
        cellGap: 1,
        legend: { show: false },
        tooltip: { mode: 'single', yHistogram: false },
      },
    ),

  row(title):: { type: 'row', title: title, collapsed: false, panels: [] },

  // A threshold: this colour from this value on.
  from(value, name):: { value: value, color: name },

  // Words in place of the numbers of a gauge that is 0 or 1.
  words(zero, one):: [{
    type: 'value',
    options: {
      '0': { text: zero.text, color: zero.color, index: 0 },
      '1': { text: one.text, color: one.color, index: 1 },
    },
  }],

  // Lays lines of panels out. Each line is its height and its panels, which share the width.
  laid_out(lines):: (
    local place(line, y) = (
      local width = std.floor(24 / std.length(line.panels));
      [
        line.panels[i] { gridPos: { x: i * width, y: y, w: width, h: line.height } }
        for i in std.range(0, std.length(line.panels) - 1)
      ]
    );
    local below = std.foldl(
      function(done, line) {
        y: done.y + line.height,
        panels: done.panels + place(line, done.y),
      },
      lines,
      { y: 0, panels: [] },
    );
    [below.panels[i] { id: i + 1 } for i in std.range(0, std.length(below.panels) - 1)]
  ),

  line(height, panels):: { height: height, panels: panels },

  // A variable whose values are those of a label.
  variable(name, metric, selector, label=name):: {
    name: name,
    label: name,
    type: 'query',
    datasource: datasource,
    query: { query: 'label_values(%s{%s}, %s)' % [metric, selector, label], refId: name },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { selected: true, text: ['All'], value: ['$__all'] },
    options: [],
  },

  dashboard(uid, title, description, config, from, variables, lines):: {
    uid: uid,
    title: title,
    description: description,
    tags: config.dashboardTags,
    editable: true,
    graphTooltip: 1,
    refresh: config.dashboardRefresh,
    schemaVersion: 38,
    version: 1,
    time: { from: from, to: 'now' },
    timezone: '',
    timepicker: {},
    annotations: { list: [] },
    links: [
      {
        type: 'dashboards',
        title: 'Homeostat',
        tags: config.dashboardTags,
        asDropdown: false,
        includeVars: true,
        keepTime: true,
        targetBlank: false,
        url: '',
        icon: 'external link',
        tooltip: '',
      },
    ] + if config.pageUrl == '' then [] else [{
      type: 'link',
      title: 'Page',
      url: config.pageUrl,
      icon: 'external link',
      targetBlank: true,
      tooltip: 'Incidents, and why',
      tags: [],
      asDropdown: false,
      includeVars: false,
      keepTime: false,
    }],
    templating: {
      list: [{
        name: 'datasource',
        label: 'Prometheus',
        type: 'datasource',
        query: 'prometheus',
        refresh: 1,
        multi: false,
        includeAll: false,
        options: [],
        current: {},
      }] + variables,
    },
    panels: $.laid_out(lines),
  },
}
