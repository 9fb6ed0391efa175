"""A scored fleet as one HTML page that needs nothing else: the table, and plots that answer to the mouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from bokeh.embed import components
from bokeh.model import Model
from bokeh.resources import Resources

from batch.by_kind import kind_rows
from batch.report_plots import bounds_plot, confidence_plot, day_plots, gain_plot, kinds_plot
from batch.scoring import HOUR, LENGTHS, OURS, Scored
from batch.shown import Shown
from batch.summary import Row, facts_of, number, with_bar

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #17212b; background: #fff; max-width: 1180px; margin: 2em auto;
       padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin: 2em 0 .2em } p { color: #586674; margin: .2em 0 .8em }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9em }
th, td { padding: .3em .8em; text-align: right; border-bottom: 1px solid #dfe5ea; white-space: nowrap }
th:first-child, td:first-child { text-align: left } .ours { font-weight: 600; color: #0072B2 }
.pair { display: flex; flex-wrap: wrap; gap: 1em } .wide { overflow-x: auto }
"""


def report(name: str, scored: Scored, rows: Sequence[Row], days: Shown) -> bytes:
    """The page, UTF-8. `name`: the trace's."""
    plots: dict[str, Model] = {
        "kinds": kinds_plot(kind_rows(scored, rows)),
        "bounds": bounds_plot(scored.bounds),
        "confidence": confidence_plot(scored.confidence),
        "gain": gain_plot(rows),
        "days": day_plots(days),
    }
    script, places = components(plots)
    facts = facts_of(scored)
    lines = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(name)} scored</title>',
        f"<style>{STYLE}</style>",
        Resources(mode="inline", components=["bokeh"]).render(),
        "</head><body>",
        f"<h1>Choice of windows on {escape(name)}</h1>",
        f"<p>{facts['vms']:,} VMs ({facts['clusters']:,} apart from near-clones), {facts['origins']} origins from "
        f"{facts['split']} on. Regret: 0 is the quietest window, 1 the day's mean; in brackets 95 % of the "
        "resamples over clusters of near-clones.</p>",
        *_table(rows),
        *_sections(places),
        script,
        "</body></html>",
    ]
    return "\n".join(lines).encode()


def _sections(places: Mapping[str, str]) -> list[str]:
    return [
        "<h2>Regret by kind of VM</h2><p>Further left is better.</p>",
        places["kinds"],
        "<h2>Reliability</h2><p>Dots belong on the dashed lines: hours under the P50 and the P90, and windows that "
        "kept the confidence said of them.</p>",
        f'<div class="pair">{places["bounds"]}{places["confidence"]}</div>',
        "<h2>Gain against cost</h2><p>Lower and further left is better.</p>",
        places["gain"],
        "<h2>Best and worst VMs</h2><p>The chosen hour (green) belongs where the quietest one (orange) lies. Best VMs "
        "on the left, worst on the right.</p>",
        places["days"],
    ]


def _table(rows: Sequence[Row]) -> list[str]:
    heads = ["method", *(title for length in LENGTHS for title in (f"{length} macro", "pooled"))]
    heads += ["MAE, points", "CPU s per 10k VMs"]
    lines = ['<div class="wide"><table><tr>' + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"]
    for row in sorted(rows, key=lambda row: -row.regrets[HOUR].macro):
        cells = [row.method]
        for length in LENGTHS:
            cells += [with_bar(row, length), number(row.regrets[length].pooled, 3)]
        cells += [number(row.mae_pct, 2), number(row.cost_s, 3)]
        mark = ' class="ours"' if row.method == OURS else ""
        lines.append(f"<tr{mark}>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return [*lines, "</table></div>"]
