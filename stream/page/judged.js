// Yesterday: what the chosen windows came to, of the fleet by who chose them and of the VM that is shown.

import { $, el, say } from '/page/dom.js';
import { clockTime, dayTime, pct, ratio, share, whole, words } from '/page/format.js';

const NONE = 'No day has been judged yet: the first one is when it is over.';
const KEY = 'Regret: 0 is the quietest window that there was, 1 a random one; it is of the VMs whose day is known and '
  + 'not flat. 90 % of the hours should lie under their P90.';

const span = (day, zone = 'UTC') => `${dayTime(day.start, zone)} to ${dayTime(day.end, zone)}`;

export function renderJudged(judgements) {
  const newest = judgements[0];
  $('judged-table').hidden = newest === undefined;
  say('judged-day', newest === undefined ? NONE : `${span(newest)} UTC, ${newest.minutes} minutes each`);
  say('judged-note', newest === undefined ? '' : KEY);
  $('judged').replaceChildren(...judgements.map(row));
}

function row(one) {
  return el('tr', { title: `Model ${one.model}; the median errs by ${pct(one.mae_pct, 2)}` },
    el('th', { scope: 'row' }, el('i', { 'data-rung': one.rung }), words(one.rung),
      el('small', {}, `${whole(one.vm_days)} of ${whole(one.vms)} VMs`)),
    el('td', {}, ratio(one.regret_macro)), el('td', {}, share(one.interval_coverage)),
    el('td', {}, share(one.confidence_said, 0)), el('td', {}, share(one.confidence_observed, 0)));
}

export function renderYesterday(answer, zone) {
  say('yesterday-day', answer.start === null ? '' : `${span(answer, zone)} ${zone}`);
  const { chosen } = answer;
  const isJudged = chosen !== null && chosen.load_pct !== null;
  $('yesterday-loads').replaceChildren(...(isJudged ? bars(answer, zone) : []));
  say('yesterday-said', isJudged ? inWords(answer) : answer.detail);
}

function bars({ chosen, best_start: bestStart, best_load_pct: best, mean_load_pct: mean }, zone) {
  const most = Math.max(chosen.load_pct, mean, 0.01);
  const until = clockTime(chosen.end, zone);
  return [
    bar('chosen', 'Chosen', `${dayTime(chosen.start, zone)}–${until}`, chosen.load_pct, most),
    bar('oracle', 'Best possible', `${dayTime(bestStart, zone)}, ${chosen.minutes} min`, best, most),
    bar('mean', 'Mean of the day', '', mean, most),
  ];
}

function bar(name, title, when, load, most) {
  const fill = el('i', { class: name });
  fill.style.width = `${(100 * load) / most}%`;
  return el('li', {}, el('b', {}, title), el('span', { class: 'note' }, when), el('span', { class: 'track' }, fill),
    el('span', { class: 'load' }, pct(load)));
}

function inWords(answer) {
  const { chosen } = answer;
  const flat = answer.regret === null;
  return [
    flat ? 'So flat a day has no quiet time to find.' : `Regret ${ratio(answer.regret)}.`,
    `${pct(chosen.expected_load_pct)} was expected there, and ${share(chosen.confidence, 0)} sure to stay within `
      + `${pct(chosen.max_load_pct, 0)}: it ${chosen.within_max_load ? 'did' : 'did not'}.`,
    `${answer.hours_under_p90} of ${answer.hours} hours lay under their P90. Chosen by ${words(answer.rung)}, ${answer.model}.`,
  ].join(' ');
}
