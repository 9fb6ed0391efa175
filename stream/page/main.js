// Starts the page: polls the fleet, keeps the chosen VM in the address (#vm=…), says when the server is gone.

import { get } from '/page/api.js';
import { startCharts } from '/page/chart.js';
import { trouble } from '/page/dom.js';
import { renderFleet, renderHours, renderLost } from '/page/fleet.js';
import { renderJudged } from '/page/judged.js';
import { startSearch } from '/page/search.js';
import { refreshVm, showVm } from '/page/vm.js';

const POLL_MS = 3000;
let fleet = null;
let timer = 0;
let polling = false;

const chosen = () => new URLSearchParams(location.hash.slice(1)).get('vm');

async function poll() {
  if (polling) return;
  polling = true;
  clearTimeout(timer);
  try {
    const [state, hours, { judgements }] = await Promise.all([
      get('/v1/fleet'), get('/v1/fleet/windows'), get('/v1/judgements', { limit: '1' })]);
    const isFirst = fleet === null;
    fleet = { ...state, judged: judgements[0]?.start ?? null };
    trouble('trouble', null);
    renderFleet(state);
    renderHours(hours);
    renderJudged(judgements);
    await (isFirst ? showFirst() : refreshVm(fleet));
  } catch (error) {
    renderLost();
    trouble('trouble', error);
  }
  polling = false;
  timer = setTimeout(poll, POLL_MS);
}

// Without a choice the first VM is shown, so that the page says what it can at once.
async function showFirst() {
  const id = chosen() ?? (await get('/v1/vms', { limit: '1' })).vms[0]?.vm_id;
  if (id !== undefined) await showVm(id, fleet);
}

await startCharts();
startSearch((id) => { location.hash = new URLSearchParams({ vm: id }).toString(); });
addEventListener('hashchange', () => {
  const id = chosen();
  if (id !== null && fleet !== null) showVm(id, fleet);
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) poll(); });
poll();
