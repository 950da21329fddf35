// Settings of a run: `--env NAME=value`, or the shell's variable of that name.
//
// Owns their parsing. A value that makes no sense ends the run before anything is sent, with the
// name of the setting.

const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** The setting as text. */
export function text(name, otherwise) {
  return __ENV[name] || otherwise;
}

/** The setting as a number of at least `min`. */
export function number(name, otherwise, min = 0) {
  const given = __ENV[name];
  if (!given) {
    return otherwise;
  }
  const value = Number(given);
  if (!Number.isFinite(value) || value < min) {
    throw new Error(`${name}: \`${given}\` is not a number of at least ${min}`);
  }
  return value;
}

/** The setting as a whole number of at least `min`. */
export function count(name, otherwise, min = 1) {
  const value = number(name, otherwise, min);
  if (!Number.isInteger(value)) {
    throw new Error(`${name}: \`${value}\` is not a whole number`);
  }
  return value;
}

/** The setting in seconds, written as k6 writes durations: `500ms`, `90s`, `1h30m`. */
export function seconds(name, otherwise) {
  const given = text(name, otherwise);
  const parts = [...given.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== given) {
    throw new Error(`${name}: \`${given}\` is not a duration such as 30s or 5m`);
  }
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * UNITS[unit], 0);
}

/** Seconds as k6 takes them. */
export function duration(inSeconds) {
  return `${Math.round(inSeconds * 1000)}ms`;
}
