// Search by id: an ARIA combobox with a listbox, for the keyboard first.

import { get } from '/page/api.js';
import { $, el, trouble } from '/page/dom.js';
import { words } from '/page/format.js';

const SHOWN = 20;
const PAUSE_MS = 120;

export function startSearch(choose) {
  const input = $('search');
  const list = $('matches');
  let active = -1;
  let listed = null; // the text that the list answers
  let asked = 0;
  let timer = 0;

  const options = () => [...list.querySelectorAll('[role="option"]')];

  function close() {
    asked += 1; // an answer that is still on its way opens nothing
    list.hidden = true;
    listed = null;
    active = -1;
    input.setAttribute('aria-expanded', 'false');
    input.removeAttribute('aria-activedescendant');
  }

  function activate(index) {
    const all = options();
    if (all.length === 0) return;
    active = (index + all.length) % all.length;
    all.forEach((option, i) => option.setAttribute('aria-selected', String(i === active)));
    input.setAttribute('aria-activedescendant', all[active].id);
    all[active].scrollIntoView({ block: 'nearest' });
  }

  function pick(id) {
    close();
    input.value = '';
    choose(id);
  }

  async function look() {
    asked += 1;
    const mine = asked;
    const prefix = input.value;
    try {
      const page = await get('/v1/vms', { prefix, limit: String(SHOWN) });
      if (mine !== asked) return;
      trouble('vm-trouble', null);
      list.replaceChildren(...page.vms.map((vm, i) => option(vm, i, pick)));
      if (page.next !== null) list.append(el('li', { role: 'presentation' }, `The first ${SHOWN}: type on to narrow.`));
      if (page.vms.length === 0) list.append(el('li', { role: 'presentation' }, 'No VM id starts so.'));
      list.hidden = false;
      listed = prefix;
      active = -1;
      input.setAttribute('aria-expanded', 'true');
      input.removeAttribute('aria-activedescendant');
    } catch (error) {
      if (mine === asked) trouble('vm-trouble', error);
    }
  }

  const moves = {
    ArrowDown: () => (list.hidden ? look() : activate(active + 1)),
    ArrowUp: () => activate(active < 0 ? -1 : active - 1),
    Home: () => activate(0),
    End: () => activate(-1),
    Escape: () => { close(); input.value = ''; },
    Enter: async () => {
      const typed = input.value;
      if (typed !== '' && typed !== listed) await look(); // the list is still the one of an earlier text
      const ids = options().map((node) => node.dataset.id);
      const id = ids[active] ?? (typed === '' ? undefined : ids.includes(typed) ? typed : ids[0] ?? typed);
      if (id !== undefined) pick(id);
    },
  };

  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  });
  input.addEventListener('click', () => { if (list.hidden) look(); });
  input.addEventListener('blur', close);
  input.addEventListener('keydown', (event) => {
    const inText = (event.key === 'Home' || event.key === 'End') && (list.hidden || active < 0);
    if (event.isComposing || !(event.key in moves) || inText) return;
    event.preventDefault();
    if (event.key === 'Enter') clearTimeout(timer);
    moves[event.key]();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target === input) return;
    event.preventDefault();
    input.focus();
  });
}

function option(vm, index, pick) {
  const node = el('li', { id: `match-${index}`, role: 'option', 'aria-selected': 'false', 'data-id': vm.vm_id },
    el('b', {}, vm.vm_id), el('span', {}, `${vm.host} · ${vm.rung === 'refused' ? vm.reason : words(vm.rung)}`));
  node.addEventListener('pointerdown', (event) => {
    event.preventDefault(); // the input keeps the focus, so its blur does not close the list before the choice
    pick(vm.vm_id);
  });
  return node;
}
