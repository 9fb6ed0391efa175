// Numbers and times as an operator reads them. null is "not known" and shows as a dash; 0 is a number.

const DASH = '–';

export const pct = (value, digits = 1) => (value === null ? DASH : `${value.toFixed(digits)} %`);

export const share = (value, digits = 1) => pct(value === null ? null : value * 100, digits);

export const ratio = (value) => (value === null ? DASH : value.toFixed(2));

export const whole = (value) => (value === null ? DASH : value.toLocaleString('en-US'));

export const millis = (iso) => Date.parse(iso);

const formats = new Map();

function format(zone, options) {
  const key = `${zone} ${Object.keys(options).join()}`;
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat('en-GB', { timeZone: zone, hourCycle: 'h23', ...options }));
  }
  return formats.get(key);
}

const CLOCK = { hour: '2-digit', minute: '2-digit' };
const DAY_CLOCK = { weekday: 'short', ...CLOCK };
const FULL = { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', ...CLOCK };

export const clockTime = (iso, zone = 'UTC') => (iso === null ? DASH : format(zone, CLOCK).format(millis(iso)));

export const dayTime = (iso, zone = 'UTC') =>
  iso === null ? DASH : format(zone, DAY_CLOCK).format(millis(iso)).replace(',', '');

export const fullTime = (iso) => `${format('UTC', FULL).format(millis(iso)).replace(/,/g, '')} UTC`;

export function knownZone(zone) {
  try {
    format(zone, CLOCK);
    return zone;
  } catch (error) {
    if (error instanceof RangeError) return 'UTC'; // the server's zone database may be newer than the browser's
    throw error;
  }
}

export function age(minutes) {
  if (minutes === null) return 'never';
  if (minutes < 120) return `${minutes} min ago`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ago` : `${Math.floor(minutes / 1440)} days ago`;
}

export const words = (name) => name.replaceAll('_', ' ');
