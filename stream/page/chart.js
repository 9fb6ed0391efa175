// Two Bokeh figures over the same sources: the next hours with the windows, and 14 days that lead up to them.
// Sources hold what the API answers, number by number; a gap is NaN there, and the line breaks.

import { $ } from '/page/dom.js';
import { millis, pct } from '/page/format.js';

const { Plotting: plotting } = Bokeh;
const HOUR_MS = 3_600_000;
const BEFORE_MS = 6 * HOUR_MS;

const source = (name, columns) =>
  new Bokeh.ColumnDataSource({ name, data: Object.fromEntries(columns.map((column) => [column, []])) });

const sources = {
  history: source('history', ['x', 'start', 'mean', 'count', 'lone']),
  forecast: source('forecast', ['x', 'start', 'mean', 'p50', 'p90']),
  windows: source('windows', ['left', 'right', 'top', 'alpha', 'expected', 'p90']),
};

// What repaint() colours: [model, property, the name of its variable] each.
const painted = [];
let past;
let next;
const nowLines = [];
let windowColour = '--window';

export async function startCharts() {
  past = figure(160);
  next = figure(210);
  for (const plot of [next, past]) {
    addWindows(plot);
    addLines(plot);
    addNow(plot);
  }
  repaint();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
  const both = new Bokeh.Document(); // one document: a source belongs to no more
  both.add_root(next);
  both.add_root(past);
  Bokeh.documents.push(both);
  await Bokeh.embed.add_document_standalone(both, document.body, [$('plot-next'), $('plot-past')]);
}

export function drawHistory(history) {
  const step = history.step_min * 60_000;
  const begin = millis(history.start);
  const start = history.mean_pct.map((_, i) => begin + i * step);
  const mean = history.mean_pct.map((value) => value ?? NaN);
  const isGap = (i) => Number.isNaN(mean[i] ?? NaN);
  const lone = mean.map((value, i) => (isGap(i - 1) && isGap(i + 1) ? value : NaN));
  sources.history.data = { x: start.map((at) => at + step / 2), start, mean, count: history.count, lone };
  frame();
  const known = mean.filter((value) => !Number.isNaN(value));
  const total = known.reduce((sum, value) => sum + value, 0);
  $('plot-past').setAttribute('aria-label', known.length === 0
    ? 'Load of the last 14 days: no data'
    : `Load of the last 14 days: mean ${pct(total / known.length)}, highest ${pct(Math.max(...known))}, `
      + `${mean.length - known.length} hours without data`);
}

export function drawForecast(forecast) {
  const step = forecast.step_min * 60_000;
  const start = forecast.p50_pct.map((_, i) => millis(forecast.start) + i * step);
  sources.forecast.data = {
    x: start.map((at) => at + step / 2), start, mean: forecast.mean_pct, p50: forecast.p50_pct, p90: forecast.p90_pct,
  };
  frame();
  $('plot-next').setAttribute('aria-label', start.length === 0
    ? 'No forecast for this VM'
    : `Forecast of the next hours: p50 from ${pct(Math.min(...forecast.p50_pct))} to ${pct(Math.max(...forecast.p50_pct))}`);
}

export function drawWindows(windows, isFlagged, now) {
  const at = millis(now);
  sources.windows.data = {
    left: windows.map((window) => millis(window.start)),
    right: windows.map((window) => millis(window.end)),
    top: windows.map(() => 1000),
    alpha: windows.map((_, i) => (i === 0 ? 0.85 : 0.35)),
    expected: windows.map((window) => window.expected_load_pct),
    p90: windows.map((window) => window.p90_load_pct),
  };
  for (const line of nowLines) line.location = at;
  windowColour = isFlagged ? '--warn' : '--window';
  repaint();
  frame();
}

// Ranges: all that the API gave, and for the next hours also the last six, so that the forecast is seen to go on.
function frame() {
  const { history, forecast } = { history: sources.history.data, forecast: sources.forecast.data };
  const now = nowLines[0].location;
  const begin = history.start.length === 0 ? now - 14 * 24 * HOUR_MS : history.start[0];
  const end = forecast.start.length === 0 ? now + 24 * HOUR_MS : forecast.start.at(-1) + HOUR_MS;
  past.x_range.setv({ start: begin, end });
  next.x_range.setv({ start: now - BEFORE_MS, end });
  const recent = history.mean.filter((_, i) => history.start[i] >= now - BEFORE_MS);
  past.y_range.setv({ start: 0, end: top([...history.mean, ...forecast.p90]) });
  next.y_range.setv({ start: 0, end: top([...recent, ...forecast.p90]) });
}

const top = (values) => Math.max(5, ...values.filter((value) => !Number.isNaN(value))) * 1.08;

function figure(height) {
  const plot = plotting.figure({
    height, sizing_mode: 'stretch_width', toolbar_location: null, tools: [], x_axis_type: 'datetime',
    x_range: new Bokeh.Range1d({ start: 0, end: 1 }), y_range: new Bokeh.Range1d({ start: 0, end: 100 }),
    outline_line_color: null, background_fill_alpha: 0, border_fill_alpha: 0, min_border_right: 12, min_border_top: 6,
  });
  const axes = [...plot.xaxes, ...plot.yaxes];
  for (const axis of axes) {
    axis.setv({
      major_tick_line_color: null, minor_tick_line_color: null, axis_label_text_font_style: 'normal',
      major_label_text_font: getComputedStyle(document.body).fontFamily, major_label_text_font_size: '11.5px',
    });
    paint(axis, 'axis_line_color', '--line');
    paint(axis, 'major_label_text_color', '--muted');
  }
  plot.yaxes[0].formatter = new Bokeh.PrintfTickFormatter({ format: '%g %%' });
  plot.yaxes[0].ticker.desired_num_ticks = 4;
  plot.xaxes[0].formatter = new Bokeh.DatetimeTickFormatter({ hours: '%H:%M', days: '%a %d', months: '%d %b', hourmin: '%H:%M' });
  for (const grid of [...plot.xgrids, ...plot.ygrids]) paint(grid, 'grid_line_color', '--line');
  return plot;
}

function addLines(plot) {
  const band = plot.varea({ x: { field: 'x' }, y1: { field: 'p50' }, y2: { field: 'p90' }, source: sources.forecast, fill_alpha: 0.2 });
  const past14 = plot.line({ x: { field: 'x' }, y: { field: 'mean' }, source: sources.history, line_width: 1.4 });
  const lone = plot.scatter({ x: { field: 'x' }, y: { field: 'lone' }, source: sources.history, size: 3, line_color: null });
  const p50 = plot.line({ x: { field: 'x' }, y: { field: 'p50' }, source: sources.forecast, line_width: 2 });
  paint(band.glyph, 'fill_color', '--band');
  paint(past14.glyph, 'line_color', '--history');
  paint(lone.glyph, 'fill_color', '--history');
  paint(p50.glyph, 'line_color', '--p50');
  plot.add_tools(
    hover([past14], [['UTC', '@start{%a %d %b %H:%M}'], ['mean', '@mean{0.0} %'], ['samples', '@count']]),
    hover([p50], [['UTC', '@start{%a %d %b %H:%M}'], ['p50', '@p50{0.0} %'], ['P90', '@p90{0.0} %'], ['mean', '@mean{0.0} %']]),
  );
}

const hover = (renderers, tooltips) =>
  new Bokeh.HoverTool({ renderers, tooltips, formatters: { '@start': 'datetime' }, mode: 'vline', line_policy: 'nearest' });

function addWindows(plot) {
  const bands = plot.quad({
    left: { field: 'left' }, right: { field: 'right' }, top: { field: 'top' }, bottom: 0, source: sources.windows,
    fill_alpha: { field: 'alpha' }, line_color: null,
  });
  paint(bands.glyph, 'fill_color', () => windowColour);
}

function addNow(plot) {
  const line = new Bokeh.Span({ location: 0, dimension: 'height', line_width: 1.5 });
  paint(line, 'line_color', '--now');
  plot.add_layout(line);
  nowLines.push(line);
}

function paint(model, property, variable) {
  painted.push([model, property, typeof variable === 'string' ? () => variable : variable]);
}

function repaint() {
  const colours = getComputedStyle(document.documentElement);
  for (const [model, property, variable] of painted) {
    model.setv({ [property]: colours.getPropertyValue(variable()).trim() });
  }
}
