/**
 * Loads the page anew when a file of its server's folder is saved, and swaps styles in place:
 *
 *     <script src="/reload.js"></script>
 *
 * `foghorn --www DIR --reload` has it; elsewhere there is no such file, and a page with this line works as without it. The same address
 * is an event stream: `hello` says which state of the folder (`token`) the server has, and how many milliseconds old it is (`age`); `change`
 * which one follows, and the `paths` that were saved (`null`: anything may have changed, or gone). A start of the server is another state, too.
 */
(() => {
  /** When something is asked for again that was not there: soon, and then less and less often. */
  const [SOON_MS, AGAIN_MS] = [200, 5000];
  /** What this page came with, where the browser says so: a page in the place of one that is missing (404) stays in its place. */
  const { responseStatus: pageStatus = 200 } = performance.getEntriesByType('navigation')[0] || {};
  const { src } = document.currentScript || { src: new URL('/reload.js', location.href).href };
  /** Where a page leaves the state for which it loads itself anew. */
  const KEY = 'foghorn-reload';
  /** The state that this page shows at least; null: not known. */
  let shown = null;
  try {
    shown = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
  } catch { /* it is told by its age */ }
  let stream = null;
  let retry = 0;
  let reloading = 0;
  let asked = 0;
  /** Links that are on their way, each with those that go when it has come. */
  const arriving = new Map();

  function reload() {
    try {
      sessionStorage.setItem(KEY, shown);
    } catch { /* no storage here */ }
    location.reload();
  }

  /** Loads the page anew once it is there: what is said in its place would stay, since nothing reloads that. */
  async function reloadOnceThere(againMs = SOON_MS) {
    clearTimeout(reloading);
    asked += 1;
    const nth = asked;
    const { ok, status } = await fetch(location.href, { method: 'HEAD', cache: 'no-store' }).catch(() => ({}));
    if (ok || status === pageStatus) reload();
    else if (nth === asked) reloading = setTimeout(reloadOnceThere, againMs, Math.min(2 * againMs, AGAIN_MS));
  }

  /** Whether a style is the file at one of these paths, which are those below the script's own folder. */
  function isNamed(link, paths) {
    const root = new URL('.', src).href;
    const [address] = link.href.split(/[?#]/);
    try {
      return address.startsWith(root) && paths.includes(decodeURIComponent(address.slice(root.length)));
    } catch {
      return false; // a percent sign that encodes nothing
    }
  }

  /** Loads a style beside the one that it replaces, which stays until then: nobody sees the page without. */
  function swap(link) {
    const next = link.cloneNode();
    const url = new URL(link.href);
    url.searchParams.set('reload', Date.now());
    next.href = url.href;
    arriving.set(next, [link, ...(arriving.get(link) || [])]);
    next.onload = next.onerror = () => {
      arriving.get(next).forEach((old) => old.remove());
      arriving.delete(next);
    };
    link.after(next);
  }

  /** What is named by no link may be imported by any style; one that is written in the page comes anew with the page only. */
  function swapStyles(paths) {
    const going = [].concat(...arriving.values());
    const links = [...document.querySelectorAll('link[rel~="stylesheet"][href]')].filter((link) => !going.includes(link));
    const named = links.filter((link) => isNamed(link, paths));
    const isNamedBySome = (path) => named.some((link) => isNamed(link, [path]));
    const pageImports = [...document.querySelectorAll('style')].some((style) => /@import/i.test(style.textContent));
    if (paths.every(isNamedBySome)) named.forEach(swap);
    else if (links.length === 0 || pageImports) reloadOnceThere();
    else links.forEach(swap);
  }

  function close() {
    clearTimeout(retry);
    if (stream) stream.close();
    stream = null;
  }

  /** A hidden page listens to nothing: a browser has six connections to a server, and it is told at its return what it has missed. */
  function open() {
    close();
    if (document.hidden) return;
    stream = new EventSource(src);
    stream.addEventListener('hello', ({ data }) => {
      const { token, age } = JSON.parse(data);
      const isOld = shown === null ? age < performance.now() : token !== shown;
      shown = token;
      if (isOld) reloadOnceThere();
    });
    stream.addEventListener('change', ({ data }) => {
      const { token, paths } = JSON.parse(data);
      shown = token;
      if (!paths) reloadOnceThere();
      else if (paths.every((path) => path.endsWith('.css'))) swapStyles(paths);
      else reloadOnceThere();
    });
    // A browser comes back by itself, but for an answer that is no stream: a proxy's while the server is away.
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) retry = setTimeout(open, AGAIN_MS);
    };
  }

  document.addEventListener('visibilitychange', open);
  window.addEventListener('pagehide', close);
  window.addEventListener('pageshow', ({ persisted }) => persisted && open());
  open();
})();
