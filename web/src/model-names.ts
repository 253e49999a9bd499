// What a model is called on a page. The hash is the identity; names and versions are free, and may be the same.

interface Named {
  identity: string;
  name: string;
  version: string;
}

/** Return a model's name and version; of several that are named alike also the first digits of its hash. */
export function nameAmong(model: Named, all: readonly Named[]): string {
  const isAlike = (one: Named) => one.name === model.name && one.version === model.version;
  const name = `${model.name} ${model.version}`;
  return all.some((one) => isAlike(one) && one.identity !== model.identity)
    ? `${name} (${model.identity.slice(0, 8)})`
    : name;
}
