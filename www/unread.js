/** Counts in the title what came while nobody looked. */

/** @returns {() => void} to be called for each message of somebody else */
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
