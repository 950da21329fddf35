#!/usr/bin/env python3
"""Draws each board of this folder from a live Prometheus into docs/dashboards/*.png.

For the documents only; nothing of ringkv needs it. It puts the panels where Grafana puts them, with
their titles, units, thresholds and legends, and is no Grafana: what it shows are the board's own
expressions over real data.

    python3 -m venv /tmp/render && /tmp/render/bin/pip install matplotlib
    cargo --config .cargo/optimized.toml build --workspace --bins
    cargo xtask dashboards render --python /tmp/render/bin/python

or, with a Prometheus that is there already:

    dashboards/render.py http://localhost:9091 --seconds 1800
"""

import argparse
import io
import json
import math
import pathlib
import re
import textwrap
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch
from PIL import Image

HERE = pathlib.Path(__file__).parent
OUT = HERE.parent / "docs" / "dashboards"

CELL_WIDTH, CELL_HEIGHT, GAP, TOP = 60, 30, 6, 46  # pixels
PAGE, PANEL, EDGE, TEXT, FAINT = "#111217", "#181b1f", "#2c3036", "#d8d9da", "#8e9297"
COLORS = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c"}
LINES = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#a9d25a",
         "#56a64b", "#e0b400", "#c0d8ff", "#ffb357"]
VARIABLES = {"__rate_interval": "15s", "node": ".*", "gateway": ".*", "group": ".*", "job": ".*"}


class Prometheus:
    """The two ways of asking that the boards need."""

    def __init__(self, url, seconds):
        self.url, self.end = url.rstrip("/"), time.time()
        self.start, self.step = self.end - seconds, max(1, seconds // 200)

    def get(self, path, **parameters):
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.load(answer)["data"]

    def instant(self, expression):
        return self.get("query", query=fill(expression), time=self.end)["result"]

    def range(self, expression):
        data = self.get("query_range", query=fill(expression), start=self.start, end=self.end,
                        step=self.step)
        return data["result"]

    def exemplars(self, expression):
        data = self.get("query_exemplars", query=fill(expression), start=self.start, end=self.end)
        return [(float(e["timestamp"]), float(e["value"])) for s in data for e in s["exemplars"]]


def fill(expression):
    return re.sub(r"\$(\w+)", lambda match: VARIABLES[match[1]], expression)


def legend(template, labels):
    return re.sub(r"{{\s*(\w+)\s*}}", lambda match: labels.get(match[1], ""), template).strip()


def scaled(value, base, steps):
    for factor, suffix in steps:
        if abs(value) >= factor:
            return f"{trim(value / factor)}{base}{suffix}"
    return f"{trim(value)}{base}"


def trim(value):
    if value == 0:
        return "0"
    digits = max(0, 2 - int(math.floor(math.log10(abs(value)))))
    text = f"{value:.{min(digits, 4)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(value, unit):
    """A value as Grafana would write it."""
    if value is None or math.isnan(value):
        return "–"
    thousands = [(1e9, " G"), (1e6, " M"), (1e3, " K")]
    if unit == "s":
        for factor, suffix in [(60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")]:
            if abs(value) >= factor:
                return f"{trim(value / factor)} {suffix}"
        return f"{trim(value)} s"
    if unit in ("bytes", "Bps"):
        end = "B/s" if unit == "Bps" else "B"
        for factor, prefix in [(2**40, "Ti"), (2**30, "Gi"), (2**20, "Mi"), (2**10, "Ki")]:
            if abs(value) >= factor:
                return f"{trim(value / factor)} {prefix}{end}"
        return f"{trim(value)} {end}"
    if unit == "percentunit":
        return f"{trim(value * 100)} %"
    if unit == "bool_yes_no":
        return "Yes" if value else "No"
    if unit == "d":
        return f"{trim(value)} d"
    return scaled(value, {"reqps": " req/s", "cps": " /s"}.get(unit, ""), thousands)


def color_of(value, steps):
    """The colour of the last threshold that the value reaches."""
    color = steps[0]["color"]
    for step in steps[1:]:
        if value >= step["value"]:
            color = step["color"]
    return COLORS.get(color, color)


class Board:
    """One picture: places panels by the grid and draws each by its type."""

    def __init__(self, value, prometheus):
        self.value, self.prometheus = value, prometheus
        rows = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in value["panels"])
        self.width, self.height = 24 * CELL_WIDTH + 2 * GAP, rows * CELL_HEIGHT + TOP + GAP
        self.figure = plt.figure(figsize=(self.width / 100, self.height / 100), dpi=100,
                                 facecolor=PAGE)

    def text(self, x, y, words, **style):
        return self.figure.text(x / self.width, 1 - y / self.height, words,
                                **{"color": TEXT, "va": "center", **style})

    def axes(self, left, top, width, height):
        axes = self.figure.add_axes([left / self.width, 1 - (top + height) / self.height,
                                     width / self.width, height / self.height])
        axes.set_facecolor("none")
        axes.tick_params(colors=FAINT, labelsize=7, length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        return axes

    def draw(self, path):
        self.text(14, 16, self.value["title"], fontsize=13, weight="bold")
        self.text(14, 34, self.value["description"], fontsize=8, color=FAINT)
        for panel in self.value["panels"]:
            at = panel["gridPos"]
            box = (GAP + at["x"] * CELL_WIDTH, TOP + at["y"] * CELL_HEIGHT,
                   at["w"] * CELL_WIDTH, at["h"] * CELL_HEIGHT)
            if panel["type"] == "row":
                self.text(box[0] + 8, box[1] + CELL_HEIGHT / 2 + 1, "⌄ " + panel["title"],
                          fontsize=9.5, weight="bold")
            else:
                self.panel(panel, *box)
        whole = io.BytesIO()
        self.figure.savefig(whole, facecolor=PAGE, dpi=100)
        plt.close(self.figure)
        # 256 colours do for lines and text at half the bytes. Maximum coverage keeps the rare ones:
        # a threshold is a few pixels.
        palette = Image.open(whole).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
        palette.save(path, optimize=True)

    def panel(self, panel, left, top, width, height):
        x, y, w, h = left + GAP / 2, top + GAP / 2, width - GAP, height - GAP
        self.figure.add_artist(FancyBboxPatch(
            (x / self.width, 1 - (y + h) / self.height), w / self.width, h / self.height,
            boxstyle="square,pad=0", facecolor=PANEL, edgecolor=EDGE, linewidth=0.8, zorder=-1))
        self.text(x + 9, y + 13, panel["title"], fontsize=8.5, weight="bold")
        draw = {"stat": self.stat, "timeseries": self.lines, "bargauge": self.bars,
                "heatmap": self.heatmap, "table": self.table}[panel["type"]]
        draw(panel, x, y + 24, w, h - 24)

    def nothing(self, x, y, w, h):
        self.text(x + w / 2, y + h / 2 - 6, "No data", fontsize=9, color=FAINT, ha="center")

    def series(self, panel):
        found = []
        for target in panel["targets"]:
            for one in self.prometheus.range(target["expr"]):
                points = [(t, float(v)) for t, v in one["values"]]
                points = [(t, v) for t, v in points if math.isfinite(v)]
                if points:
                    found.append((legend(target["legendFormat"], one["metric"]), points))
        return found

    def stat(self, panel, x, y, w, h):
        found, defaults = self.series(panel), panel["fieldConfig"]["defaults"]
        if not found:
            return self.nothing(x, y, w, h)
        points = found[0][1]
        color = color_of(points[-1][1], defaults["thresholds"]["steps"])
        if defaults["unit"] != "bool_yes_no":
            axes = self.axes(x + 1, y + h * 0.5, w - 2, h * 0.5 - 2)
            times, values = zip(*points)
            axes.plot(times, values, color=color, linewidth=1)
            axes.fill_between(times, values, color=color, alpha=0.15)
            axes.set_axis_off()
            axes.set_xlim(self.prometheus.start, self.prometheus.end)
            axes.set_ylim(0, max(max(values) * 1.15, 1e-9))
        self.text(x + w / 2, y + h * 0.38, shown(points[-1][1], defaults["unit"]), fontsize=19,
                  color=color, ha="center", weight="bold")

    def lines(self, panel, x, y, w, h):
        found, defaults = self.series(panel), panel["fieldConfig"]["defaults"]
        if not found:
            return self.nothing(x, y, w, h)
        rows = self.legend(found, x, y + h, w)
        axes = self.axes(x + 62, y + 4, w - 74, h - 26 - 13 * rows)
        stacked = defaults["custom"]["stacking"]["mode"] == "normal"
        top = self.stack(axes, found) if stacked else self.plain(axes, found)
        steps, unit = defaults["thresholds"]["steps"][1:], defaults["unit"]
        if panel["targets"][0]["exemplar"]:
            top = max(top, self.points(axes, panel))
        if unit == "bool_yes_no":
            top = 1
        top = max(top, defaults["custom"].get("axisSoftMax", 0))
        for step in steps:
            if step["value"] <= top:
                axes.axhline(step["value"], color=COLORS[step["color"]], linestyle=(0, (4, 3)),
                             linewidth=0.9, alpha=0.8)
        axes.set_ylim(0, top * 1.1 if top > 0 else 1)
        axes.yaxis.set_major_formatter(lambda value, _: shown(value, unit))
        self.times(axes)
        if unit in ("bytes", "Bps") and top > 0:
            self.binary(axes, top)
        if unit == "bool_yes_no":
            axes.set_yticks([0, 1])

    def plain(self, axes, found):
        for index, (_, points) in enumerate(found):
            times, values = zip(*points)
            color = LINES[index % len(LINES)]
            axes.plot(times, values, color=color, linewidth=1.1)
            axes.fill_between(times, values, color=color, alpha=0.07)
        return max(value for _, points in found for _, value in points)

    def stack(self, axes, found):
        times = sorted({t for _, points in found for t, _ in points})
        floor = [0.0] * len(times)
        for index, (_, points) in enumerate(found):
            values, color = dict(points), LINES[index % len(LINES)]
            roof = [low + values.get(t, 0.0) for low, t in zip(floor, times)]
            axes.fill_between(times, floor, roof, color=color, alpha=0.35, linewidth=0)
            axes.plot(times, roof, color=color, linewidth=1)
            floor = roof
        return max(floor)

    def points(self, axes, panel):
        metric = re.search(r"\w+_bucket", panel["targets"][0]["expr"])
        found = self.prometheus.exemplars(metric[0]) if metric else []
        found = sorted(found, key=lambda point: -point[1])[:40]
        if not found:
            return 0
        times, values = zip(*found)
        axes.scatter(times, values, s=13, marker="D", color="#5794f2", linewidths=0, zorder=5)
        return max(values)

    def times(self, axes):
        start, end = self.prometheus.start, self.prometheus.end
        ticks = [start + (end - start) * part / 4 for part in (0.5, 1.5, 2.5, 3.5)]
        axes.set_xlim(start, end)
        axes.set_xticks(ticks, [time.strftime("%H:%M:%S", time.gmtime(t)) for t in ticks])
        axes.grid(color="#ffffff", alpha=0.07, linewidth=0.6)
        axes.locator_params(axis="y", nbins=5)

    def binary(self, axes, top):
        """Ticks at round numbers of KiB, MiB and so on."""
        unit = 2 ** (10 * int(math.log2(max(top, 1)) // 10))
        step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if top / unit / s < 6)
        axes.set_yticks([i * step * unit for i in range(6) if i * step * unit <= top * 1.1])

    def legend(self, found, x, bottom, w):
        """Names below the graph, as many as two lines hold; returns the number of lines."""
        places, column, row = [], 0, 0
        for index, (name, _) in enumerate(found):
            name = textwrap.shorten(name or "value", 34, placeholder="…")
            need = 24 + 5.6 * len(name)
            if column and column + need > w - 16:
                column, row = 0, row + 1
            if row > 1:
                break
            places.append((column, row, name, LINES[index % len(LINES)]))
            column += need
        rows = places[-1][1] + 1
        for column, row, name, color in places:
            y = bottom - 9 - 13 * (rows - 1 - row)
            self.text(x + 10 + column, y, "▬", fontsize=8, color=color)
            self.text(x + 23 + column, y, name, fontsize=7, color=FAINT)
        return rows

    def bars(self, panel, x, y, w, h):
        defaults = panel["fieldConfig"]["defaults"]
        found = []
        for target in panel["targets"]:
            for one in self.prometheus.instant(target["expr"]):
                found.append((legend(target["legendFormat"], one["metric"]),
                              float(one["value"][1])))
        if not found:
            return self.nothing(x, y, w, h)
        found.sort()
        most = max(value for _, value in found) or 1
        axes = self.axes(x + 90, y + 6, w - 175, h - 16)
        for index, (name, value) in enumerate(found):
            axes.barh(index, most, color="#ffffff", alpha=0.05, height=0.6)
            axes.barh(index, value, height=0.6,
                      color=color_of(value, defaults["thresholds"]["steps"]))
            axes.text(most * 1.03, index, shown(value, defaults["unit"]), color=TEXT, fontsize=9,
                      va="center")
        axes.set_yticks(range(len(found)), [name or "(none)" for name, _ in found])
        axes.set_xticks([])
        axes.set_xlim(0, most)
        axes.set_ylim(-0.6 if len(found) > 2 else -1, len(found) - (0.4 if len(found) > 2 else 0))
        axes.invert_yaxis()

    def heatmap(self, panel, x, y, w, h):
        target = panel["targets"][0]
        found = [(float(one["metric"]["le"]), dict(one["values"]))
                 for one in self.prometheus.range(target["expr"])]
        found.sort()
        if not found:
            return self.nothing(x, y, w, h)
        times = sorted({t for _, values in found for t in values})
        below, rows = [0.0] * len(times), []
        for _, values in found:
            now = [float(values.get(t, 0)) for t in times]
            # The root, so that a few slow requests are visible among many fast ones.
            rows.append([(a - b) ** 0.5 if a > b else math.nan for a, b in zip(now, below)])
            below = now
        axes = self.axes(x + 62, y + 4, w - 74, h - 30)
        step = self.prometheus.step
        edges = [t - step for t in times] + [times[-1]]
        axes.pcolormesh(edges, range(len(found) + 1), rows, cmap="inferno", shading="flat", vmin=-1)
        self.times(axes)
        axes.grid(False)
        unit = panel["options"]["yAxis"]["unit"]
        names = ["∞" if math.isinf(le) else shown(le, unit) for le, _ in found]
        axes.set_yticks([i + 1 for i in range(0, len(found), 2)], names[::2])

    def table(self, panel, x, y, w, h):
        defaults = panel["fieldConfig"]["defaults"]
        organize = panel["transformations"][1]["options"]["renameByName"]
        label, heading = next((k, v) for k, v in organize.items() if not k.startswith("Value"))
        units = {o["matcher"]["options"]: o["properties"][0]["value"]
                 for o in panel["fieldConfig"]["overrides"] if o["properties"][0]["id"] == "unit"}
        rows, columns = {}, [t["legendFormat"] for t in panel["targets"]]
        for target in panel["targets"]:
            for one in self.prometheus.instant(target["expr"]):
                row = rows.setdefault(one["metric"].get(label, ""), {})
                row[target["legendFormat"]] = float(one["value"][1])
        first = min(0.42, 260 / w) if len(columns) > 1 else 0.6
        spots = [x + 12] + [x + w * (first + (1 - first) * i / len(columns))
                            for i in range(len(columns))]
        for spot, name in zip(spots, [heading, *columns]):
            self.text(spot, y + 10, name, fontsize=8, weight="bold", color="#6e9fff")
        if not rows:
            return self.nothing(x, y, w, h)
        order = sorted(rows, key=lambda name: (len(name), name))
        for index, name in enumerate(order[: int((h - 30) // 21)]):
            line = y + 32 + 21 * index
            cells = [name] + [shown(rows[name].get(c), units.get(c, defaults["unit"]))
                              for c in columns]
            for spot, cell in zip(spots, cells):
                self.text(spot, line, cell, fontsize=8)
            self.figure.add_artist(plt.Line2D(
                [(x + 8) / self.width, (x + w - 8) / self.width],
                [1 - (line + 11) / self.height] * 2, color=EDGE, linewidth=0.6))


def main():
    arguments = argparse.ArgumentParser(description="Draw the boards into docs/dashboards.")
    arguments.add_argument("prometheus", help="its address, such as http://localhost:9091")
    arguments.add_argument("--seconds", type=int, default=1800, help="how far back to look")
    chosen = arguments.parse_args()
    plt.rcParams["font.family"] = ["DejaVu Sans"]
    OUT.mkdir(parents=True, exist_ok=True)
    prometheus = Prometheus(chosen.prometheus, chosen.seconds)
    for path in sorted(HERE.glob("*.json")):
        picture = OUT / f"{path.stem}.png"
        Board(json.loads(path.read_text()), prometheus).draw(picture)
        print(f"{picture.name}: {picture.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
