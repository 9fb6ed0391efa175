// One VM: who it is, its windows in its own zone and in UTC, and why.

import { get, vmPath } from '/page/api.js';
import { drawForecast, drawHistory, drawWindows } from '/page/chart.js';
import { $, el, say, trouble } from '/page/dom.js';
import { age, clockTime, dayTime, knownZone, pct, ratio, share, whole, words } from '/page/format.js';
import { renderYesterday } from '/page/judged.js';

const K = 4;
const BREAKS = { deadline: 'the deadline', blackout: 'blackout hours', max_load: 'the load limit', opt_out: 'the opt-out' };

// The VM that is shown, and the forecast and data that its charts were drawn from.
let shown = { id: null, drawn: '', missing: '' };

export async function showVm(id, fleet) {
  shown = { id, drawn: '', missing: '' };
  await refreshVm(fleet);
}

export async function refreshVm(fleet) {
  const mine = shown;
  const version = `${fleet.made_at} ${fleet.data_through} ${fleet.judged}`;
  if (mine.id === null || mine.missing === version) return; // one that nobody knows is looked for when there is news
  const isNew = version !== mine.drawn;
  try {
    const vm = await get(vmPath(mine.id));
    const [answer, forecast, history, yesterday] = await Promise.all([
      get(vmPath(mine.id, '/window'), { k: String(K) }),
      isNew ? get(vmPath(mine.id, '/forecast')) : null,
      isNew ? get(vmPath(mine.id, '/history')) : null,
      isNew ? get(vmPath(mine.id, '/yesterday')) : null,
    ]);
    if (mine !== shown) return; // another VM was chosen meanwhile
    trouble('vm-trouble', null);
    $('vm-body').hidden = false;
    if (isNew) {
      drawHistory(history);
      drawForecast(forecast);
      renderYesterday(yesterday, knownZone(vm.policy.timezone));
      mine.drawn = version;
    }
    drawWindows(windowsOf(answer), answer.flagged, fleet.now);
    renderVm(vm, answer);
  } catch (error) {
    if (mine !== shown) return;
    if (error.status === 404) {
      mine.missing = version;
      $('vm-body').hidden = true;
      renderHead(mine.id, []);
    }
    trouble('vm-trouble', error);
  }
}

function renderVm(vm, answer) {
  const zone = knownZone(vm.policy.timezone);
  const refused = answer.rung === 'refused';
  const badge = refused ? answer.reason : words(answer.rung);
  renderHead(vm.vm_id, [
    el('span', { class: refused ? 'badge bad' : 'badge' }, badge),
    el('span', {}, vm.cluster === '' ? vm.host : `${vm.host}, ${vm.cluster}`),
    ...(vm.vcpus === null ? [] : [el('span', {}, `${vm.vcpus} vCPU`)]),
    ...(vm.memory_mb === null ? [] : [el('span', {}, `${whole(Math.round(vm.memory_mb / 1024))} GiB`)]),
    el('span', {}, zone),
    ...(vm.policy.blackout.length === 0 ? [] : [el('span', {}, `not in ${vm.policy.blackout.join(', ')}`)]),
    ...(vm.policy.opt_out ? [el('span', { class: 'badge bad' }, 'opted out')] : []),
  ]);
  renderBest(answer, zone);
  $('windows').replaceChildren(...rows(answer, zone));
  say('vm-why', why(answer));
}

function renderHead(id, facts) {
  say('vm-title', id);
  $('vm-facts').replaceChildren(...facts);
}

function renderBest(answer, zone) {
  const box = $('best');
  for (const id of ['windows-table', 'figure-next']) $(id).hidden = answer.best === null;
  box.className = answer.best === null ? 'best refused' : answer.flagged ? 'best flagged' : 'best';
  if (answer.best === null) {
    box.replaceChildren(el('h3', {}, 'No window'), el('p', { class: 'when' }, answer.reason ?? 'none'),
      el('p', { class: 'utc' }, answer.detail));
    return;
  }
  const { best } = answer;
  box.replaceChildren(
    el('h3', { class: answer.flagged ? 'warn' : '' },
      answer.flagged ? `Nothing fits: the least bad of ${best.minutes} minutes` : `Best window of ${best.minutes} minutes`),
    el('p', { class: 'when' }, `${dayTime(best.start, zone)}–${clockTime(best.end, zone)}`),
    el('p', { class: 'utc' }, zone === 'UTC' ? 'UTC' : `${zone} · ${dayTime(best.start)}–${clockTime(best.end)} UTC`),
    el('dl', {}, ...fact('Expected', pct(best.expected_load_pct)), ...fact('P90', pct(best.p90_load_pct)),
      ...fact('Confidence', share(best.confidence, 0)), ...fact('Regret expected', ratio(best.regret_expected))),
  );
}

const fact = (name, value) => [el('div', {}, el('dt', {}, name), el('dd', {}, value))];

function rows(answer, zone) {
  const named = [['Now', answer.now], ['Earliest that fits', answer.earliest_acceptable]];
  const others = answer.alternatives.filter((window) => window.start !== answer.best?.start);
  others.forEach((window, i) => named.push([`Alternative ${i + 1}`, window]));
  return named.map(([name, window]) => (window === null ? emptyRow(name) : row(name, window, zone)));
}

function row(name, window, zone) {
  const fits = window.acceptable;
  return el('tr', {}, el('th', { scope: 'row' }, name),
    el('td', {}, dayTime(window.start, zone), ...(zone === 'UTC' ? [' UTC'] : [' ', el('small', {}, `${clockTime(window.start)} UTC`)])),
    el('td', {}, pct(window.expected_load_pct)), el('td', { 'data-unit': 'P90' }, pct(window.p90_load_pct)),
    el('td', { 'data-unit': 'sure' }, share(window.confidence, 0)),
    el('td', { class: fits ? 'ok' : 'warn' }, fits ? 'acceptable' : `breaks ${window.violates.map((name) => BREAKS[name] ?? words(name)).join(', ')}`));
}

const emptyRow = (name) =>
  el('tr', {}, el('th', { scope: 'row' }, name), el('td', { colspan: '5' }, 'none before the deadline'));

function why(answer) {
  const parts = [answer.reason === null ? answer.detail : `${answer.reason}: ${answer.detail}`];
  if (answer.model !== null) parts.push(`Model ${answer.model}, made ${dayTime(answer.made_at)} UTC.`);
  if (answer.data_through !== null) parts.push(`Data through ${dayTime(answer.data_through)} UTC, ${age(answer.age_min)}.`);
  if (answer.data_coverage_7d !== null) parts.push(`Coverage of 7 days ${share(answer.data_coverage_7d)}.`);
  return parts.join(' ');
}

function windowsOf(answer) {
  const all = answer.best === null ? [] : [answer.best, ...answer.alternatives];
  return all.filter((window, i) => all.findIndex((other) => other.start === window.start) === i);
}
