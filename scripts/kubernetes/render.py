"""Renders a chart without helm's program: render.py CHART INTO [VALUES]. One file a template."""

import os
import sys

from helm_python import Chart
from helm_python.chart import values_from_yaml

chart_directory, into = sys.argv[1:3]
values = {}
if len(sys.argv) > 3:
    with open(sys.argv[3], encoding="utf-8") as file:
        values = values_from_yaml(file.read())
with Chart.load(chart_directory) as chart:
    rendered = chart.render(values=values, name="homeostat", namespace="monitoring")
for template, text in rendered.items():
    if text.strip():
        with open(os.path.join(into, os.path.basename(template)), "w", encoding="utf-8") as file:
            file.write(text)
