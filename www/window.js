/** The window's title, and the keyboard on the screen. */

/** Returns what counts a message in the title while nobody looks. */
export function countUnread() {
  const { title } = document;
  let unread = 0;
  document.addEventListener('visibilitychange', () => {
    unread = 0;
    document.title = title;
  });
  return () => {
    if (!document.hidden) return;
    unread += 1;
    document.title = `(${unread}) ${title}`;
  };
}

/** Keeps the page, unless zoomed in, above the keyboard where `interactive-widget=resizes-content` is unknown (iOS). */
export function stayAboveKeyboard() {
  const seen = window.visualViewport;
  if (!seen) return;
  seen.onresize = () => {
    const covered = seen.scale === 1 && seen.height < innerHeight - 1;
    document.body.style.height = covered ? `${seen.height}px` : '';
    if (covered) scrollTo(0, 0);
  };
}
