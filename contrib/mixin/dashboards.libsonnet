// Two dashboards: what healing comes to, for those who own policies; and how the engine does, for
// those who run it.
{
  grafanaDashboards+:: {
    'healing.json': (import 'healing.libsonnet')($._config),
    'engine.json': (import 'engine.libsonnet')($._config),
  },
}
