// What differs from place to place. Override it: `(import 'mixin.libsonnet') + { _config+:: { … } }`.
{
  _config+:: {
    // Which series are Homeostat's.
    selector: 'job="homeostat"',
    // Added to the labels of each alert, for routes that ask for more.
    alertLabels: {},
    // Where people find the page of an engine, for a link in the dashboards; empty for none.
    pageUrl: '',
    dashboardTags: ['homeostat'],
    dashboardRefresh: '1m',
  },
}
