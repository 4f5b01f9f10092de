import type { Properties, Value, Values } from "./property.ts";

/** Provider configuration travels as text; anything but a string is JSON inside it. */
export function configuration(properties: Properties, values: Values): Values {
  const parsed: Values = {};
  for (const [name, value] of Object.entries(values)) {
    if (name === "version" || name === "pluginDownloadURL") continue;
    const kind = properties[name]?.kind ?? "string";
    parsed[name] = kind !== "string" && typeof value === "string" ? parsedText(value) : value;
  }
  return parsed;
}

function parsedText(text: string): Value {
  try {
    return JSON.parse(text) as Value;
  } catch {
    return text;
  }
}
