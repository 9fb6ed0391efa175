// The fleet in one look: freshness, coverage, who answers and why, and its next windows by hour.

import { $, el, say } from '/page/dom.js';
import { age, clockTime, dayTime, fullTime, pct, share, whole, words } from '/page/format.js';

const CHAMPION = 'champion';
const REFUSED = 'refused';

export function renderFleet(fleet) {
  say('now', fullTime(fleet.now));
  say('speed', fleet.speed === null ? '· follows the data' : fleet.speed === 1 ? '' : `· ${fleet.speed}× real time`);
  renderStatus(fleet);
  say('data-through', fleet.data_through === null ? 'no data' : `${clockTime(fleet.data_through)} UTC`);
  say('data-age', fleet.data_through === null ? '' : `${age(fleet.age_min)}${fleet.stale ? ', too old to answer from' : ''}`);
  $('data-age').classList.toggle('alarm', fleet.stale);
  say('coverage', share(fleet.data_coverage_7d));
  say('coverage-note', 'of expected samples');
  const refused = of(fleet.rungs, REFUSED);
  say('answered', whole(fleet.vms - refused));
  say('answered-note', `of ${whole(fleet.vms)} VMs`);
  say('made-at', fleet.made_at === null ? 'none yet' : `${clockTime(fleet.made_at)} UTC`);
  say('model', fleet.model === null ? '' : fleet.model);
  renderRungs(fleet);
  renderReasons(fleet);
}

export function renderLost() {
  setStatus('lost', 'No answer from the server');
}

function renderStatus(fleet) {
  if (fleet.data_through === null) setStatus('stale', 'No data yet');
  else if (fleet.stale) setStatus('stale', `STALE: the newest data are from ${dayTime(fleet.data_through)} UTC`);
  else setStatus('live', 'Live');
}

function setStatus(state, text) {
  $('status').dataset.state = state;
  say('status', text);
}

const of = (rungs, name) => rungs.find((entry) => entry.rung === name)?.vms ?? 0;

function renderRungs(fleet) {
  $('rung-bar').replaceChildren(
    ...fleet.rungs.filter((entry) => entry.vms > 0).map((entry) => {
      const part = el('i', { 'data-rung': entry.rung });
      part.style.flexGrow = String(entry.vms);
      return part;
    }),
  );
  $('rungs').replaceChildren(
    ...fleet.rungs.map((entry) =>
      el('li', {}, el('i', { 'data-rung': entry.rung }), el('b', {}, words(entry.rung)),
        el('span', {}, whole(entry.vms)),
        el('span', { class: 'share' }, share(fleet.vms === 0 ? null : entry.vms / fleet.vms, 1)),
        el('span', { class: 'note' }, entry.meaning))),
  );
}

function renderReasons(fleet) {
  const seen = fleet.reasons.filter((entry) => entry.vms > 0);
  $('reasons').replaceChildren(
    ...seen.map((entry) =>
      el('li', {}, el('b', {}, entry.reason), el('span', {}, whole(entry.vms)),
        el('span', { class: 'share' }, share(fleet.vms === 0 ? null : entry.vms / fleet.vms, 1)),
        el('span', { class: 'note' }, entry.meaning))),
  );
  if (seen.length === 0) {
    const all = of(fleet.rungs, CHAMPION) > 0 ? 'The champion answers for every VM.' : 'No VM yet.';
    $('reasons').append(el('li', { class: 'none' }, all));
  }
}

export function renderHours(answer) {
  const most = Math.max(1, ...answer.hours.map((hour) => hour.windows));
  const loads = answer.hours.map((hour) => hour.fleet_load_pct).filter((load) => load !== null);
  const highest = loads.length === 0 ? null : Math.max(...loads);
  $('hours').replaceChildren(...answer.hours.map((hour, index) => bar(hour, index === 0, most, highest)));
  const planned = answer.hours.reduce((sum, hour) => sum + hour.windows, 0);
  say('hours-note', `${whole(planned)} VMs have a window ahead, ${whole(answer.without_window)} have none before their `
    + `next forecast. The fleet's mean load reaches ${pct(highest)}.`);
}

function bar(hour, first, most, highest) {
  const label = `${dayTime(hour.start)} UTC: ${whole(hour.windows)} windows, `
    + `expected load in them ${pct(hour.window_load_pct)}, fleet ${pct(hour.fleet_load_pct)}`;
  const column = el('div', { class: 'bar' });
  column.style.height = hour.windows === 0 ? '0' : `max(2px, ${(100 * hour.windows) / most}%)`;
  const track = el('div', { class: 'track' }, column);
  if (hour.fleet_load_pct !== null) {
    const mark = el('span', { class: 'mark' });
    mark.style.bottom = `${(95 * hour.fleet_load_pct) / Math.max(1, highest)}%`;
    track.append(mark);
  }
  return el('li', { class: first ? 'first' : '', title: label },
    el('span', { class: 'count', 'aria-hidden': 'true' }, hour.windows === 0 ? '' : whole(hour.windows)), track,
    el('span', { class: 'hour', 'aria-hidden': 'true' }, clockTime(hour.start).slice(0, 2)),
    el('span', { class: 'visually-hidden' }, label));
}
