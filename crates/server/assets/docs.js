"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

/** Makes an element with text or further elements inside; nothing is ever read as HTML. */
function element(name, attributes, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside.filter((it) => it !== undefined && it !== ""));
  return made;
}

/** What a schema says, in a line: `Queue`, `array of Task`, `integer or string`. */
function kind(schema) {
  if (!schema) return "any";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices && !schema.type) return [...new Set(choices.map(kind))].join(" or ");
  if (schema.type === "array") return `array of ${kind(schema.items)}`;
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  return [schema.type ?? "any"].flat().join(" or ");
}

/** What a schema stands for that may be a reference. */
function resolved(schema, spec) {
  return schema?.$ref ? spec.components.schemas[kind(schema)] : schema;
}

/** The keys of an object, with those of all that it is made of: of two with one name the latter says more. */
function object(schema, spec) {
  const own = resolved(schema, spec);
  const parts = [...(own?.allOf ?? []).map((it) => object(it, spec)), own];
  return {
    properties: Object.assign({}, ...parts.map((it) => it?.properties ?? {})),
    required: new Set(parts.flatMap((it) => [...(it?.required ?? [])])),
  };
}

/** What is said of a key, where it is said: beside its type, or at the one of its types that is not null. */
function prose(schema) {
  return schema.description ?? (schema.oneOf ?? schema.anyOf ?? []).map((it) => it.description).find(Boolean) ?? "";
}

/** What is allowed for a value, where that is numbers or a pattern. */
function bounds(schema, spec) {
  const own = resolved(schema, spec) ?? {};
  const within = (own.oneOf ?? own.anyOf ?? []).map((it) => bounds(it, spec)).filter(Boolean);
  const { minimum: least, maximum: most } = own;
  const range = least !== undefined && most !== undefined ? `${least} to ${most}` : most !== undefined ? `at most ${most}` : "";
  return [...new Set([range, ...within])].filter(Boolean).join(", ");
}

function rows(cells) {
  return element("table", {}, ...cells.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell)))));
}

function fields(schema, spec) {
  const { properties, required } = object(schema, spec);
  return rows(Object.entries(properties).map(([name, it]) => [
    element("code", {}, name), [kind(it), required.has(name) ? "always" : "", bounds(it, spec)].filter(Boolean).join(", "), prose(it),
  ]));
}

/** The objects that a schema offers: itself, or each of its choices, and what a list is of. */
function objects(schema, spec) {
  const own = resolved(schema, spec);
  if (own?.items) return objects(own.items, spec);
  if (own?.oneOf) return [...new Map(own.oneOf.flatMap((it) => objects(it, spec)).map((it) => [kind(it), it])).values()];
  const found = Object.keys(object(schema, spec).properties).length > 0 ? [schema] : [];
  return own?.properties?.body?.items ? [...found, ...objects(own.properties.body.items, spec)] : found;
}

function content(title, media, spec) {
  return Object.entries(media ?? {}).flatMap(([type, it]) => [
    element("h4", {}, `${title}: ${it.schema ? kind(it.schema) : "a stream"} (${type})`),
    ...objects(it.schema, spec).flatMap((found) => [found === it.schema ? undefined : element("h5", {}, found.$ref ? kind(found) : "Each of them"), fields(found, spec)]).filter(Boolean),
  ]);
}

function command(method, path, operation, server) {
  const options = method === "get" ? "" : ` -X ${method.toUpperCase()}`;
  const body = operation.requestBody ? " -H 'Content-Type: application/json' -d '{ … }'" : "";
  return `curl${options}${body} ${new URL(server + path, location.href).href.replaceAll("%7B", "{").replaceAll("%7D", "}")}`;
}

function section(method, path, operation, spec) {
  const server = (spec.servers?.[0]?.url ?? "").replace(/\/$/, "");
  const parameters = (operation.parameters ?? []).map((it) => [
    element("code", {}, it.name), `${it.in}, ${kind(it.schema)}${it.required ? ", required" : ""}`, it.description ?? "",
  ]);
  const responses = Object.entries(operation.responses ?? {});
  return element("section", { id: operation.operationId },
    element("h3", {}, element("span", { class: "method" }, method.toUpperCase()), server + path),
    element("p", {}, [operation.summary, operation.description].filter(Boolean).join(" ")),
    ...(parameters.length ? [element("h4", {}, "Parameters"), rows(parameters)] : []),
    ...content("Body", operation.requestBody?.content, spec),
    element("h4", {}, "Answers"), rows(responses.map(([status, it]) => [element("code", {}, status), it.description ?? ""])),
    ...responses.filter(([status]) => status.startsWith("2")).flatMap(([status, it]) => content(status, it.content, spec)),
    element("pre", {}, command(method, path, operation, server)));
}

async function show() {
  const main = document.getElementById("operations");
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`openapi.json: ${answer.status}`);
  const spec = await answer.json();
  const groups = new Map();
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const group = item[method].tags?.[0] ?? "server";
      groups.set(group, [...(groups.get(group) ?? []), [method, path, item[method]]]);
    }
  }
  main.replaceChildren(element("p", {}, spec.info.description ?? ""));
  for (const [group, operations] of groups) {
    document.getElementById("index").append(element("h2", {}, group), ...operations.map(([method, path, it]) =>
      element("a", { href: `#${it.operationId}` }, element("code", {}, `${method.toUpperCase()} ${path}`))));
    main.append(element("h2", {}, group), ...operations.map((operation) => section(...operation, spec)));
  }
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

show().catch((error) => {
  document.getElementById("operations").replaceChildren(element("p", { role: "alert" }, `The description cannot be shown: ${error.message}`));
});
