/* What the page asks of the server: its address is the page's own, its token comes from the address bar or the user. */

const KEPT = "openplanet-token";
const TRIES = 4;

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem(KEPT, given);
  history.replaceState(null, "", location.pathname + location.search); // out of sight, and out of the history
}

function askToken() {
  const dialog = document.getElementById("ask-token"), field = document.getElementById("token");
  if (!dialog) return Promise.reject(new Error("This server needs its token: open the page with #token=TOKEN"));
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(KEPT, field.value.trim());
      resolve();
    }, { once: true });
    dialog.showModal();
  });
}

const wait = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

/** A Response; 429 and 503 are tried again when the server says, ``busy`` is called with the seconds till then. */
export async function ask(path, { body, signal, busy } = {}) {
  for (let tried = 1; ; tried += 1) {
    const token = sessionStorage.getItem(KEPT);
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const answer = await fetch(path, { method: body ? "POST" : "GET", body, headers, signal });
    if (answer.status === 401) {
      await askToken();
      continue;
    }
    const again = Number(answer.headers.get("Retry-After"));
    if ((answer.status === 429 || answer.status === 503) && again && tried < TRIES) {
      if (busy) busy(again);
      await wait(1000 * again, signal);
      continue;
    }
    if (answer.ok || (answer.status === 422 && (answer.headers.get("Content-Type") || "").includes("json"))) return answer;
    let why = `the server answers ${answer.status}`;
    try {
      why = (await answer.json()).error || why;
    } catch { /* no JSON */ }
    throw new Error(why);
  }
}

/** JSON; an error that the server words is thrown. */
export async function askJson(path, options) {
  const found = await (await ask(path, options)).json();
  if (found.error && !found.photos) throw new Error(found.error);
  return found;
}

export function form(files) {
  const body = new FormData();
  for (const file of files) body.append("photo", file, file.webkitRelativePath || file.name || "pasted");
  return body;
}

/** The lines of an answer as they come. */
export async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const whole = (rest + (value || "")).split("\n");
    rest = whole.pop();
    for (const line of whole) if (line) yield JSON.parse(line);
    if (done) return;
  }
}
