'use strict';
// What was drawn on the server is kept true: times count on, and what changed is drawn anew, with
// focus, selection and scroll where they were. Without this, all of it works by loading the page.
(() => {
  const TICK = 1000, CALM = 1500, WITHOUT_NEWS = 10000;
  const body = document.body;
  const born = Date.now();
  // The server's clock at the time that the page was made, less ours: what counts down is the server's.
  let skew = 0;
  let drawnAt = born;

  function read(root) {
    skew = Number(root.querySelector('main')?.dataset.now ?? Date.now()) - Date.now();
  }

  // A span, as the server writes it.
  function span(ms) {
    const s = Math.max(0, Math.round(ms / 1000));
    if (s < 60) return s + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' min' + (s < 600 && s % 60 ? ' ' + (s % 60) + ' s' : '');
    if (s < 86400) return Math.floor(s / 3600) + ' h' + (Math.floor(s / 60) % 60 ? ' ' + (Math.floor(s / 60) % 60) + ' min' : '');
    return Math.floor(s / 86400) + ' d' + (Math.floor(s / 3600) % 24 ? ' ' + (Math.floor(s / 3600) % 24) + ' h' : '');
  }

  function zone() { return localStorage.getItem('zone') === 'local' ? 'local' : 'utc'; }

  function exact(date, of) {
    const pad = (n) => String(n).padStart(2, '0');
    if (zone() === 'utc') return of.dataset.utc;
    const clock = pad(date.getHours()) + ':' + pad(date.getMinutes()) + ':' + pad(date.getSeconds());
    if (of.dataset.as === 'clock') return clock;
    return date.getFullYear() + '-' + pad(date.getMonth() + 1) + '-' + pad(date.getDate()) + ' ' + clock;
  }

  function tick() {
    const now = Date.now() + skew;
    for (const time of document.querySelectorAll('time[data-as]')) {
      const date = new Date(time.dateTime);
      const as = time.dataset.as;
      const text = as === 'ago' ? span(now - date) + ' ago'
        : as === 'for' ? span(now - date)
        : as === 'in' ? (date > now ? 'in ' + span(date - now) : 'now')
        : exact(date, time);
      if (time.textContent !== text) time.textContent = text;
    }
    const age = Date.now() - drawnAt;
    const isStale = age > WITHOUT_NEWS && wants();
    body.classList.toggle('stale', isStale);
    const note = document.getElementById('age');
    if (note) note.textContent = isStale ? 'Not updated for ' + span(age) + ': the server gives no answer.' : '';
    const choice = document.getElementById('zone');
    if (choice) choice.textContent = zone() === 'utc' ? 'UTC' : 'local time';
  }

  // Pages on which somebody types are left alone.
  const wants = () => body.dataset.live === 'yes';
  let isAsking = false, isDue = false, due = 0;

  async function draw() {
    if (!wants() || document.hidden) return;
    if (isAsking) { isDue = true; return; }
    isAsking = true;
    try {
      const answer = await fetch(location.href, { cache: 'no-store', headers: { Accept: 'text/html' } });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
        document.title = fresh.title;
        for (const id of ['bar', 'main', 'foot']) {
          const [old, made] = [document.getElementById(id), fresh.getElementById(id)];
          if (old && made) Idiomorph.morph(old, made, { callbacks: { beforeAttributeUpdated: keep } });
        }
        read(document);
        drawnAt = Date.now();
        tick();
      }
    } catch { /* The age that is shown tells of it. */ } finally {
      isAsking = false;
      if (isDue) { isDue = false; soon(); }
    }
  }

  // What a person has unfolded stays so.
  const keep = (name, node) => !(name === 'open' && node.localName === 'details');

  function soon() {
    clearTimeout(due);
    due = setTimeout(draw, Math.max(0, drawnAt + CALM - Date.now()));
  }

  // Only while somebody looks: a browser has few connections, and other tabs want some, too.
  let news = null;
  function listen() {
    if (document.hidden) {
      news?.close();
      news = null;
    } else if (!news) {
      news = new EventSource('api/v1/stream');
      news.onmessage = soon;
    }
  }

  // By keys: j and k go from one to the next, Enter opens, a approves, r rejects, p pauses, ? tells.
  function go(step) {
    const all = [...document.querySelectorAll('[data-item]')].filter((item) => item.checkVisibility());
    if (all.length === 0) return;
    const at = all.findIndex((item) => item.contains(document.activeElement));
    const item = all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
    (item.querySelector('a') ?? item).focus();
    item.scrollIntoView({ block: 'nearest' });
  }

  function press(event) {
    const typing = event.target.closest('input, textarea, select');
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const item = document.activeElement?.closest('[data-item]') ?? document;
    const follow = (deed) => item.querySelector('a[data-deed="' + deed + '"]')?.click();
    const deeds = {
      j: () => go(1), k: () => go(-1), a: () => follow('approve'), r: () => follow('reject'),
      p: () => document.querySelector('a[data-deed="pause"], a[data-deed="resume"]')?.click(),
      '?': () => document.getElementById('keys')?.toggleAttribute('open'),
    };
    if (deeds[event.key]) { event.preventDefault(); deeds[event.key](); }
  }

  document.addEventListener('keydown', press);
  document.addEventListener('click', (event) => {
    if (event.target.id !== 'zone') return;
    localStorage.setItem('zone', zone() === 'utc' ? 'local' : 'utc');
    tick();
  });
  // What came by a form is not sent again by loading its page anew.
  const place = body.dataset.place;
  if (place) history.replaceState(null, '', place);
  const back = document.getElementById('back');
  if (back) back.requestSubmit();
  read(document);
  tick();
  setInterval(tick, TICK);
  if (wants()) {
    listen();
    setInterval(() => { if (Date.now() - drawnAt > WITHOUT_NEWS / 3) draw(); }, TICK);
    document.addEventListener('visibilitychange', () => { listen(); draw(); });
  }
})();
