/* The API as a page, from its own description: nothing is loaded from elsewhere. */
import { askJson } from "/static/ask.js";

const $ = (id) => document.getElementById(id);

function make(tag, text) {
  const found = document.createElement(tag);
  if (text !== undefined) found.textContent = text;
  return found;
}

function rows(pairs) {
  const table = make("table");
  for (const [name, text] of pairs) {
    const row = make("tr"), head = make("th");
    head.append(make("code", name));
    row.append(head, make("td", text));
    table.append(row);
  }
  return table;
}

function typeOf({ type, enum: values, anyOf }) {
  return values ? values.join(" | ") : anyOf ? anyOf.map(typeOf).join(" | ") : type || "";
}

function operation(path, method, { summary, description, parameters = [], requestBody, responses }) {
  const section = make("section"), head = make("h2");
  head.append(make("code", `${method.toUpperCase()} ${path}`));
  section.append(head, make("p", summary));
  if (description) section.append(make("p", description));
  if (requestBody) section.append(make("p", `Body: ${Object.keys(requestBody.content).join(", or ")}.`));
  const asked = parameters.map(({ name, schema, description: text }) => {
    const usual = schema.default === undefined ? "" : ` Default: ${JSON.stringify(schema.default)}.`;
    return [name, `${text || ""} (${typeOf(schema)})${usual}`];
  });
  if (asked.length) section.append(make("h3", "Options"), rows(asked));
  section.append(make("h3", "Answers"), rows(Object.entries(responses).map(([status, { description: text }]) => [status, text])));
  return section;
}

askJson("/api/openapi.json").then(({ info, paths }) => {
  $("about").textContent = `${info.description} Version ${info.version}.`;
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, told] of Object.entries(methods)) $("paths").append(operation(path, method, told));
  }
}).catch((error) => { $("status").textContent = error.message; });
