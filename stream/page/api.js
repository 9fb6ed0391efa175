// The API as the page asks it; an error's message is a sentence for the operator.

export class Trouble extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export async function get(path, params = {}) {
  const query = new URLSearchParams(params).toString();
  let response;
  try {
    response = await fetch(query ? `${path}?${query}` : path, { headers: { accept: 'application/json' } });
  } catch {
    throw new Trouble('The server does not answer. What is shown may be old; it is asked again every few seconds.', 0);
  }
  if (!response.ok) throw new Trouble(await inWords(response), response.status);
  return response.json();
}

export const vmPath = (id, rest = '') => `/v1/vms/${encodeURIComponent(id).replaceAll('.', '%2E')}${rest}`;

async function inWords(response) {
  try {
    const problem = await response.json();
    return `${problem.what}: expected ${problem.expected}, got ${problem.got}. ${problem.remedy}`;
  } catch {
    return `The server answered ${response.status} ${response.statusText}.`;
  }
}
