#!/usr/bin/env python3
"""Draws the panels of deploy/grafana/nss-iam.json in SVG. `make metrics-picture` pipes a recording through it (metrics-run), and names
the folder with Debian's promtool and prometheus, which answers the dashboard's own queries."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from html import escape

UNIT, ROW, GAP = 42, 30, 8  # pixels of a column and a row of the dashboard's grid, and between panels
COLORS = ["#3274d9", "#e0752d", "#56a64b", "#b877d9", "#e02f44", "#8a6d00", "#00818a", "#777777"]
STEP = 5


def recorded(lines) -> tuple[str, int, int]:
    """OpenMetrics, and when the recording begins and ends."""
    families: dict[str, list[str]] = {}
    times = []
    for line in lines:
        entry = json.loads(line)
        times.append(entry["at"])
        for sample in entry["metrics"].splitlines():
            if sample.startswith("#"):
                continue
            series, value = sample.rsplit(" ", 1)
            name, _, labels = series.partition("{")
            labels = f'instance="jump-1",{labels}' if labels else 'instance="jump-1"}'
            families.setdefault(name, []).append(f"{name}{{{labels} {value} {entry['at']}")
    text = ""
    for name, samples in families.items():
        kind, family = ("counter", name.removesuffix("_total")) if name.endswith("_total") else ("gauge", name)
        text += f"# TYPE {family} {kind}\n" + "\n".join(samples) + "\n"
    return text + "# EOF\n", times[0], times[-1]


def answers(programs: pathlib.Path, text: str, queries: list[str], start: int, end: int) -> list[list[dict]]:
    """The series that Prometheus returns for each query."""
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder)
        (data / "run.om").write_text(text)
        (data / "none.yml").write_text("")
        convert = ["tsdb", "create-blocks-from", "openmetrics", data / "run.om", data / "tsdb"]
        subprocess.run([programs / "promtool", *convert], check=True, stdout=subprocess.DEVNULL)
        address = "127.0.0.1:19095"
        server = subprocess.Popen(
            [programs / "prometheus", f"--config.file={data / 'none.yml'}", f"--storage.tsdb.path={data / 'tsdb'}",
             f"--web.listen-address={address}", "--query.lookback-delta=15s", "--log.level=error"])
        try:
            for _ in range(100):
                try:
                    urllib.request.urlopen(f"http://{address}/-/ready")
                    break
                except OSError:
                    time.sleep(0.2)
            results = []
            for query in queries:
                words = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": STEP})
                answer = urllib.request.urlopen(f"http://{address}/api/v1/query_range?{words}")
                results.append(json.load(answer)["data"]["result"])
            return results
        finally:
            server.terminate()
            server.wait()


def shown(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min"
    if unit == "percentunit":
        return f"{100 * value:.0f}%"
    return f"{value:.0f}" if value == int(value) or value >= 100 else f"{value:.3g}"


def text(x: float, y: float, words: str, kind: str = "soft", more: str = "") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}"{more}>{escape(words)}</text>'


def stat(panel: dict, lines: list[tuple[str, list]], box: tuple) -> str:
    x, y, width, height = box
    values = [float(points[-1][1]) for _, points in lines if points]
    unit = panel["fieldConfig"]["defaults"]["unit"]
    middle = ' text-anchor="middle"'
    return text(x + width / 2, y + height * 0.7, shown(values[0], unit) if values else "no data", "big", middle)


def graph(panel: dict, lines: list[tuple[str, list]], box: tuple, span: tuple[int, int]) -> str:
    x, y, width, height = box
    unit = panel["fieldConfig"]["defaults"]["unit"]
    left, top, right, bottom = x + 58, y + 34, x + width - 12, y + height - 58
    highest = max((float(value) for _, points in lines for _, value in points), default=0) or 1
    out = ""
    for part in range(3):
        level = bottom - (bottom - top) * part / 2
        out += f'<path class="grid" d="M{left} {level:.0f}H{right}"/>'
        out += text(left - 6, level + 4, shown(highest * part / 2, unit), "soft", ' text-anchor="end"')
    minutes = (span[1] - span[0]) // 60
    for minute in range(0, minutes + 1, 2):
        at = left + (right - left) * minute * 60 / (span[1] - span[0])
        out += text(at, bottom + 16, f"{minute} min", "soft", ' text-anchor="middle"')
    if not lines:
        out += text((left + right) / 2, (top + bottom) / 2, "no data", "soft", ' text-anchor="middle"')
    legend, row = left, bottom + 31
    for number, (name, points) in enumerate(lines):
        color = COLORS[number % len(COLORS)]
        path, before = "", None
        for at, value in points:
            to = (left + (right - left) * (at - span[0]) / (span[1] - span[0]),
                  bottom - (bottom - top) * float(value) / highest)
            path += f'{"L" if before is not None and at - before <= 2 * STEP else "M"}{to[0]:.1f} {to[1]:.1f}'
            before = at
        out += f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.6"/>'
        if legend + 14 + 6 * len(name) > right:
            legend, row = left, row + 14
        out += f'<rect x="{legend}" y="{row - 6}" width="10" height="4" fill="{color}"/>' + text(legend + 14, row, name)
        legend += 26 + 6 * len(name)
    return out


def main() -> None:
    dashboard = json.loads((pathlib.Path(__file__).parent.parent / "deploy/grafana/nss-iam.json").read_text())
    recording, start, end = recorded(sys.stdin)
    targets = [(panel, target) for panel in dashboard["panels"] for target in panel["targets"]]
    # The recording is of some minutes only.
    queries = [target["expr"].replace("[30m])) / 30", "[1m]))").replace("$instance", ".*") for _, target in targets]
    results = answers(pathlib.Path(sys.argv[1]), recording, queries, start, end)
    by_panel: dict[int, list] = {}
    for (panel, target), result in zip(targets, results):
        for series in result:
            name = re.sub(r"{{(\w+)}}", lambda label: series["metric"].get(label[1], ""), target["legendFormat"])
            by_panel.setdefault(panel["id"], []).append((name, series["values"]))
    body, bottom = "", 0
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        x, y, width, height = place["x"] * UNIT, place["y"] * ROW, place["w"] * UNIT - GAP, place["h"] * ROW - GAP
        bottom = max(bottom, y + height)
        body += f'<rect class="panel" x="{x}" y="{y}" width="{width}" height="{height}" rx="3"/>'
        body += text(x + 10, y + 20, panel["title"], "title")
        lines = by_panel.get(panel["id"], [])
        box = (x, y, width, height)
        body += stat(panel, lines, box) if panel["type"] == "stat" else graph(panel, lines, box, (start, end))
        body += "\n"
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -8 {24 * UNIT + 8} {bottom + 16}" '
          'font-family="sans-serif" font-size="11">\n<style>.panel{fill:#fff;stroke:#d8d9da}.grid{stroke:#e4e5e6}'
          '.soft{fill:#52545c}.title{font-size:13px;font-weight:600;fill:#24292e}.big{font-size:30px;fill:#24292e}</style>\n'
          f'<rect x="-8" y="-8" width="100%" height="100%" fill="#f4f5f5"/>\n{body}</svg>')


main()
