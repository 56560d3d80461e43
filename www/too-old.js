/*
 * Says what the page needs where it did not start; in ES5, since old browsers read nothing else. Modules have run, or have
 * failed, before the window's load event.
 */
window.addEventListener('load', function () {
  var body = document.body;
  var message = document.getElementById('error-message');
  if (body.getAttribute('data-state') !== 'starting') return;
  body.setAttribute('data-state', 'failed');
  document.getElementById('status').textContent = 'Not started';
  message.textContent =
    'The page did not start: it needs Chrome 66, Safari 11.1 or Firefox 60, or newer. If your browser is, load the page again.';
  message.removeAttribute('hidden');
});
